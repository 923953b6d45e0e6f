// The scalar head: one number of a hidden state. A reward model reads it at an answer's last token, a value model
// at every token. It stands in the place of the output head, under the name that Transformers gives it.

import { add, matmul, reshape } from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import { Random } from '../../engine/random.ts';
import type { ModelConfig } from './config.ts';
import type { Parameters } from './forward.ts';

export const headWeight = 'score.weight';
export const headBias = 'score.bias';

/**
 * w·h + b.
 * @param hidden [M,D] final hidden states
 * @returns [M]
 */
export function scalarHead(parameters: Parameters, hidden: Tensor): Tensor {
  const values = matmul(hidden, parameters[headWeight], { transposeB: true });
  const bias = parameters[headBias];
  return reshape(bias ? add(values, bias) : values, [hidden.shape[0]]);
}

/** A fresh head weight [1,D]: normal(0, 1/√(D+1)), so that scores begin near unit scale. Stiennon et al. 2020. */
export function initialHeadWeight({ hiddenSize: D }: ModelConfig, seed: number): Float32Array {
  const random = new Random(seed, 'head');
  return Float32Array.from({ length: D }, (_, i) => random.normal(0, i) / Math.sqrt(D + 1));
}
