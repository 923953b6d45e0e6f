// The next-token objective of pretraining and supervised fine-tuning.

import { multiply, negate, total } from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';

/**
 * L = −Σ wₜ·log π(yₜ | y₍<t₎). Radford et al. 2018, Eq. 1.
 * @param logProbs [M] nats, differentiated
 * @param weights  [M], constant: 1/N for a trained token, N counting those of the whole global batch, else 0;
 *   dividing within each micro-batch instead would be biased under accumulation
 * @returns a scalar, nats per trained token
 */
export function negativeLogLikelihood(logProbs: Tensor, weights: Tensor): Tensor {
  return negate(total(multiply(logProbs, weights)));
}
