// What an answer is paid before its KL is taken off: the reward, cut, and the rule for answers without an end.
// Huang et al. 2024 (arXiv:2403.17031). And what is measured of answers without being paid.

import { scoresWithEosRule } from '../objectives/advantages.ts';
import type { Rollout } from '../run/rollouts.ts';
import { mean } from './ppo-metrics.ts';
import type { PpoOptions } from './ppo-options.ts';
import type { PpoParts } from './ppo-setup.ts';
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

/** Means over answers of what is watched, and of how far the ensemble disagrees. */
export async function unpaidMeasures(
  { watched, ensemble }: Pick<PpoParts, 'watched' | 'ensemble'>,
  rollouts: readonly Rollout[],
): Promise<Record<string, number>> {
  const answers = rollouts.map(toRewarded);
  const measures: Record<string, number> = {};
  for (const { name, score } of watched.members) measures[`watch/${name}`] = mean(await score(answers));
  const spreads = await ensembleSpreads(ensemble, rollouts);
  if (spreads) measures['ensemble/spread'] = mean(spreads);
  return measures;
}

/**
 * Deviation of the members' scores of each answer: where reward models that learnt from the same labels disagree, none
 * of them knows. Coste et al. 2024 (arXiv:2310.02743). Undefined where there is no ensemble.
 */
export async function ensembleSpreads(
  { members }: Rewards,
  rollouts: readonly Rollout[],
): Promise<number[] | undefined> {
  if (members.length === 0) return undefined;
  const answers = rollouts.map(toRewarded);
  const scores: Float64Array[] = [];
  for (const member of members) scores.push(await member.score(answers));
  return answers.map((_, i) => {
    const own = scores.map((all) => all[i]);
    const centre = mean(own);
    return Math.sqrt(mean(own.map((score) => (score - centre) ** 2)));
  });
}
