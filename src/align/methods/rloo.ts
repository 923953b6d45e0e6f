// REINFORCE leave-one-out: a whole completion is one action, and the other completions of its prompt are its baseline.
// Kool et al. 2019; Ahmadian et al. 2024 (arXiv:2402.14740). A step, in `rollouts/group-learner.ts`: roll out, score,
// statistics, advantages, update, log.
// Departures: 1. groups whose scores are all equal are skipped in the update, with their KL. 2. With several updates per
// step the sequence's ratio is clipped, as in TRL. 3. Beyond a hard KL limit the last healthy weights return and the run
// ends. 4. A monitor watches for hacked rewards.

import { input, multiply, total } from '../../engine/graph/build.ts';
import { joined } from '../../engine/runtime/backend.ts';
import type { JobContext } from '../../engine/runtime/job.ts';
import { leaveOneOutAdvantages } from '../objectives/advantages.ts';
import { leaveOneOutLoss } from '../objectives/rloo.ts';
import {
  type GroupMethod,
  type GroupOptions,
  type GroupResult,
  trainOnGroups,
} from '../rollouts/group-learner.ts';
import { type RewardSpecs, rewardSpecsOf } from '../rollouts/on-policy.ts';
import { membershipOf, onEveryToken, tokenMicroBatch } from '../rollouts/update.ts';
import type { RunEvent } from '../run/events.ts';
import { tokenStatistics } from '../scoring/heads.ts';
import { requireGroups } from './grpo.ts';

export type RlooOptions = GroupOptions;
export type RlooResult = GroupResult;

/**
 * Trains a policy by RLOO.
 * @throws UserError before any training when models, rewards or prompts cannot be used; the signal's reason when it
 * aborts before the first step
 */
export async function rloo(
  { specs, ...options }: RlooOptions & { specs?: RewardSpecs },
  context: JobContext<RunEvent>,
): Promise<RlooResult> {
  requireGroups(options);
  const method: GroupMethod = {
    name: 'rloo',
    // R_i = r_i − β·Σ k1
    klIn: 'reward',
    // A_i = R_i − mean of the other R
    advantages: leaveOneOutAdvantages,
    microBatch(model, batch, { advantages, counts, updateCounts, oldLogProbs }) {
      const B = batch.rows.length;
      const tokens = updateCounts.reduce((sum, count) => sum + count, 0);
      const rows = counts.map((count) => new Float64Array(count));
      const tokenWeights = onEveryToken(
        rows.map(() => 1 / tokens),
        rows,
      );
      const numbers = { tokenWeights, ...(oldLogProbs && { oldLogProbs }) };
      const perToken = tokenMicroBatch(batch, numbers, (parameters, given) => {
        const { logProbs, entropy } = tokenStatistics(model.config, parameters, batch, options.temperature);
        // mean max(−Aρ, −A·clip(ρ, 1−ε_low, 1+ε_high)), ρ of the sequence
        const { loss, measures } = leaveOneOutLoss(
          {
            ...{ newLogProbs: logProbs, ...given, membership: input('membership', [B, batch.size]) },
            ...{ advantages: input('advantages', [B]), weights: input('weights', [B]) },
          },
          options,
        );
        return { loss, measures: { ...measures, entropy: total(multiply(entropy, given.tokenWeights)) } };
      });
      return {
        ...perToken,
        key: `${perToken.key}, ${B} completions`,
        feeds: () =>
          joined(perToken.feeds(), {
            membership: membershipOf(batch),
            advantages: Float32Array.from(advantages),
            weights: new Float32Array(B).fill(1 / updateCounts.length),
          }),
      };
    },
  };
  return trainOnGroups(options, specs ?? rewardSpecsOf(options), method, context);
}
