// RLOO: the whole completion is one action, compared with the other completions of its prompt. Ahmadian et al. 2024
// (arXiv:2402.14740); advantages are in advantages.ts.

import {
  less,
  matmul,
  multiply,
  negate,
  reshape,
  select,
  subtract,
  total,
} from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import {
  type ClippedShares,
  clippedShares,
  clippedSurrogate,
  probabilityRatio,
} from './probability-ratio.ts';
import { requireAbove, requireSameShape } from './requirements.ts';

export interface SequenceActions {
  /** log π of each token, [M] nats, differentiated. */
  newLogProbs: Tensor;
  /** log π of the policy that the completions were drawn from, [M] nats, constant; absent while it is the same policy. */
  oldLogProbs?: Tensor;
  /** 1/N for each of the update's N tokens, 0 on padding, [M], constant. */
  tokenWeights: Tensor;
  /** 1 where a token belongs to a completion, [B, M], constant. */
  membership: Tensor;
  /** A of each completion, [B], constant. */
  advantages: Tensor;
  /** 1/(completions of the update), [B], constant. */
  weights: Tensor;
}

/** All scalars, means over the update's completions. */
export interface SequenceMeasures extends ClippedShares {
  /** The loss's value, see below. */
  objective: Tensor;
}

/**
 * mean max(−Aρ, −A·clip(ρ, 1−ε, 1+ε)), ρ = π(y)/π_old(y) of a whole completion. Without old log-probabilities the
 * policy is still the old one: ρ is 1 and its gradient that of log π(y), so the loss is −A·log π(y) (REINFORCE), and
 * `objective` has the value with ρ = 1.
 * @returns a scalar loss and measures
 * @throws ShapeError unless tokens and completions agree; UserError when an ε is not > 0
 */
export function leaveOneOutLoss(
  { newLogProbs, oldLogProbs, tokenWeights, membership, advantages: A, weights }: SequenceActions,
  { clipLow, clipHigh }: { clipLow: number; clipHigh: number },
): { loss: Tensor; measures: SequenceMeasures } {
  requireAbove('RLOO: clipLow', clipLow, 0);
  requireAbove('RLOO: clipHigh', clipHigh, 0);
  requireSameShape('RLOO: tokens', { newLogProbs, tokenWeights, ...(oldLogProbs && { oldLogProbs }) }, 1);
  requireSameShape('RLOO: completions', { advantages: A, weights }, 1);
  const [[M], [B]] = [newLogProbs.shape, A.shape];
  const sumOf = (tokens: Tensor) => reshape(matmul(membership, reshape(tokens, [M, 1])), [B]);
  const mean = (x: Tensor) => total(multiply(x, weights));
  const isToken = less(0, tokenWeights);
  const logRatio = oldLogProbs
    ? sumOf(select(isToken, subtract(newLogProbs, oldLogProbs), 0))
    : multiply(weights, 0);
  const ratio = probabilityRatio(logRatio);
  const objective = mean(clippedSurrogate(ratio, A, clipLow, clipHigh));
  const logProb = sumOf(select(isToken, newLogProbs, 0));
  return {
    loss: oldLogProbs ? objective : mean(negate(multiply(A, logProb))),
    measures: { objective, ...clippedShares(ratio, A, { clipLow, clipHigh }, mean) },
  };
}
