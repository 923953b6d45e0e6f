// How far the policy has moved from the reference: estimates from sampled tokens, in nats, and the coefficient
// that holds it back.

import { UserError } from '../../engine/errors.ts';
import { multiply, negate, subtract } from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import { probabilityRatio, probabilityRatioMinusOne } from './probability-ratio.ts';
import { type Rows, requireAbove, requireSameRows, requireSameShape } from './requirements.ts';

/** Schulman 2020, "Approximating KL divergence": with d = log π_ref − log π, −d, ½d² and e^d − 1 − d. */
export type KlEstimator = 'k1' | 'k2' | 'k3';
export const klEstimators: readonly KlEstimator[] = ['k1', 'k2', 'k3'];

const differentiable: { readonly [K in KlEstimator]: (d: Tensor) => Tensor } = {
  k1: (d) => negate(d),
  k2: (d) => multiply(multiply(d, d), 0.5),
  k3: (d) => subtract(subtract(probabilityRatio(d), 1), d),
};

const ofNumber: { readonly [K in KlEstimator]: (d: number) => number } = {
  k1: (d) => -d,
  k2: (d) => 0.5 * d * d,
  k3: (d) => probabilityRatioMinusOne(d) - d,
};

/**
 * An estimate of KL(π‖π_ref) from each token sampled from π, as a term of a loss. On-policy, k2's gradient is that
 * of KL(π‖π_ref), k3's that of KL(π_ref‖π), and k1's is 0 on average.
 * @param newLogProbs       any shape, nats, differentiated
 * @param referenceLogProbs same shape, nats, constant
 * @returns same shape, nats; k3 follows its tangent where d > 20
 * @throws ShapeError unless the shapes agree
 */
export function tokenKl(estimator: KlEstimator, newLogProbs: Tensor, referenceLogProbs: Tensor): Tensor {
  requireSameShape(`KL estimate ${estimator}`, { newLogProbs, referenceLogProbs });
  return differentiable[estimator](subtract(referenceLogProbs, newLogProbs));
}

/**
 * The same estimates of rollouts, as numbers.
 * @param rollouts log-probabilities in nats, one row per completion
 * @returns nats per token
 * @throws ShapeError unless the rows agree in length
 */
export function rolloutTokenKl(
  estimator: KlEstimator,
  { oldLogProbs, referenceLogProbs }: { oldLogProbs: Rows; referenceLogProbs: Rows },
): Float64Array[] {
  requireSameRows(`KL estimate ${estimator}`, { oldLogProbs, referenceLogProbs });
  return oldLogProbs.map((row, b) =>
    Float64Array.from(row, (old, t) => ofNumber[estimator](referenceLogProbs[b][t] - old)),
  );
}

/** Σ over the tokens of each row, nats per completion. */
export function sequenceKl(klPerToken: Rows): Float64Array {
  return Float64Array.from(klPerToken, (row) => Array.from(row).reduce((sum, kl) => sum + kl, 0));
}

export interface KlControl {
  /** Sequence KL to be held, nats, > 0. */
  targetNats: number;
  /** Episodes in which β could change by a fifth, > 0. */
  horizon: number;
}

/** Ziegler et al. 2019: one error, however large, counts as at most this. */
const largestError = 0.2;

/**
 * β·(1 + clip(KL/target − 1, ±0.2)·n/horizon). Ziegler et al. 2019, section 2.2 (arXiv:1909.08593).
 * n/horizon counts as at most 1, so that β changes by at most a fifth and stays positive.
 * @param observed mean sequence KL in nats, and the n episodes that it was measured on
 * @returns the next β
 * @throws UserError when β, target or horizon is not > 0, or the KL is NaN
 */
export function adaptKlCoefficient(
  beta: number,
  { klNats, episodes }: { klNats: number; episodes: number },
  { targetNats, horizon }: KlControl,
): number {
  requireAbove('adaptive KL: beta', beta, 0);
  requireAbove('adaptive KL: targetNats', targetNats, 0);
  requireAbove('adaptive KL: horizon', horizon, 0);
  requireAbove('adaptive KL: episodes', episodes, 0, { isIncluded: true });
  if (Number.isNaN(klNats)) throw new UserError({ where: 'sequence KL', expected: 'a number', found: 'NaN' });
  const error = Math.min(Math.max(klNats / targetNats - 1, -largestError), largestError);
  return beta * (1 + error * Math.min(1, episodes / horizon));
}

/**
 * log n − (n−1)/n nats: the most that the best of n samples can differ from the policy that they were drawn from.
 * Stiennon et al. 2020, appendix G.3 (arXiv:2009.01325); a bound by Beirami et al. 2024 (arXiv:2401.01879).
 * @throws UserError unless n is a whole number ≥ 1
 */
export function bestOfNKlBound(n: number): number {
  if (!Number.isInteger(n) || n < 1) {
    throw new UserError({ where: 'best of n', expected: 'a whole number n ≥ 1', found: `${n}` });
  }
  return Math.log(n) - (n - 1) / n;
}
