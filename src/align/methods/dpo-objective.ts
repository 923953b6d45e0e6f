// What a micro-batch of pairs computes for DPO, its relatives and KTO: summed log-probabilities of the answers, the
// loss of each pair by its equation, and the measures that people watch. Everything is a part of the step's mean.

import {
  add,
  cast,
  concat,
  constant,
  input,
  less,
  multiply,
  slice,
  subtract,
  total,
} from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import type { TokenRow } from '../data/token-row.ts';
import { ktoLoss } from '../objectives/kto.ts';
import {
  type ChosenAndRejected,
  type PreferenceLossKind,
  type PreferenceLossOptions,
  preferenceLoss,
  preferenceLosses,
  preferenceLossKinds,
} from '../objectives/preference.ts';
import { type AnswerBatch, type AnswerRow, answerFeed, askLogProbs, rowFeed } from '../run/answer-batches.ts';
import type { MicroBatch, Objective } from '../run/trainer.ts';

export type DpoLossKind = PreferenceLossKind | 'kto';
export const dpoLossKinds: readonly DpoLossKind[] = [...preferenceLossKinds, 'kto'];

/** A pair of the data: answers[0] is chosen, answers[1] rejected. */
export interface PairRow extends AnswerRow {
  /** Place in the data. */
  index: number;
  /** Σ log π_ref of the two, nats; absent where the loss uses no reference. */
  reference?: readonly [number, number];
}

export interface DpoObjective extends Required<PreferenceLossOptions> {
  loss: DpoLossKind;
}

export const usesReference = (loss: DpoLossKind): boolean =>
  loss === 'kto' || preferenceLosses[loss].usesReference;

export const defaultBeta = (loss: DpoLossKind): number =>
  loss === 'kto' ? 0.1 : preferenceLosses[loss].defaultBeta;

/** The loss where policy and reference are the same model; absent for losses without a reference. */
export function lossAtReference({ loss, beta, likelihoodWeight }: DpoObjective): number | undefined {
  if (likelihoodWeight !== 0) return undefined;
  const losses: Partial<Record<DpoLossKind, number>> = {
    ...{ dpo: Math.LN2, cdpo: Math.LN2, robust: Math.LN2, hinge: 1, kto: 0.5 },
    ...{ ipo_sum: (1 / (2 * beta)) ** 2, ipo_mean: (1 / (2 * beta)) ** 2 },
  };
  return losses[loss];
}

/**
 * @param pairs of the whole step
 * @param referencePoint KTO's z of the step, nats
 */
export function pairMicroBatch(
  config: ModelConfig,
  batch: AnswerBatch<PairRow>,
  objective: DpoObjective,
  { pairs, referencePoint, describe }: { pairs: number; referencePoint: number; describe: () => string },
): MicroBatch {
  const question = askLogProbs(batch);
  const { B } = batch.shape;
  return {
    key: question.key,
    graph(parameters) {
      const logProbs = split(question.answer(config, parameters), B);
      return objective.loss === 'kto'
        ? ktoObjective(logProbs, objective)
        : preferenceObjective(objective.loss, logProbs, objective);
    },
    feeds: {
      ...question.feeds,
      reference: answerFeed(batch, ({ reference }, k) => reference?.[k] ?? 0),
      tokenCounts: answerFeed(batch, ({ answers }, k) => countTargets(answers[k]), 1),
      weights: rowFeed(batch, () => 1 / pairs),
      referencePoint: Float32Array.of(referencePoint),
    },
    describe,
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

/** Each pair is read as a good and a bad answer, each of half a pair's weight. */
function ktoObjective(policy: ChosenAndRejected, { beta }: PreferenceLossOptions): Objective {
  const [B] = policy.chosen.shape;
  const answers = {
    policy: concat([policy.chosen, policy.rejected], 0),
    reference: input('reference', [2 * B]),
    isDesirable: constant([...new Array(B).fill(1), ...new Array(B).fill(0)], [2 * B], 'bool'),
  };
  const z = input('referencePoint', []);
  const marked = ktoLoss(answers, z, { beta });
  const loss = split(marked.loss, B);
  const rewards = split(marked.rewards, B);
  const margin = subtract(rewards.chosen, rewards.rejected);
  const one = constant(1, [B]);
  return {
    loss: weighed(multiply(add(loss.chosen, loss.rejected), 0.5)),
    measures: { ...measuresOf(policy, rewards, margin), kl: weighed(multiply(one, z)) },
  };
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
    'rewards/accuracies': weighed(cast(less(0, margin), 'float')),
    'logps/chosen': weighed(policy.chosen),
    'logps/rejected': weighed(policy.rejected),
  };
}

/** Σ weight · value: a micro-batch's part of the mean over the step's pairs. */
function weighed(values: Tensor): Tensor {
  return total(multiply(values, input('weights', values.shape)));
}
