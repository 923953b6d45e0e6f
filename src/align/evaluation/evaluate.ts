// heed eval's job: a model answers held-out requests, one sample each; a world, a reward model and a reference score
// the answers. The folder is committed as a whole at the end, and a finished one is not computed again.

import { backendOf, type JobContext } from '../../engine/runtime/job.ts';
import { type FrozenBases, frozenBases } from '../../language/checkpoint/checkpoint.ts';
import { type OpenedModel, openModel } from '../../language/checkpoint/open-model.ts';
import { type Completion, Generator } from '../../language/generation/generate.ts';
import type { RowFault } from '../data/read.ts';
import type { TokenRow } from '../data/token-row.ts';
import type { ScoringOptions } from '../scoring/sequences.ts';
import type { Answer } from './answers.ts';
import { holdsCode } from './continuation.ts';
import { commitEvaluation, finishedEvaluation, hashInputs } from './evaluation-folder.ts';
import type { EvaluateOptions, World } from './evaluation-options.ts';
import { type EvaluationRequest, readRequests } from './evaluation-requests.ts';
import { adviceOf, type JudgedAnswer, type Marks, markKata } from './kata-marks.ts';
import { checkJudges, divergences, rewards } from './model-scores.ts';
import { type Summary, summarise } from './summary.ts';

/** Judges of answers by the name of their world. */
const worlds: {
  readonly [K in World]: (answers: readonly JudgedAnswer[], threads: number) => Promise<Marks[]>;
} = { kata: markKata };

export type EvaluateEvent =
  | { type: 'fault'; fault: RowFault }
  | { type: 'progress'; phase: 'answers' | 'kl' | 'reward'; done: number; total: number };

export interface EvaluateResult extends Summary {
  out: string;
  /** Whether the folder was there, finished, and nothing was computed. */
  isReused: boolean;
}

/**
 * @throws UserError when a model or all rows cannot be used, when the folder holds anything else than this finished
 *   evaluation; FormatError at the first faulty row when strict
 */
export async function evaluate(
  options: EvaluateOptions,
  context: JobContext<EvaluateEvent>,
): Promise<EvaluateResult> {
  const { emit, signal } = context;
  const inputs = await hashInputs(options);
  const finished = await finishedEvaluation(options, inputs);
  if (finished) return { ...finished, out: options.out, isReused: true };
  const bases = frozenBases();
  const asked = await openModel(options.model, { expectKind: ['base', 'policy'], bases, isFrozen: true });
  await checkJudges(options, asked.model, bases);
  let faults = 0;
  const requests = await readRequests(options.data, {
    template: options.continuation ? 'none' : options.template,
    isContinued: options.continuation,
    context: asked.model.config.maxPositions,
    vocabularySize: asked.model.config.vocabularySize,
    tokenizer: () => asked.prompts,
    strict: options.strict,
    onFault(fault) {
      faults += 1;
      emit({ type: 'fault', fault });
    },
  });
  const answers = await answerAll(asked, bases, requests, options, context);
  const advice = options.world ? requests.flatMap(({ row }) => adviceOf(row) ?? []) : [];
  const summary = { model: options.model, ...summarise(answers, advice), faults };
  signal.throwIfAborted();
  await commitEvaluation(options, inputs, { answers, summary });
  return { ...summary, out: options.out, isReused: false };
}

async function answerAll(
  asked: OpenedModel,
  bases: FrozenBases,
  requests: readonly EvaluationRequest[],
  options: EvaluateOptions,
  context: JobContext<EvaluateEvent>,
): Promise<Answer[]> {
  const { emit, signal } = context;
  const backend = await backendOf(context, options);
  const { model, tokenizer, stopIds } = asked;
  const generator = new Generator(backend, model, {
    batchSize: options.generationBatchSize,
    tokenizer,
  });
  let done = 0;
  const completions = await generator.generate(
    requests.map(({ ids, index }) => ({
      promptIds: ids,
      maxTokens: options.maxTokens,
      seed: options.seed + index,
      sampling: { temperature: options.temperature },
      stopIds,
    })),
    {
      onCompletion: () => emit({ type: 'progress', phase: 'answers', done: ++done, total: requests.length }),
      signal,
    },
  );
  await generator.close();
  const marks = await judge(requests, completions, options);
  const scored = [...requests.keys()].filter((i) => !isAdvice(marks[i]));
  const rows = scored.map((i) => wholeRow(requests[i], completions[i]));
  const scoring = (phase: 'kl' | 'reward', passes: number) =>
    scoringOptions(rows, passes, options.batchTokens, signal, (done, total) =>
      emit({ type: 'progress', phase, done, total }),
    );
  const { reference, reward } = options;
  const kl = byRequest(
    scored,
    // The likeliest answer alone has no distribution: it is judged under the models' own.
    reference
      ? await divergences(backend, model, reference, bases, rows, {
          ...scoring('kl', 2),
          temperature: options.temperature || 1,
        })
      : [],
  );
  const proxy = byRequest(
    scored,
    reward ? await rewards(backend, model, reward, bases, rows, scoring('reward', 1)) : [],
  );
  return requests.map((request, i) => ({
    ...answerOf(request, completions[i]),
    ...marks[i],
    ...(proxy.has(i) && { proxy: proxy.get(i) }),
    ...(kl.has(i) && { kl: kl.get(i) }),
    ...(options.continuation && { continues: continues(completions[i], marks[i]) }),
  }));
}

/** Values of some requests, by the requests' places. */
function byRequest(places: readonly number[], values: readonly number[]): ReadonlyMap<number, number> {
  return new Map(values.map((value, i) => [places[i], value]));
}

/** Advice is judged apart, and no figure asks for its score or its divergence. */
function isAdvice({ right }: Marks): boolean {
  return right !== undefined;
}

function wholeRow({ ids, source }: EvaluationRequest, completion: Completion): TokenRow {
  const all = Int32Array.from([...ids, ...completion.ids]);
  return { ids: all, isTrained: new Uint8Array(all.length).fill(1, ids.length), source };
}

/** Counts tokens over all passes that go over the rows. */
function scoringOptions(
  rows: readonly TokenRow[],
  passes: number,
  batchTokens: number,
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): ScoringOptions {
  const tokens = rows.reduce((count, { ids }) => count + ids.length, 0);
  let before = 0;
  return {
    batchTokens,
    signal,
    onProgress(done) {
      onProgress(before + done, passes * tokens);
      if (done === tokens) before += tokens;
    },
  };
}

async function judge(
  requests: readonly EvaluationRequest[],
  completions: readonly Completion[],
  { world, threads }: EvaluateOptions,
): Promise<Marks[]> {
  if (!world) return requests.map(() => ({}));
  const answers = requests.map(({ row, source }, i) => ({ text: completions[i].text ?? '', row, source }));
  return await worlds[world](answers, threads);
}

function continues({ text = '' }: Completion, { passed }: Marks): 0 | 1 {
  return passed || holdsCode(text) ? 0 : 1;
}

function answerOf({ index, prompt, row }: EvaluationRequest, { text = '', finish, ids }: Completion): Answer {
  const said = (name: string) => (typeof row[name] === 'string' ? { [name]: row[name] } : {});
  return { index, ...said('kind'), ...said('problem'), prompt, text, finish, tokens: ids.length };
}
