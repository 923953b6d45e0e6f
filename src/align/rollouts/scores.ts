// The score of a completion before its KL is subtracted: the reward, clipped, and the rule for completions without EOS.
// Huang et al. 2024 (arXiv:2403.17031). And what is measured of completions without being optimised.

import { type MissingEosRule, scoresWithEosRule } from '../objectives/advantages.ts';
import type { Rollout } from './collect.ts';
import { mean } from './metrics.ts';
import { toRewarded } from './prompted-policy.ts';
import type { Rewards } from './rewards.ts';

export interface ScoreOptions {
  /** Scores are clipped to ± this. */
  rewardClip?: number;
  /** Of completions cut off at `maxTokens`: a fixed score, or their own less a penalty. Absent: their own. */
  missingEos?: 'replace' | 'subtract';
  /** That score, or that penalty; default −1, or 1. */
  missingEosScore?: number;
}

/** One score per completion. */
export async function scoreRollouts(
  rewards: Rewards,
  rollouts: readonly Rollout[],
  options: ScoreOptions,
): Promise<Float64Array> {
  const { rewardClip = Number.POSITIVE_INFINITY } = options;
  const scores = await rewards.score(rollouts.map(toRewarded));
  const clipped = scores.map((score) => Math.min(Math.max(score, -rewardClip), rewardClip));
  const rule = eosRule(options);
  const endsWithEos = rollouts.map(({ hasEos }) => Number(hasEos));
  return rule ? scoresWithEosRule(clipped, endsWithEos, rule) : clipped;
}

function eosRule({ missingEos, missingEosScore }: ScoreOptions): MissingEosRule | undefined {
  if (missingEos === 'replace') return { kind: 'replace', score: missingEosScore ?? -1 };
  if (missingEos === 'subtract') return { kind: 'subtract', penalty: missingEosScore ?? 1 };
  return undefined;
}

/** Means over completions of the watched rewards, and of how far the ensemble disagrees. */
export async function watchedMetrics(
  { watched, ensemble }: { watched: Rewards; ensemble: Rewards },
  rollouts: readonly Rollout[],
): Promise<Record<string, number>> {
  const completions = rollouts.map(toRewarded);
  const metrics: Record<string, number> = {};
  for (const { name, score } of watched.members) metrics[`watch/${name}`] = mean(await score(completions));
  const spreads = await ensembleSpreads(ensemble, rollouts);
  if (spreads) metrics['ensemble/spread'] = mean(spreads);
  return metrics;
}

/**
 * Deviation of the members' scores of each completion: where reward models that learnt from the same labels disagree,
 * none of them knows. Coste et al. 2024 (arXiv:2310.02743). Undefined where there is no ensemble.
 */
export async function ensembleSpreads(
  { members }: Rewards,
  rollouts: readonly Rollout[],
): Promise<number[] | undefined> {
  if (members.length === 0) return undefined;
  const completions = rollouts.map(toRewarded);
  const scores: Float64Array[] = [];
  for (const member of members) scores.push(await member.score(completions));
  return completions.map((_, i) => {
    const own = scores.map((all) => all[i]);
    const centre = mean(own);
    return Math.sqrt(mean(own.map((score) => (score - centre) ** 2)));
  });
}
