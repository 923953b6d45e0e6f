// heed score's job: what a model thinks of given answers and texts, row by row and in sum. A language model says how
// probable they are, a reward model how good.

import { UserError } from '../../engine/errors.ts';
import type { Backend, Device } from '../../engine/runtime/backend.ts';
import { backendOf, type JobContext } from '../../engine/runtime/job.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import { openWeights, tokenizerOf } from '../../language/checkpoint/open-model.ts';
import { describeFaults, type RowFault, setAside } from '../data/read.ts';
import type { RowSource, TokenRow } from '../data/token-row.ts';
import type { PromptTemplate } from '../data/tokenize.ts';
import { type ScoringOptions, sequenceLogProbs, sequenceScores } from '../scoring/sequences.ts';
import { standardScores } from '../scoring/standard-scores.ts';
import { type ReadRow, type RowOptions, type RowSequences, readScoredRows } from './score-rows.ts';

export interface ScoreOptions {
  model: string;
  data: string[];
  device: Device;
  threads: number;
  /** Positions a run of the model. */
  batchTokens: number;
  /** Stop at the first row that cannot be scored. */
  strict: boolean;
  /** Of prompts that are plain texts; default none. */
  template?: PromptTemplate;
}

export type ScoreEvent =
  | { type: 'fault'; fault: RowFault }
  | { type: 'progress'; tokens: number; total: number };

/**
 * Log-probabilities in nats, summed over the tokens that `tokens` counts; rewards on the scale on which they are paid,
 * (raw − mean) / deviation.
 */
export type ScoredRow = RowSource &
  (
    | { completion_logp: number; tokens: number }
    | { chosen_logp: number; rejected_logp: number; chosen_tokens: number; rejected_tokens: number }
    | { text_logp: number; tokens: number; bytes: number }
    | { reward: number; tokens: number }
    | { chosen_reward: number; rejected_reward: number; chosen_tokens: number; rejected_tokens: number }
  );

export interface ScoreResult {
  /** In the order of the data. */
  rows: ScoredRow[];
  /** exp(−Σ log-probability / Σ tokens) over completions and texts; absent when there are none. */
  perplexity?: number;
  /** Of completions and texts. */
  tokens?: number;
  /** Mean over completions, of a reward model; absent when there are none. */
  reward?: number;
  /** Share of preferences whose chosen answer is the more probable, or the better one; absent when there are none. */
  accuracy?: number;
  /** −Σ log-probability / ln 2 / Σ UTF-8 bytes over texts; absent when there are none. */
  bits_per_byte?: number;
  /** Rows quarantined. */
  faults: number;
}

/**
 * Scores the rows of files: prompt and completion (in any instruction format), preferences, texts, strings or ids.
 * @throws UserError when model or data cannot be used, or when no row can be scored; FormatError at the first such
 *   row when strict
 */
export async function scoreFiles(
  options: ScoreOptions,
  context: JobContext<ScoreEvent>,
): Promise<ScoreResult> {
  const { emit, signal } = context;
  const opened = await openWeights(options.model, { expectKind: ['base', 'policy', 'reward'] });
  const { model } = opened;
  const faults: RowFault[] = [];
  const rowOptions: RowOptions = {
    context: model.config.maxPositions,
    vocabularySize: model.config.vocabularySize,
    strict: options.strict,
    template: options.template,
    asks: model.kind === 'reward' ? 'reward' : 'probability',
    onFault: (fault) => {
      faults.push(fault);
      emit({ type: 'fault', fault });
    },
    tokenizer: once(() => tokenizerOf(opened).then(({ prompts }) => prompts)),
  };
  const read = await readAll(options.data, rowOptions, signal);
  const sequences = read.flatMap((row) => listSequences(row.sequences));
  const total = sum(sequences.map(({ ids }) => ids.length));
  const values = await valuesOf(await backendOf(context, options), model, sequences, {
    batchTokens: options.batchTokens,
    onProgress: (tokens) => emit({ type: 'progress', tokens, total }),
    signal,
  });
  const rows = judge(read, model.kind, values, (fault) => setAside(fault, rowOptions));
  if (rows.length === 0) throw nothingLeft(options.data, faults);
  return { rows, ...summarise(rows), faults: faults.length };
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

async function readAll(
  files: readonly string[],
  options: RowOptions,
  signal: AbortSignal,
): Promise<ReadRow[]> {
  const read: ReadRow[] = [];
  for (const file of files) {
    for await (const row of readScoredRows(file, options)) {
      signal.throwIfAborted();
      read.push(row);
    }
  }
  return read;
}

function listSequences(sequences: RowSequences): readonly TokenRow[] {
  if (sequences.kind === 'completion') return [sequences.completion];
  if (sequences.kind === 'preference') return [sequences.chosen, sequences.rejected];
  return sequences.pieces;
}

/** Of each sequence its reward or its log-probability. */
async function valuesOf(
  backend: Backend,
  model: Model,
  sequences: readonly TokenRow[],
  options: ScoringOptions,
): Promise<readonly number[]> {
  if (model.kind !== 'reward') return [...(await sequenceLogProbs(backend, model, sequences, options))];
  return standardScores(model, await sequenceScores(backend, model, sequences, options));
}

/** Rows with their numbers; one for which the model gives NaN or −∞ is quarantined. */
function judge(
  read: readonly ReadRow[],
  kind: Model['kind'],
  values: readonly number[],
  refuse: (fault: RowFault) => void,
): ScoredRow[] {
  const rows: ScoredRow[] = [];
  let next = 0;
  for (const { source, sequences, fault } of read) {
    const count = listSequences(sequences).length;
    const own = values.slice(next, next + count);
    next += count;
    const wrong = own.find((value) => !Number.isFinite(value));
    const what = kind === 'reward' ? 'reward' : 'log-probability';
    if (wrong !== undefined) refuse(fault(`the model gives a ${what} of ${wrong}`));
    else rows.push({ ...source, ...(kind === 'reward' ? rewardsOf : likelihoodsOf)(sequences, own) });
  }
  return rows;
}

function likelihoodsOf(sequences: RowSequences, logProbs: readonly number[]) {
  switch (sequences.kind) {
    case 'completion':
      return { completion_logp: logProbs[0], tokens: countTargets(sequences.completion) };
    case 'preference':
      return {
        chosen_logp: logProbs[0],
        rejected_logp: logProbs[1],
        chosen_tokens: countTargets(sequences.chosen),
        rejected_tokens: countTargets(sequences.rejected),
      };
    case 'text': {
      const tokens = sequences.pieces.reduce((count, piece) => count + countTargets(piece), 0);
      return { text_logp: sum(logProbs), tokens, bytes: sequences.bytes };
    }
  }
}

function rewardsOf(sequences: RowSequences, rewards: readonly number[]) {
  if (sequences.kind === 'completion') {
    return { reward: rewards[0], tokens: countTargets(sequences.completion) };
  }
  if (sequences.kind === 'text') throw new Error('texts have no reward');
  return {
    chosen_reward: rewards[0],
    rejected_reward: rewards[1],
    chosen_tokens: countTargets(sequences.chosen),
    rejected_tokens: countTargets(sequences.rejected),
  };
}

/** Every token that may be a target but the first, which has no past. */
function countTargets({ isTrained }: TokenRow): number {
  return isTrained.reduce((count, flag, i) => count + (i > 0 ? flag : 0), 0);
}

/** The summary's numbers, each only where rows of its kind are. */
function summarise(rows: readonly ScoredRow[]): Omit<ScoreResult, 'rows' | 'faults'> {
  const texts = rows.filter((row) => 'text_logp' in row);
  const likelihoods = [
    ...rows.flatMap((row) =>
      'completion_logp' in row ? [{ logp: row.completion_logp, tokens: row.tokens }] : [],
    ),
    ...texts.map(({ text_logp, tokens }) => ({ logp: text_logp, tokens })),
  ];
  const rewards = rows.flatMap((row) => ('reward' in row ? row.reward : []));
  const margins = rows.flatMap((row) => marginOf(row) ?? []);
  const tokens = sum(likelihoods.map((row) => row.tokens));
  const bits = -sum(texts.map((row) => row.text_logp)) / Math.LN2;
  const won = margins.filter((margin) => margin > 0);
  return {
    ...(likelihoods.length > 0 && {
      perplexity: Math.exp(-sum(likelihoods.map(({ logp }) => logp)) / tokens),
      tokens,
    }),
    ...(rewards.length > 0 && { reward: sum(rewards) / rewards.length }),
    ...(margins.length > 0 && { accuracy: won.length / margins.length }),
    ...(texts.length > 0 && { bits_per_byte: bits / sum(texts.map(({ bytes }) => bytes)) }),
  };
}

/** Of a preference: by how much the chosen answer is ahead. */
function marginOf(row: ScoredRow): number | undefined {
  if ('chosen_logp' in row) return row.chosen_logp - row.rejected_logp;
  return 'chosen_reward' in row ? row.chosen_reward - row.rejected_reward : undefined;
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function nothingLeft(data: readonly string[], faults: readonly RowFault[]): UserError {
  const [first] = faults;
  return new UserError({
    where: data.join(', '),
    expected: 'at least one row that can be scored',
    found: first ? describeFaults(faults.length, first) : 'no rows',
    advice: 'rows with prompt and completion, prompt_ids and completion_ids, chosen and rejected, or text',
  });
}
