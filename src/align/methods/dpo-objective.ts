// What a micro-batch of pairs computes for DPO, its relatives and KTO, which reads single answers too: summed
// log-probabilities of the completions, the loss by its equation, and the measures that people watch. Everything is a part
// of the step's mean.

import { cast, constant, input, less, multiply, slice, subtract, total } from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import type { Objective } from '../../engine/optimizer/update-step.ts';
import { type Feeds, joined } from '../../engine/runtime/backend.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import type { TokenRow } from '../data/token-row.ts';
import { type KtoOptions, ktoLoss } from '../objectives/kto.ts';
import {
  type ChosenAndRejected,
  type PreferenceLossKind,
  type PreferenceLossOptions,
  preferenceLoss,
  preferenceLosses,
  preferenceLossKinds,
} from '../objectives/preference.ts';
import type { ModelBatch } from '../run/gradient-learner.ts';
import { completionLogProbs } from '../scoring/heads.ts';
import { type CompletionBatch, type CompletionGroup, completionFeed, groupFeed } from '../scoring/layout.ts';

export type KtoWeights = Pick<KtoOptions, 'desirableWeight' | 'undesirableWeight'>;
export type DpoLossKind = PreferenceLossKind | 'kto';
export const dpoLossKinds: readonly DpoLossKind[] = [...preferenceLossKinds, 'kto'];

/** A row of the data: a pair, of which completions[0] is chosen and completions[1] rejected, or for KTO a single one. */
export interface JudgedRow extends CompletionGroup {
  /** Place in the data. */
  index: number;
  /** The mark of a single answer. */
  isDesirable?: boolean;
  /** Σ log π_ref of each answer, nats; absent where the loss uses no reference. */
  reference?: readonly number[];
}

const isPair = ({ isDesirable }: JudgedRow): boolean => isDesirable === undefined;
/** KTO reads a pair as a good and a bad answer. */
const isGood = ({ isDesirable }: JudgedRow, k: number): boolean => isDesirable ?? k === 0;
const marksOf = (rows: readonly JudgedRow[]): boolean[] =>
  rows.flatMap((row) => row.completions.map((_, k) => isGood(row, k)));

export interface DpoObjective extends Required<PreferenceLossOptions>, KtoWeights {
  loss: DpoLossKind;
}

export const usesReference = (loss: DpoLossKind): boolean =>
  loss === 'kto' || preferenceLosses[loss].usesReference;

export const defaultBeta = (loss: DpoLossKind): number =>
  loss === 'kto' ? 0.1 : preferenceLosses[loss].defaultBeta;

/**
 * The loss where policy and reference are the same model; absent for losses without a reference, and where it depends on
 * which answers a step has.
 */
export function lossAtReference(objective: DpoObjective): number | undefined {
  const { loss, beta, likelihoodWeight, desirableWeight = 1, undesirableWeight = 1 } = objective;
  if (likelihoodWeight !== 0) return undefined;
  const losses: Partial<Record<DpoLossKind, number>> = {
    ...{ dpo: Math.LN2, cdpo: Math.LN2, robust: Math.LN2, hinge: 1 },
    kto: desirableWeight === undesirableWeight ? desirableWeight / 2 : undefined,
    ...{ ipo_sum: (1 / (2 * beta)) ** 2, ipo_mean: (1 / (2 * beta)) ** 2 },
  };
  return losses[loss];
}

/** What a micro-batch is a part of. */
export interface WholeStep {
  rows: readonly JudgedRow[];
  /** KTO's z of the step, nats. */
  referencePoint: number;
  /** Names the rows, for messages. */
  describe: () => string;
}

export function judgedMicroBatch(
  config: ModelConfig,
  batch: CompletionBatch<JudgedRow>,
  objective: DpoObjective,
  whole: WholeStep,
): ModelBatch {
  const head = completionLogProbs(batch);
  const { B, K } = batch.shape;
  return {
    key: head.key,
    rows: head.rows,
    graph(parameters) {
      const logProbs = head.graph(config, parameters);
      return objective.loss === 'kto'
        ? ktoObjective(logProbs, K, objective)
        : preferenceObjective(objective.loss, split(logProbs, B), objective);
    },
    feeds: () =>
      joined(head.feeds(), {
        reference: completionFeed(batch, ({ reference }, k) => reference?.[k] ?? 0),
        tokenCounts: completionFeed(batch, ({ completions }, k) => countTargets(completions[k]), 1),
        weights: groupFeed(batch, () => 1 / whole.rows.filter(isPair).length),
        ...(objective.loss === 'kto' && ktoFeeds(batch, whole)),
      }),
    describe: whole.describe,
  };
}

/** Every answer counts the same; measures are means over the good and over the bad ones. */
function ktoFeeds(batch: CompletionBatch<JudgedRow>, { rows, referencePoint }: WholeStep): Feeds {
  const marks = marksOf(rows);
  const good = marks.filter(Boolean).length;
  const bad = marks.length - good;
  return {
    answerWeights: completionFeed(batch, () => 1 / marks.length),
    goodWeights: completionFeed(batch, (row, k) => (isGood(row, k) ? 1 / good : 0)),
    badWeights: completionFeed(batch, (row, k) => (isGood(row, k) ? 0 : 1 / bad)),
    referencePoint: Float32Array.of(referencePoint),
  };
}

/** The first token has no past and is never a target. */
function countTargets({ isTrained }: TokenRow): number {
  return isTrained.reduce((count, flag, i) => count + (i > 0 ? flag : 0), 0);
}

function split(both: Tensor, B: number): ChosenAndRejected {
  return { chosen: slice(both, 0, 0, B), rejected: slice(both, 0, B, 2 * B) };
}

function preferenceObjective(
  kind: PreferenceLossKind,
  policy: ChosenAndRejected,
  options: PreferenceLossOptions,
): Objective {
  const [B] = policy.chosen.shape;
  const reference = usesReference(kind) ? split(input('reference', [2 * B]), B) : undefined;
  const tokenCounts = split(input('tokenCounts', [2 * B]), B);
  const pairs = { policy, reference, tokenCounts };
  const { loss, rewards, margin } = preferenceLoss(kind, pairs, options);
  return { loss: weighed(loss), measures: measuresOf(policy, rewards, margin) };
}

/** @param K completions of a row: two of a pair, which has a margin, or one */
function ktoObjective(policy: Tensor, K: number, options: DpoObjective): Objective {
  const [S] = policy.shape;
  const mean = (of: 'answer' | 'good' | 'bad', values: Tensor) =>
    total(multiply(values, input(`${of}Weights`, [S])));
  const z = input('referencePoint', []);
  const answers = {
    policy,
    reference: input('reference', [S]),
    isDesirable: less(0, input('goodWeights', [S])),
  };
  const { loss, rewards } = ktoLoss(answers, z, options);
  const [chosen, rejected] = [mean('good', rewards), mean('bad', rewards)];
  return {
    loss: mean('answer', loss),
    measures: {
      'rewards/chosen': chosen,
      'rewards/rejected': rejected,
      'rewards/margins': subtract(chosen, rejected),
      ...(K === 2 && { 'rewards/accuracies': shareAbove0(marginOf(split(rewards, S / 2))) }),
      'logps/chosen': mean('good', policy),
      'logps/rejected': mean('bad', policy),
      kl: mean('answer', multiply(constant(1, [S]), z)),
    },
  };
}

const marginOf = ({ chosen, rejected }: ChosenAndRejected): Tensor => subtract(chosen, rejected);

/** A mean over the good or the bad answers is none where the step's rows have no such answer. */
export function knownMeans(
  measures: Record<string, number>,
  rows: readonly JudgedRow[],
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

function measuresOf(
  policy: ChosenAndRejected,
  rewards: ChosenAndRejected,
  margin: Tensor,
): Record<string, Tensor> {
  return {
    'rewards/chosen': weighed(rewards.chosen),
    'rewards/rejected': weighed(rewards.rejected),
    'rewards/margins': weighed(margin),
    'rewards/accuracies': shareAbove0(margin),
    'logps/chosen': weighed(policy.chosen),
    'logps/rejected': weighed(policy.rejected),
  };
}

const shareAbove0 = (margin: Tensor): Tensor => weighed(cast(less(0, margin), 'float'));

/** Σ weight · value: a micro-batch's part of the mean over the step's pairs. */
function weighed(values: Tensor): Tensor {
  return total(multiply(values, input('weights', values.shape)));
}
