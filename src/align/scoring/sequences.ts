// Log-probabilities and scores of many whole sequences, in batches of similar lengths.

import type { Backend } from '../../engine/runtime/backend.ts';
import type { Weights } from '../../language/model/weights.ts';
import { limitsFor } from '../data/packing.ts';
import type { TokenRow } from '../data/token-row.ts';
import { TokenPasses } from './heads.ts';
import { eachTokenBatch, roomFor, type TokenBatch } from './layout.ts';
import { haveSamePrompt } from './shared-prompts.ts';

export interface ScoringOptions {
  /** Positions per run; a single sequence may have more. */
  batchTokens: number;
  /** Of the distribution that log-probabilities are taken under, > 0. Default: 1. */
  temperature?: number;
  /** After each run: tokens done, padding not counted. */
  onProgress?: (tokens: number) => void;
  signal?: AbortSignal;
  /** Lay the prompt out once that neighbouring sequences begin with. Default: false. */
  sharePrompts?: boolean;
  /** Keeps compiled programs from call to call, for a caller that releases them; of models of one configuration. */
  passes?: TokenPasses;
}

/**
 * The log-probability of the targets (`isTrained`) of each sequence, summed in float64.
 * @param sequences none longer than the model's context
 * @returns nats, in the order of the sequences; 0 for one without a target
 * @throws the signal's reason when it aborts
 */
export async function sequenceLogProbs(
  backend: Backend,
  model: Weights,
  sequences: readonly TokenRow[],
  options: ScoringOptions,
): Promise<Float64Array> {
  const sums = new Float64Array(sequences.length);
  await eachBatch(backend, model, sequences, options, async (passes, batch, members) => {
    const logProbs = await passes.targetLogProbs(batch, model, options.temperature);
    batch.owners.forEach((owner, i) => {
      sums[members[owner]] += logProbs[i];
    });
  });
  return sums;
}

/**
 * A reward model's raw score of each sequence, read at its last token.
 * @param model kind `reward` or `value`
 * @param sequences none longer than the model's context
 * @returns in the order of the sequences
 * @throws the signal's reason when it aborts
 */
export async function sequenceScores(
  backend: Backend,
  model: Weights,
  sequences: readonly TokenRow[],
  options: ScoringOptions,
): Promise<Float64Array> {
  const scores = new Float64Array(sequences.length);
  await eachBatch(backend, model, sequences, options, async (passes, batch, members) => {
    const values = await passes.scores(batch, model, batch.lastPlaces, roomFor(batch.rows.length));
    members.forEach((member, i) => {
      scores[member] = values[i];
    });
  });
  return scores;
}

/** Sequences in the order of `scoringOrder`; `members` are a batch's places among all of them. */
async function eachBatch(
  backend: Backend,
  { config }: Weights,
  sequences: readonly TokenRow[],
  { batchTokens, sharePrompts = false, onProgress, signal, passes: kept }: ScoringOptions,
  visit: (passes: TokenPasses, batch: TokenBatch, members: readonly number[]) => Promise<void>,
): Promise<void> {
  const order = scoringOrder(sequences, sharePrompts);
  const sorted = order.map((index) => sequences[index]);
  const passes = kept ?? new TokenPasses(backend);
  let [start, tokens] = [0, 0];
  try {
    for (const batch of eachTokenBatch(sorted, { ...limitsFor(config, batchTokens), sharePrompts })) {
      signal?.throwIfAborted();
      await visit(passes, batch, order.slice(start, start + batch.rows.length));
      start += batch.rows.length;
      tokens += batch.rows.reduce((count, { ids }) => count + ids.length, 0);
      onProgress?.(tokens);
    }
  } finally {
    if (!kept) await passes.release();
  }
}

/** Similar lengths together, shortest first; neighbours with a prompt to share stay neighbours, by their longest. */
function scoringOrder(sequences: readonly TokenRow[], sharePrompts: boolean): number[] {
  const runs: { members: number[]; longest: number }[] = [];
  sequences.forEach((row, index) => {
    const run = runs.at(-1);
    if (!run || !sharePrompts || !haveSamePrompt(sequences[run.members[0]], row)) {
      runs.push({ members: [index], longest: row.ids.length });
      return;
    }
    run.members.push(index);
    run.longest = Math.max(run.longest, row.ids.length);
  });
  runs.sort((a, b) => a.longest - b.longest || a.members[0] - b.members[0]);
  return runs.flatMap(({ members }) => members);
}
