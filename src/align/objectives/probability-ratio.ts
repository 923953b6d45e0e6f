// e^x of a difference x of log-probabilities, for which no difference is too large.

import { add, exp, minimum, multiply, relu, subtract } from '../../engine/graph/build.ts';
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
