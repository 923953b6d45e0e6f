// The losses of proximal policy optimisation. Schulman et al. 2017 (arXiv:1707.06347).
// Means run over all response tokens of the batch: `weights` [M] is 1/N for a response token, N counting those of
// the whole global batch, else 0, so that losses and measures of micro-batches add up (as in likelihood.ts).

import {
  absolute,
  add,
  cast,
  less,
  maximum,
  minimum,
  multiply,
  select,
  subtract,
  total,
} from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import { clip, clippedSurrogate, probabilityRatio } from './probability-ratio.ts';
import { requireAbove, requireSameShape } from './requirements.ts';

export interface PolicyTokens {
  /** log π, [M] nats, differentiated. */
  newLogProbs: Tensor;
  /** log π of the policy that the rollouts were scored by, [M] nats, constant. */
  oldLogProbs: Tensor;
  /** A, [M], constant. */
  advantages: Tensor;
  /** [M], constant; see above. */
  weights: Tensor;
}

export interface PolicyLossOptions {
  /** ε > 0. */
  clipRange: number;
  /** c > 1: where A < 0 the loss is at most −c·A; 3 is usual. Default: no bound. */
  dualClip?: number;
}

/** All scalars, means over response tokens. */
export interface PolicyMeasures {
  /** Share with |ρ − 1| > ε. */
  clipFraction: Tensor;
  /** ½(log π − log π_old)², nats. */
  approximateKl: Tensor;
  ratioMean: Tensor;
  /** (ρ − 1)²; see `ratioVariance`. */
  ratioSquaredDeviation: Tensor;
}

/**
 * mean max(−Aρ, −A·clip(ρ, 1−ε, 1+ε)), ρ = π/π_old. Schulman et al. 2017, Eq. 7; the dual clip for A < 0, against
 * ratios that explode, after Ye et al. 2020 (arXiv:1912.09729). ρ follows its tangent beyond 20 nats.
 * @returns a scalar loss (−mean A when policy = old policy) and measures
 * @throws ShapeError unless all have one shape; UserError when ε is not > 0 or c not > 1
 */
export function policyLoss(
  { newLogProbs, oldLogProbs, advantages: A, weights }: PolicyTokens,
  { clipRange, dualClip }: PolicyLossOptions,
): { loss: Tensor; measures: PolicyMeasures } {
  requireAbove('policy loss: clipRange', clipRange, 0);
  if (dualClip !== undefined) requireAbove('policy loss: dualClip', dualClip, 1);
  requireSameShape('policy loss', { newLogProbs, oldLogProbs, advantages: A, weights });
  const logRatio = select(less(0, weights), subtract(newLogProbs, oldLogProbs), 0);
  const ratio = probabilityRatio(logRatio);
  const perToken = clippedSurrogate(ratio, A, clipRange, clipRange);
  const bounded =
    dualClip === undefined
      ? perToken
      : select(less(A, 0), minimum(perToken, multiply(A, -dualClip)), perToken);
  const mean = (x: Tensor) => total(multiply(x, weights));
  const deviation = subtract(ratio, 1);
  return {
    loss: mean(bounded),
    measures: {
      clipFraction: mean(cast(less(clipRange, absolute(deviation)), 'float')),
      approximateKl: mean(multiply(multiply(logRatio, logRatio), 0.5)),
      ratioMean: mean(ratio),
      ratioSquaredDeviation: mean(multiply(deviation, deviation)),
    },
  };
}

/** Var ρ from the two means of ρ that add up over micro-batches. */
export function ratioVariance(ratioMean: number, ratioSquaredDeviation: number): number {
  return Math.max(0, ratioSquaredDeviation - (ratioMean - 1) ** 2);
}

export interface ValueTokens {
  /** V, [M], differentiated. */
  newValues: Tensor;
  /** V when the rollouts were made, [M], constant. */
  oldValues: Tensor;
  /** R, [M], constant. */
  returns: Tensor;
  /** [M], constant; see above. */
  weights: Tensor;
}

/**
 * ½ mean max((V − R)², (V_old + clip(V − V_old, ±ε_v) − R)²), without its coefficient. After Schulman et al. 2017,
 * Eq. 9, clipped as in OpenAI's code for it.
 * @returns a scalar loss and the share of tokens at which the clipped error is the larger
 * @throws ShapeError unless all have one shape; UserError when ε_v is not > 0
 */
export function valueLoss(
  { newValues, oldValues, returns, weights }: ValueTokens,
  { valueClipRange }: { valueClipRange: number },
): { loss: Tensor; measures: { clipFraction: Tensor } } {
  requireAbove('value loss: valueClipRange', valueClipRange, 0);
  requireSameShape('value loss', { newValues, oldValues, returns, weights });
  const change = clip(subtract(newValues, oldValues), -valueClipRange, valueClipRange);
  const free = square(subtract(newValues, returns));
  const clipped = square(subtract(add(oldValues, change), returns));
  const mean = (x: Tensor) => total(multiply(x, weights));
  return {
    loss: multiply(mean(maximum(free, clipped)), 0.5),
    measures: { clipFraction: mean(cast(less(free, clipped), 'float')) },
  };
}

const square = (x: Tensor): Tensor => multiply(x, x);

/**
 * −c·mean H(π(· | y₍<t₎)), to be added to the policy loss: it rewards a policy that stays undecided. Schulman et al.
 * 2017, Eq. 9.
 * @param entropies of the next-token distributions, [M] nats, differentiated
 * @param weights   [M], constant; see above
 * @returns a scalar
 * @throws ShapeError unless the shapes agree; UserError when c is not ≥ 0
 */
export function entropyTerm(entropies: Tensor, weights: Tensor, coefficient: number): Tensor {
  requireAbove('entropy term: coefficient', coefficient, 0, { isIncluded: true });
  requireSameShape('entropy term', { entropies, weights });
  return multiply(total(multiply(entropies, weights)), -coefficient);
}
