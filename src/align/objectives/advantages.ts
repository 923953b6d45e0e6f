// From scores of whole answers to how much better each token was than expected. Numbers, not tensors: nothing here
// is differentiated. A row is a completion's, one number per token.

import { ShapeError, UserError } from '../../engine/errors.ts';
import { type Rows, requireAbove, requireSameRows } from './requirements.ts';

/**
 * The score of a completion without an EOS token: `replace` puts a fixed score in its place (−1 in Huang et al. 2024,
 * arXiv:2403.17031), `subtract` takes a penalty ≥ 0 off its own (TRL).
 */
export type MissingEosRule = { kind: 'replace'; score: number } | { kind: 'subtract'; penalty: number };

/**
 * Scores after the rule.
 * @param endsWithEos [B], 1 where the completion ended with EOS
 * @throws ShapeError unless both are [B]; UserError when the rule's number is not finite or a penalty is below 0
 */
export function scoresWithEosRule(
  scores: ArrayLike<number>,
  endsWithEos: ArrayLike<number>,
  rule: MissingEosRule,
): Float64Array {
  if (rule.kind === 'replace') requireAbove('missing EOS: score', rule.score, Number.NEGATIVE_INFINITY);
  else requireAbove('missing EOS: penalty', rule.penalty, 0, { isIncluded: true });
  requireCount('missing EOS: endsWithEos', endsWithEos, scores.length);
  const unended = rule.kind === 'replace' ? () => rule.score : (score: number) => score - rule.penalty;
  return Float64Array.from(scores, (score, b) => (endsWithEos[b] ? score : unended(score)));
}

export interface ScoredRollouts {
  /** Estimates of `rolloutTokenKl`, nats. */
  klPerToken: Rows;
  /** One score per completion, [B]. */
  scores: ArrayLike<number>;
}

/**
 * r_t = −β·kl_t, plus the score on the last token. Ouyang et al. 2022, Eq. 2 (arXiv:2203.02155).
 * @param klCoefficient β ≥ 0
 * @throws ShapeError unless there are as many rows as scores; UserError when a completion has no token for its score
 */
export function tokenRewards({ klPerToken, scores }: ScoredRollouts, klCoefficient: number): Float64Array[] {
  requireAbove('rewards: klCoefficient', klCoefficient, 0, { isIncluded: true });
  requireCount('rewards: scores', scores, klPerToken.length);
  return klPerToken.map((kl, b) => {
    if (kl.length === 0) throw noToken(`rewards, row ${b}`);
    const rewards = Float64Array.from(kl, (nats) => -klCoefficient * nats);
    rewards[rewards.length - 1] += scores[b];
    return rewards;
  });
}

/**
 * δ_t = r_t + γV_{t+1} − V_t, A_t = δ_t + γλA_{t+1}, R_t = A_t + V_t, V = 0 after the last token. Schulman et al. 2016,
 * Eq. 11–16 (arXiv:1506.02438).
 * @param values V_t: the value model's estimate before each token
 * @param discount gamma and lambda in [0, 1]; 1 and 0.95 are usual for language
 * @throws ShapeError unless the rows agree in length; UserError when gamma or lambda is outside [0, 1]
 */
export function generalisedAdvantages(
  { rewards, values }: { rewards: Rows; values: Rows },
  { gamma, lambda }: { gamma: number; lambda: number },
): { advantages: Float64Array[]; returns: Float64Array[] } {
  requireFraction('advantages: gamma', gamma);
  requireFraction('advantages: lambda', lambda);
  requireSameRows('advantages', { rewards, values });
  const advantages = rewards.map((r, b) => {
    const [V, A] = [values[b], new Float64Array(r.length)];
    let [nextValue, nextAdvantage] = [0, 0];
    for (let t = r.length - 1; t >= 0; t--) {
      const delta = r[t] + gamma * nextValue - V[t];
      A[t] = delta + gamma * lambda * nextAdvantage;
      [nextValue, nextAdvantage] = [V[t], A[t]];
    }
    return A;
  });
  const returns = advantages.map((A, b) => A.map((advantage, t) => advantage + values[b][t]));
  return { advantages, returns };
}

/** Inside the root, so that rows that are all equal become 0 and not NaN. */
const varianceFloor = 1e-8;

/**
 * (x − mean) / √(variance + 1e-8) over the tokens of all rows, the variance biased (divided by N).
 * Call it on the whole batch: whitening parts apart makes unlike parts look alike.
 * @param keepMean add the mean back, as for rewards, whose sign means something
 * @throws UserError when there is no token
 */
export function whiten(rows: Rows, { keepMean = false }: { keepMean?: boolean } = {}): Float64Array[] {
  const { mean, variance } = momentsOf('whitening', rows);
  const scale = 1 / Math.sqrt(variance + varianceFloor);
  const shift = keepMean ? mean : 0;
  return rows.map((row) => Float64Array.from(row, (x) => (x - mean) * scale + shift));
}

/**
 * 1 − Var(R − V)/Var(R) over all tokens: 1 for a value model that knows, 0 for a constant one, below 0 for a harmful
 * one; NaN when all returns are equal.
 * @throws ShapeError unless the rows agree in length; UserError when there is no token
 */
export function explainedVariance(values: Rows, returns: Rows): number {
  requireSameRows('explained variance', { values, returns });
  const errors = returns.map((row, b) => Float64Array.from(row, (R, t) => R - values[b][t]));
  const { variance: left } = momentsOf('explained variance', errors);
  const { variance: all } = momentsOf('explained variance', returns);
  return all === 0 ? Number.NaN : 1 - left / all;
}

function momentsOf(where: string, rows: Rows): { mean: number; variance: number } {
  const all = rows.flatMap((row) => Array.from(row));
  if (all.length === 0) throw noToken(where);
  return moments(all);
}

function moments(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
  return { mean, variance };
}

/** What a group's centred scores are divided by: the group's standard deviation, that of the whole batch, or nothing. */
export type AdvantageScaling = 'group' | 'batch' | 'none';
export const advantageScalings: readonly AdvantageScaling[] = ['group', 'batch', 'none'];

/** Added to the deviation, as in TRL. */
const deviationFloor = 1e-4;

/**
 * A_i = (r_i − mean) / (deviation + 1e-4), the mean that of the completions of one prompt, the deviation unbiased
 * (n − 1). Shao et al. 2024, section 4.1.2 (arXiv:2402.03300). `none` gives Liu et al. 2025 (arXiv:2503.20783), where
 * prompts of all difficulties weigh the same.
 * @param scores one row per prompt: the scores of its completions (the group); a row of equal scores gets zeros
 * @throws UserError when a prompt has fewer than two completions
 */
export function groupRelativeAdvantages(scores: Rows, scaling: AdvantageScaling = 'group'): Float64Array[] {
  const ofBatch = scaling === 'batch' ? sampleDeviation(scores.flatMap((row) => Array.from(row))) : 0;
  return scores.map((group, prompt) => {
    requireSeveral(group, prompt);
    const all = Array.from(group);
    if (hasEqualScores(group)) return new Float64Array(all.length);
    const { mean } = moments(all);
    const deviation = scaling === 'group' ? sampleDeviation(all) : ofBatch;
    const divisor = scaling === 'none' ? 1 : deviation + deviationFloor;
    return Float64Array.from(all, (r) => (r - mean) / divisor);
  });
}

/** √(Σ(x − mean)² / (n − 1)) */
export function sampleDeviation(values: readonly number[]): number {
  return Math.sqrt((moments(values).variance * values.length) / (values.length - 1));
}

/** A group without variance: there is nothing to prefer in it. */
export const hasEqualScores = (group: ArrayLike<number>): boolean =>
  Array.from(group).every((score) => score === group[0]);

/**
 * A_i = r_i − mean of the scores of the prompt's other completions. Kool et al. 2019; Ahmadian et al. 2024
 * (arXiv:2402.14740).
 * @param scores one row per prompt: the scores of its completions; a row of equal scores gets zeros
 * @throws UserError when a prompt has fewer than two completions
 */
export function leaveOneOutAdvantages(scores: Rows): Float64Array[] {
  return scores.map((group, prompt) => {
    requireSeveral(group, prompt);
    if (hasEqualScores(group)) return new Float64Array(group.length);
    const total = Array.from(group).reduce((sum, r) => sum + r, 0);
    return Float64Array.from(group, (r) => r - (total - r) / (group.length - 1));
  });
}

function requireSeveral(group: ArrayLike<number>, prompt: number): void {
  if (group.length >= 2) return;
  const where = `advantages: prompt ${prompt}`;
  const expected = 'two completions or more, to compare with each other';
  throw new UserError({ where, expected, found: `${group.length}`, advice: 'more samples per prompt' });
}

function requireCount(where: string, list: ArrayLike<number>, count: number): void {
  if (list.length === count) return;
  throw new ShapeError({ where, expected: `${count} numbers, one per completion`, found: `${list.length}` });
}

function requireFraction(where: string, value: number): void {
  if (value >= 0 && value <= 1) return;
  throw new UserError({ where, expected: 'a number in [0, 1]', found: `${value}` });
}

function noToken(where: string): UserError {
  return new UserError({ where, expected: 'at least one token', found: 'none' });
}
