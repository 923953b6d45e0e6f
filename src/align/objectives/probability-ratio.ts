// ρ = e^x of a difference x of log-probabilities, for which no difference is too large, and its clipping.

import {
  add,
  and,
  cast,
  exp,
  less,
  maximum,
  minimum,
  multiply,
  negate,
  relu,
  subtract,
} from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';

/** 20 nats: a ratio of 5·10⁸. A policy that far off is lost; its loss must still be a number and point back. */
const largestLogRatio = 20;

/**
 * ρ = e^x up to x = 20 nats and its tangent beyond, so that 1e4 nats give a finite ratio and a finite gradient of
 * the right sign (holding x at 20 instead would make the gradient 0).
 * @param logRatio any shape, nats, differentiated
 */
export function probabilityRatio(logRatio: Tensor): Tensor {
  const beyond = relu(subtract(logRatio, largestLogRatio));
  return multiply(exp(minimum(logRatio, largestLogRatio)), add(beyond, 1));
}

/** ρ − 1 of a number, by the same rule. */
export function probabilityRatioMinusOne(logRatio: number): number {
  if (logRatio <= largestLogRatio) return Math.expm1(logRatio);
  return Math.exp(largestLogRatio) * (1 + logRatio - largestLogRatio) - 1;
}

/** max(−Aρ, −A·clip(ρ, 1−ε_low, 1+ε_high)). Schulman et al. 2017, Eq. 7 (arXiv:1707.06347), as a loss. */
export function clippedSurrogate(ratio: Tensor, A: Tensor, clipLow: number, clipHigh: number): Tensor {
  const free = negate(multiply(A, ratio));
  const clipped = negate(multiply(A, clip(ratio, 1 - clipLow, 1 + clipHigh)));
  return maximum(free, clipped);
}

export const clip = (x: Tensor, least: number, most: number): Tensor => minimum(maximum(x, least), most);

/** Scalars. */
export interface ClippedShares {
  /** Share with ρ < 1 − ε_low and A < 0, and with ρ > 1 + ε_high and A > 0: those without a gradient. */
  clippedLow: Tensor;
  clippedHigh: Tensor;
  ratioMean: Tensor;
  /** (ρ − 1)² */
  ratioSquaredDeviation: Tensor;
}

export function clippedShares(
  ratio: Tensor,
  A: Tensor,
  { clipLow, clipHigh }: { clipLow: number; clipHigh: number },
  mean: (x: Tensor) => Tensor,
): ClippedShares {
  const deviation = subtract(ratio, 1);
  return {
    clippedLow: mean(cast(and(less(ratio, 1 - clipLow), less(A, 0)), 'float')),
    clippedHigh: mean(cast(and(less(1 + clipHigh, ratio), less(0, A)), 'float')),
    ratioMean: mean(ratio),
    ratioSquaredDeviation: mean(multiply(deviation, deviation)),
  };
}
