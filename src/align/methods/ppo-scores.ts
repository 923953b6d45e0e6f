// What an answer is paid before its KL is taken off: the reward, cut, and the rule for answers without an end.
// Huang et al. 2024 (arXiv:2403.17031).

import { scoresWithEosRule } from '../objectives/advantages.ts';
import type { Rollout } from '../run/rollouts.ts';
import type { PpoOptions } from './ppo-options.ts';
import { toRewarded } from './prompted-policy.ts';
import type { Rewards } from './rewards.ts';

/** Of an answer without an end: its score, or the penalty on it, unless given. */
const missingEosScores = { replace: -1, subtract: 1 };

/** One score an answer. */
export async function paidScores(
  rewards: Rewards,
  rollouts: readonly Rollout[],
  { rewardClip = Number.POSITIVE_INFINITY, missingEos, missingEosScore }: PpoOptions,
): Promise<Float64Array> {
  const scores = await rewards.score(rollouts.map(toRewarded));
  const clipped = scores.map((score) => Math.min(Math.max(score, -rewardClip), rewardClip));
  const endsWithEos = rollouts.map(({ hasEos }) => Number(hasEos));
  const value = missingEosScore ?? missingEosScores[missingEos];
  return missingEos === 'replace'
    ? scoresWithEosRule(clipped, endsWithEos, { kind: 'replace', score: value })
    : scoresWithEosRule(clipped, endsWithEos, { kind: 'subtract', penalty: value });
}
