// KTO: learning from single answers, each marked good or bad, instead of pairs.
// Ethayarajh et al. 2024 (arXiv:2402.01306).

import { UserError } from '../../engine/errors.ts';
import { multiply, negate, select, sigmoid, subtract } from '../../engine/graph/build.ts';
import { describeType, type Tensor } from '../../engine/graph/tensor.ts';
import { requireAbove, requireSameShape } from './requirements.ts';

export interface MarkedAnswers {
  /** Σ log π(y) over completion tokens, [B] nats, differentiated. */
  policy: Tensor;
  /** The same under the frozen reference, [B] nats, constant. */
  reference: Tensor;
  /** bool [B]. */
  isDesirable: Tensor;
}

export interface KtoOptions {
  /** > 0: strength of the pull to the reference. */
  beta: number;
  /** λ_D > 0; λ_D·(good answers) and λ_U·(bad answers) should be about equal. Default 1. */
  desirableWeight?: number;
  /** λ_U > 0. Default 1. */
  undesirableWeight?: number;
}

/**
 * λ_D·(1 − σ(β(d − z))) for good answers and λ_U·(1 − σ(β(z − d))) for bad ones, d = log π − log π_ref.
 * Ethayarajh et al. 2024, Eq. 8.
 * @param referencePoint z of `ktoReferencePoint`, a scalar input or constant: no gradient flows through it
 * @returns loss [B] in (0, λ), and implicit rewards β·d [B]
 * @throws ShapeError unless all are [B]; UserError when β or a weight is not > 0 or z is computed in the graph
 */
export function ktoLoss(
  { policy, reference, isDesirable }: MarkedAnswers,
  referencePoint: Tensor,
  { beta, desirableWeight = 1, undesirableWeight = 1 }: KtoOptions,
): { loss: Tensor; rewards: Tensor } {
  requireAbove('kto: beta', beta, 0);
  requireAbove('kto: desirableWeight', desirableWeight, 0);
  requireAbove('kto: undesirableWeight', undesirableWeight, 0);
  const weight = select(isDesirable, desirableWeight, undesirableWeight);
  requireSameShape('kto loss', { policy, reference, isDesirable: weight }, 1);
  requireGiven(referencePoint);
  const d = subtract(policy, reference);
  const gain = multiply(subtract(d, referencePoint), beta);
  // 1 − σ(x) = σ(−x), which does not cancel.
  const loss = multiply(weight, sigmoid(select(isDesirable, negate(gain), gain)));
  return { loss, rewards: multiply(d, beta) };
}

function requireGiven(referencePoint: Tensor): void {
  const { kind } = referencePoint.node;
  if (referencePoint.shape.length === 0 && (kind === 'input' || kind === 'constant')) return;
  throw new UserError({
    where: 'kto: referencePoint',
    expected: 'a scalar that is given as input or constant, so that no gradient flows through it',
    found: `${describeType(referencePoint)} from ${kind}`,
  });
}

/**
 * z = max(0, mean of log π(y′|x) − log π_ref(y′|x)), an estimate of KL(π‖π_ref) (section 4.1 of the paper).
 * @param mismatchedLogRatios summed over completion tokens, nats; y′ answers another prompt of the batch
 * @throws UserError when there is none
 */
export function ktoReferencePoint(mismatchedLogRatios: ArrayLike<number>): number {
  const count = mismatchedLogRatios.length;
  if (count === 0) {
    const [where, expected] = ['kto: reference point', 'one answer to another prompt at least'];
    throw new UserError({ where, expected, found: 'none', advice: 'a batch of two rows or more' });
  }
  return Math.max(0, Array.from(mismatchedLogRatios).reduce((sum, d) => sum + d, 0) / count);
}
