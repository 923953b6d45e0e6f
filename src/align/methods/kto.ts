// KTO: learn from single completions, each marked good or bad. Ethayarajh et al. 2024 (arXiv:2402.01306).
// Departures: 1. the reference's log-probabilities are computed once, before training. 2. A pair is read as a good and a
// bad completion. 3. The mismatched completions come from the next other prompt of the data, not of the batch, so that 1
// holds for them too.

import { cast, constant, input, less, multiply, slice, subtract, total } from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import { joined } from '../../engine/runtime/backend.ts';
import type { JobContext } from '../../engine/runtime/job.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import { loadMarkedRows } from '../data/load.ts';
import { type KtoOptions as KtoLossOptions, ktoLoss, ktoReferencePoint } from '../objectives/kto.ts';
import type { RunEvent } from '../run/events.ts';
import type { ModelBatch } from '../run/gradient-learner.ts';
import { completionLogProbs } from '../scoring/heads.ts';
import { type CompletionBatch, completionFeed, groupFeed } from '../scoring/layout.ts';
import { sequenceLogProbs } from '../scoring/sequences.ts';
import { mismatchedCompletions } from './mismatched-completions.ts';
import {
  type CompletionRow,
  type PreferenceMethod,
  type PreferenceRunOptions,
  type PreferenceRunResult,
  trainOnPreferences,
  type WholeStep,
} from './preference-run.ts';

export interface KtoOptions extends PreferenceRunOptions {
  /** > 0 */
  beta: number;
  /** λ_D and λ_U, > 0. */
  desirableWeight: number;
  undesirableWeight: number;
}

export type KtoResult = PreferenceRunResult;

/** Trains a policy on marked completions. @throws UserError before any training when models or data cannot be used */
export async function kto(options: KtoOptions, context: JobContext<RunEvent>): Promise<KtoResult> {
  const { desirableWeight, undesirableWeight, microBatchTokens: batchTokens } = options;
  const method: PreferenceMethod = {
    ...{ name: 'kto', usesReference: true, load: loadMarkedRows, metrics: knownMeans },
    // Where the weights differ it depends on which completions a step has.
    ...(desirableWeight === undesirableWeight && { lossAtReference: desirableWeight / 2 }),
    besides: (rows, { config }) => mismatchedCompletions(rows, config.maxPositions),
    start: (backend, policy, mismatched) => async (rows) => {
      // z by the policy as it is now: no gradient flows through it.
      const own = rows.map(({ index }) => mismatched.rows[index]);
      const now = await sequenceLogProbs(backend, policy, own, { batchTokens });
      const z = ktoReferencePoint(now.map((logProb, i) => logProb - mismatched.reference[rows[i].index]));
      return (batch, whole) =>
        markedMicroBatch(policy.config, batch, options, { ...whole, referencePoint: z });
    },
  };
  return trainOnPreferences(options, method, context);
}

/** A pair is a good and a bad completion. */
const isGood = ({ isDesirable }: CompletionRow, k: number): boolean => isDesirable ?? k === 0;
const isPair = ({ isDesirable }: CompletionRow): boolean => isDesirable === undefined;
const marksOf = (rows: readonly CompletionRow[]): boolean[] =>
  rows.flatMap((row) => row.completions.map((_, k) => isGood(row, k)));

/** Every completion counts the same; measures are means over the good and over the bad ones. */
export function markedMicroBatch(
  config: ModelConfig,
  batch: CompletionBatch<CompletionRow>,
  options: KtoLossOptions,
  whole: WholeStep & { referencePoint: number },
): ModelBatch {
  const head = completionLogProbs(batch);
  const { B, K } = batch.shape;
  const S = B * K;
  const marks = marksOf(whole.rows);
  const good = marks.filter(Boolean).length;
  const bad = marks.length - good;
  const pairs = whole.rows.filter(isPair).length;
  const mean = (of: 'completion' | 'good' | 'bad', values: Tensor) =>
    total(multiply(values, input(`${of}Weights`, [S])));
  return {
    key: head.key,
    graph(parameters) {
      const policy = head.graph(config, parameters);
      const z = input('referencePoint', []);
      const reference = input('reference', [S]);
      const isDesirable = less(0, input('goodWeights', [S]));
      const { loss, rewards } = ktoLoss({ policy, reference, isDesirable }, z, options);
      const [chosen, rejected] = [mean('good', rewards), mean('bad', rewards)];
      return {
        loss: mean('completion', loss),
        measures: {
          'rewards/chosen': chosen,
          'rewards/rejected': rejected,
          'rewards/margins': subtract(chosen, rejected),
          ...(K === 2 && { 'rewards/accuracies': accuracy(rewards, B) }),
          'logps/chosen': mean('good', policy),
          'logps/rejected': mean('bad', policy),
          kl: mean('completion', multiply(constant(1, [S]), z)),
        },
      };
    },
    rows: head.rows,
    feeds: () =>
      joined(head.feeds(), {
        reference: completionFeed(batch, ({ reference }, k) => reference![k]),
        pairWeights: groupFeed(batch, () => 1 / pairs),
        completionWeights: completionFeed(batch, () => 1 / marks.length),
        goodWeights: completionFeed(batch, (row, k) => (isGood(row, k) ? 1 / good : 0)),
        badWeights: completionFeed(batch, (row, k) => (isGood(row, k) ? 0 : 1 / bad)),
        referencePoint: Float32Array.of(whole.referencePoint),
      }),
    describe: whole.describe,
  };
}

/** Share of the pairs whose good completion has the larger reward. */
function accuracy(rewards: Tensor, B: number): Tensor {
  const margin = subtract(slice(rewards, 0, 0, B), slice(rewards, 0, B, 2 * B));
  return total(multiply(cast(less(0, margin), 'float'), input('pairWeights', [B])));
}

/** A mean over the good or the bad completions is none where the step's rows have no such completion. */
function knownMeans(
  measures: Record<string, number>,
  rows: readonly CompletionRow[],
): Record<string, number> {
  const marks = marksOf(rows);
  const [good, bad] = [marks.includes(true), marks.includes(false)];
  const isKnown = new Map([
    ['chosen', good],
    ['rejected', bad],
    ['margins', good && bad],
  ]);
  const lastWord = (name: string) => name.slice(name.indexOf('/') + 1);
  return Object.fromEntries(Object.entries(measures).filter(([name]) => isKnown.get(lastWord(name)) ?? true));
}
