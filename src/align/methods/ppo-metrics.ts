// PPO's metrics, under the names that TRL and OpenAI's code gave them. Means run over response tokens or answers of the
// step's rollouts; padding never counts.

import type { StepResult } from '../../engine/optimizer/update-step.ts';
import { measureAnswers, type ReferenceNgrams } from '../monitor/answer-measures.ts';
import { explainedVariance } from '../objectives/advantages.ts';
import { ratioVariance } from '../objectives/ppo.ts';
import type { Rollout } from '../run/rollouts.ts';

/** One number a token of each answer, and what was made of them. */
export interface StepNumbers {
  scores: Float64Array;
  sequenceKls: Float64Array;
  /** Σ −β·kl of each answer. */
  penalties: Float64Array;
  entropies: readonly Float64Array[];
  generationDifference: number;
  values: readonly Float64Array[];
  returns: readonly Float64Array[];
  isResponseToken: readonly Uint8Array[];
}

export function rolloutMetrics(
  rollouts: readonly Rollout[],
  numbers: StepNumbers,
  ngrams: ReferenceNgrams,
): Record<string, number> {
  const answers = rollouts.map(({ actions: ids, hasEos }) => ({ ids, hasEos }));
  const { scores, sequenceKls, penalties, entropies, values, returns, isResponseToken } = numbers;
  const variance = explainedVariance(values, returns, isResponseToken);
  return {
    'objective/kl': mean(sequenceKls),
    'objective/scores': mean(scores),
    'objective/non_score_reward': mean(penalties),
    'objective/rlhf_reward': mean(scores) + mean(penalties),
    'objective/entropy': mean(entropies.map((row) => sum(row))),
    'policy/entropy': mean(entropies.flatMap((row) => Array.from(row))),
    'val/num_eos_tokens': rollouts.filter(({ hasEos }) => hasEos).length,
    // NaN, which JSON does not have, where all returns are equal.
    ...(Number.isFinite(variance) && { 'val/explained_variance': variance }),
    'generation/log_prob_difference': numbers.generationDifference,
    ...measureAnswers(answers, ngrams),
  };
}

/** @param policy, critic the results of a step's mini-batches in order */
export function updateMetrics(
  policy: readonly StepResult[],
  critic: readonly StepResult[],
): Record<string, number> {
  const of = (results: readonly StepResult[], name: string) =>
    mean(results.map(({ measures }) => measures[name]));
  const ratio = of(policy, 'ratioMean');
  return {
    'policy/approxkl': of(policy, 'approximateKl'),
    'policy/clipfrac': of(policy, 'clipFraction'),
    'loss/policy': mean(policy.map(({ loss }) => loss)),
    'loss/value': mean(critic.map(({ loss }) => loss)),
    'val/clipfrac': of(critic, 'clipFraction'),
    'val/ratio': ratio,
    'val/ratio_var': ratioVariance(ratio, of(policy, 'ratioSquaredDeviation')),
    'gradient_norm/value': mean(critic.map(({ gradientNorm }) => gradientNorm)),
  };
}

export const sum = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((total, x) => total + x, 0);
export const mean = (values: ArrayLike<number>): number => sum(values) / values.length;
