// Group relative policy optimisation: several completions of each prompt, each compared with its group, and no value
// model. Shao et al. 2024 (arXiv:2402.03300); its relatives as options: Dr. GRPO (Liu et al. 2025, arXiv:2503.20783) is
// advantageScaling none with lossMean constant, DAPO (Yu et al. 2025, arXiv:2503.14476) lossMean token with clipHigh 0.28.
// A step, in `rollouts/group-learner.ts`: roll out, score, statistics, advantages, update, log.
// Departures: 1. groups whose scores are all equal are skipped in the update, with their KL. 2. With one update per step
// the old log-probabilities are not computed: the ratio is 1. 3. Beyond a hard KL limit the last healthy weights return and
// the run ends. 4. A monitor watches for hacked rewards.

import { UserError } from '../../engine/errors.ts';
import { multiply, total } from '../../engine/graph/build.ts';
import type { JobContext } from '../../engine/runtime/job.ts';
import { type AdvantageScaling, groupRelativeAdvantages } from '../objectives/advantages.ts';
import { groupPolicyLoss, type LossMean, tokenWeight } from '../objectives/grpo.ts';
import {
  type BatchNumbers,
  type GroupMethod,
  type GroupOptions,
  type GroupResult,
  trainOnGroups,
} from '../rollouts/group-learner.ts';
import { type RewardSpecs, rewardSpecsOf } from '../rollouts/on-policy.ts';
import { onEveryToken, tokenMicroBatch } from '../rollouts/update.ts';
import type { RunEvent } from '../run/events.ts';
import { tokenStatistics } from '../scoring/heads.ts';

export interface GrpoOptions extends GroupOptions {
  advantageScaling: AdvantageScaling;
  lossMean: LossMean;
  /** Where β·KL is charged: `loss`, k3 of each token; `reward`, the sum of k1 off the completion's score. */
  klIn: 'loss' | 'reward';
}

export type GrpoResult = GroupResult;

/**
 * Trains a policy by GRPO.
 * @throws UserError before any training when models, rewards or prompts cannot be used; the signal's reason when it
 * aborts before the first step
 */
export async function grpo(
  { specs, ...options }: GrpoOptions & { specs?: RewardSpecs },
  context: JobContext<RunEvent>,
): Promise<GrpoResult> {
  requireGroups(options);
  const method: GroupMethod = {
    name: 'grpo',
    klIn: options.klIn,
    // A_i = (r_i − mean r) / deviation
    advantages: (scores) => groupRelativeAdvantages(scores, options.advantageScaling),
    microBatch: (model, batch, numbers) => {
      const { temperature } = options;
      return tokenMicroBatch(batch, perToken(numbers, options), (parameters, given) => {
        const { logProbs, entropy } = tokenStatistics(model.config, parameters, batch, temperature);
        // mean [max(−Aρ, −A·clip(ρ, 1−ε_low, 1+ε_high)) + β·k3]
        const beta = options.klIn === 'loss' ? options.beta : 0;
        const { loss, measures } = groupPolicyLoss({ newLogProbs: logProbs, ...given }, { ...options, beta });
        return { loss, measures: { ...measures, entropy: total(multiply(entropy, given.tokenWeights)) } };
      });
    },
  };
  return trainOnGroups(options, specs ?? rewardSpecsOf(options), method, context);
}

/** A number of each token; the weights are those of the whole update, so that micro-batches add up. */
function perToken(
  { advantages, counts, updateCounts, oldLogProbs, referenceLogProbs }: BatchNumbers,
  { lossMean, maxTokens }: GrpoOptions,
) {
  const rows = counts.map((count) => new Float64Array(count));
  const weightOf = (mean: LossMean) => {
    const byCount = new Map(tokenWeight(mean, updateCounts, maxTokens).map((w, i) => [updateCounts[i], w]));
    return onEveryToken(
      counts.map((count) => byCount.get(count)!),
      rows,
    );
  };
  return {
    advantages: onEveryToken(advantages, rows),
    lossWeights: weightOf(lossMean),
    tokenWeights: weightOf('token'),
    ...(oldLogProbs && { oldLogProbs }),
    ...(referenceLogProbs && { referenceLogProbs }),
  };
}

/** @throws UserError for a group without a comparison */
export function requireGroups({ groupSize, beta, onAlarm }: GroupOptions): void {
  if (groupSize < 2) {
    const expected = '2 or more, to compare completions with each other';
    throw new UserError({ where: '--group-size', expected, found: `${groupSize}` });
  }
  if (onAlarm !== 'raise-beta') return;
  throw new UserError({
    where: '--on-alarm',
    expected: 'warn, stop or rollback: β is fixed',
    found: `raise-beta with --beta ${beta}`,
  });
}
