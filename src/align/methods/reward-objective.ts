// What a micro-batch of pairs or rankings computes for a reward model: a score at the last token of each answer, the
// loss that makes scores agree with people's order, and the measures. Everything is a part of the step's mean.

import {
  cast,
  constant,
  input,
  less,
  multiply,
  reshape,
  slice,
  subtract,
  sum,
  total,
  transpose,
} from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import type { Objective } from '../../engine/optimizer/update-step.ts';
import { joined } from '../../engine/runtime/backend.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import { bradleyTerryLoss, kWiseLoss, plackettLuceLoss } from '../objectives/reward.ts';
import type { ModelBatch } from '../run/gradient-learner.ts';
import { completionScores } from '../scoring/heads.ts';
import { type CompletionBatch, type CompletionGroup, groupFeed } from '../scoring/layout.ts';

/** Answers from the best to the worst. */
export interface RankedRow extends CompletionGroup {
  /** Of a pair: by how much the better was preferred, where the label says so. */
  strength?: number;
}

export interface RewardObjective {
  loss: RewardLossKind;
  /** m of a pair of strength s is margin·s; 0 where the strength is not known. Read by bradley-terry. */
  margin: number;
  /** c ≥ 0 of the added c·(r_c + r_r)². Read by bradley-terry. */
  centering: number;
}

/** From scores [B,K], best first, to losses [B]. */
const rankingLosses = {
  'bradley-terry': (scores: Tensor, options: RewardObjective) => {
    const [B] = scores.shape;
    const [chosen, rejected] = [column(scores, 0), column(scores, 1)];
    const margin = options.margin === 0 ? undefined : input('margins', [B]);
    return bradleyTerryLoss({ chosen, rejected, margin }, options).loss;
  },
  'k-wise': (scores: Tensor) => kWiseLoss(scores),
  'plackett-luce': (scores: Tensor) => plackettLuceLoss(scores),
};
export type RewardLossKind = keyof typeof rankingLosses;
export const rewardLossKinds = Object.keys(rankingLosses) as readonly RewardLossKind[];

/** @param rows of the whole step */
export function rankingMicroBatch(
  config: ModelConfig,
  batch: CompletionBatch<RankedRow>,
  objective: RewardObjective,
  { rows, describe }: { rows: number; describe: () => string },
): ModelBatch {
  const head = completionScores(batch);
  const { B, K } = batch.shape;
  return {
    key: head.key,
    rows: head.rows,
    graph(parameters) {
      const scores = reshape(head.graph(config, parameters), [K, B]);
      return rankingObjective(transpose(scores, [1, 0]), objective);
    },
    feeds: () =>
      joined(head.feeds(), {
        weights: groupFeed(batch, () => 1 / rows),
        margins: groupFeed(batch, ({ strength = 0 }) => objective.margin * strength),
      }),
    describe,
  };
}

/** @param scores [B,K], best first */
function rankingObjective(scores: Tensor, objective: RewardObjective): Objective {
  const [, K] = scores.shape;
  const [best, worst] = [column(scores, 0), column(scores, K - 1)];
  return {
    loss: weighed(rankingLosses[objective.loss](scores, objective)),
    measures: {
      'rewards/chosen': weighed(best),
      'rewards/rejected': weighed(worst),
      'rewards/margins': weighed(subtract(best, worst)),
      'rewards/accuracies': weighed(orderedShare(scores)),
    },
  };
}

const column = (scores: Tensor, k: number): Tensor => reshape(slice(scores, 1, k, k + 1), [scores.shape[0]]);

/** Share of a ranking's pairs whose better answer has the higher score, [B]. */
function orderedShare(scores: Tensor): Tensor {
  const [B, K] = scores.shape;
  const isOrdered = cast(less(reshape(scores, [B, 1, K]), reshape(scores, [B, K, 1])), 'float');
  const share = Array.from({ length: K * K }, (_, i) => (Math.floor(i / K) < i % K ? 2 / (K * (K - 1)) : 0));
  return reshape(sum(multiply(isOrdered, constant(share, [1, K, K])), [1, 2]), [B]);
}

/** Σ weight · value: a micro-batch's part of the mean over the step's rows. */
function weighed(values: Tensor): Tensor {
  return total(multiply(values, input('weights', values.shape)));
}
