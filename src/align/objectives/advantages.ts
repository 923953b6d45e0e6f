// From scores of whole answers to how much better each token was than expected. Numbers, not tensors: nothing here
// is differentiated. Rows are as long as their answers; isResponseToken is 1 where a token counts.

import { ShapeError, UserError } from '../../engine/errors.ts';
import { type Rows, requireAbove, requireSameRows } from './requirements.ts';

/**
 * What an answer that never ended is scored: `replace` puts a fixed score in its place (−1 in Huang et al. 2024,
 * arXiv:2403.17031), `subtract` takes a penalty ≥ 0 off its own (TRL).
 */
export type MissingEosRule = { kind: 'replace'; score: number } | { kind: 'subtract'; penalty: number };

/**
 * Scores as they are paid out.
 * @param endsWithEos [B], 1 where the answer ended by itself
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
  /** One score an answer, [B]. */
  scores: ArrayLike<number>;
  isResponseToken: Rows;
}

/**
 * r_t = −β·kl_t, plus the score on the last response token. Ouyang et al. 2022, Eq. 2 (arXiv:2203.02155).
 * @param klCoefficient β ≥ 0
 * @returns as long as the rows, 0 where a token is not the response's
 * @throws ShapeError unless rows and scores agree; UserError when an answer has no token to put the score on
 */
export function tokenRewards(rollouts: ScoredRollouts, klCoefficient: number): Float64Array[] {
  const { klPerToken, scores, isResponseToken } = rollouts;
  requireAbove('rewards: klCoefficient', klCoefficient, 0, { isIncluded: true });
  requireSameRows('rewards', { isResponseToken, klPerToken });
  requireCount('rewards: scores', scores, isResponseToken.length);
  return isResponseToken.map((isResponse, b) => {
    const rewards = Float64Array.from(isResponse, (counts, t) =>
      counts ? -klCoefficient * klPerToken[b][t] : 0,
    );
    const last = Array.from(isResponse).findLastIndex((counts) => counts);
    if (last < 0) throw noResponse(`rewards, row ${b}`);
    rewards[last] += scores[b];
    return rewards;
  });
}

export interface ValuedRollouts {
  rewards: Rows;
  /** V_t: what the critic expected before each token. */
  values: Rows;
  isResponseToken: Rows;
}

/**
 * δ_t = r_t + γV_{t+1} − V_t, A_t = δ_t + γλA_{t+1}, R_t = A_t + V_t over the response tokens in their order, V = 0
 * after the last. Schulman et al. 2016, Eq. 11–16 (arXiv:1506.02438).
 * @param discount gamma and lambda in [0, 1]; 1 and 0.95 are usual for language
 * @returns advantages and returns, 0 where a token is not the response's
 * @throws ShapeError unless the rows agree in length; UserError when gamma or lambda is outside [0, 1]
 */
export function generalisedAdvantages(
  { rewards, values, isResponseToken }: ValuedRollouts,
  { gamma, lambda }: { gamma: number; lambda: number },
): { advantages: Float64Array[]; returns: Float64Array[] } {
  requireFraction('advantages: gamma', gamma);
  requireFraction('advantages: lambda', lambda);
  requireSameRows('advantages', { isResponseToken, rewards, values });
  const advantages = isResponseToken.map((isResponse, b) => {
    const A = new Float64Array(isResponse.length);
    let [nextValue, nextAdvantage] = [0, 0];
    for (let t = isResponse.length - 1; t >= 0; t--) {
      if (!isResponse[t]) continue;
      const delta = rewards[b][t] + gamma * nextValue - values[b][t];
      A[t] = delta + gamma * lambda * nextAdvantage;
      [nextValue, nextAdvantage] = [values[b][t], A[t]];
    }
    return A;
  });
  const returns = advantages.map((A, b) =>
    A.map((advantage, t) => (isResponseToken[b][t] ? advantage + values[b][t] : 0)),
  );
  return { advantages, returns };
}

/** Inside the root, so that rows that are all equal become 0 and not NaN. */
const varianceFloor = 1e-8;

/**
 * (x − mean) / √(variance + 1e-8) over the response tokens of all rows, the variance biased (divided by N).
 * Call it on the whole batch: whitening parts apart makes unlike parts look alike.
 * @param keepMean add the mean back, as for rewards, whose sign means something
 * @returns 0 where a token is not the response's
 * @throws ShapeError unless the rows agree in length; UserError when no token counts
 */
export function whiten(
  rows: Rows,
  isResponseToken: Rows,
  { keepMean = false }: { keepMean?: boolean } = {},
): Float64Array[] {
  const { mean, variance } = momentsOf('whitening', rows, isResponseToken);
  const scale = 1 / Math.sqrt(variance + varianceFloor);
  const shift = keepMean ? mean : 0;
  return rows.map((row, b) =>
    Float64Array.from(row, (x, t) => (isResponseToken[b][t] ? (x - mean) * scale + shift : 0)),
  );
}

/**
 * 1 − Var(R − V)/Var(R) over the response tokens: 1 for a critic that knows, 0 for a constant one, below 0 for a
 * harmful one; NaN when all returns are equal.
 * @throws ShapeError unless the rows agree in length; UserError when no token counts
 */
export function explainedVariance(values: Rows, returns: Rows, isResponseToken: Rows): number {
  requireSameRows('explained variance', { isResponseToken, values, returns });
  const errors = returns.map((row, b) => Float64Array.from(row, (R, t) => R - values[b][t]));
  const { variance: left } = momentsOf('explained variance', errors, isResponseToken);
  const { variance: all } = momentsOf('explained variance', returns, isResponseToken);
  return all === 0 ? Number.NaN : 1 - left / all;
}

function momentsOf(where: string, rows: Rows, isResponseToken: Rows): { mean: number; variance: number } {
  requireSameRows(where, { isResponseToken, rows });
  const counted = rows.flatMap((row, b) => Array.from(row).filter((_, t) => isResponseToken[b][t]));
  if (counted.length === 0) throw noResponse(where);
  return moments(counted);
}

function moments(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
  return { mean, variance };
}

/**
 * A_i = (r_i − mean) / √(variance + 1e-8) within the answers to one prompt, the variance biased. Shao et al. 2024,
 * section 4.1.2 (arXiv:2402.03300). Without the division the advantages are those of Liu et al. 2025
 * (arXiv:2503.20783), where hard and easy prompts weigh as they are.
 * @param scores one row a prompt: the scores of its G answers; a row of equal scores gets zeros
 * @throws UserError when a prompt has fewer than two answers
 */
export function groupRelativeAdvantages(
  scores: Rows,
  { divideByDeviation = true }: { divideByDeviation?: boolean } = {},
): Float64Array[] {
  return scores.map((group, prompt) => {
    requireSeveral(group, prompt);
    const { mean, variance } = moments(Array.from(group));
    const scale = divideByDeviation ? 1 / Math.sqrt(variance + varianceFloor) : 1;
    return Float64Array.from(group, (r) => (r - mean) * scale);
  });
}

/**
 * A_i = r_i − mean of the other answers' scores. Kool et al. 2019; Ahmadian et al. 2024 (arXiv:2402.14740).
 * @param scores one row a prompt: the scores of its k answers
 * @throws UserError when a prompt has fewer than two answers
 */
export function leaveOneOutAdvantages(scores: Rows): Float64Array[] {
  return scores.map((group, prompt) => {
    requireSeveral(group, prompt);
    const total = Array.from(group).reduce((sum, r) => sum + r, 0);
    return Float64Array.from(group, (r) => r - (total - r) / (group.length - 1));
  });
}

function requireSeveral(group: ArrayLike<number>, prompt: number): void {
  if (group.length >= 2) return;
  const where = `advantages: prompt ${prompt}`;
  const expected = 'two answers or more, to compare with each other';
  throw new UserError({ where, expected, found: `${group.length}`, advice: 'more samples a prompt' });
}

function requireCount(where: string, list: ArrayLike<number>, count: number): void {
  if (list.length === count) return;
  throw new ShapeError({ where, expected: `${count} numbers, one an answer`, found: `${list.length}` });
}

function requireFraction(where: string, value: number): void {
  if (value >= 0 && value <= 1) return;
  throw new UserError({ where, expected: 'a number in [0, 1]', found: `${value}` });
}

function noResponse(where: string): UserError {
  return new UserError({ where, expected: 'a response token at least', found: 'none' });
}
