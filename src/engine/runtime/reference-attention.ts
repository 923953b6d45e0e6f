// Attention in float64, head by head and query by query, as Vaswani et al. 2017, Eq. 1 reads.

import type { Node } from '../graph/tensor.ts';

/** [output [B,H,T,dh], probabilities [B,H,T,S]]; head h reads the keys of head floor(h·K/H). */
export function attentionReference(inputs: readonly Float64Array[], node: Node<'attention'>): Float64Array[] {
  const [query, key, value, bias] = inputs;
  const [B, H, T, dh] = node.inputs[0].shape;
  const [, K, S] = node.inputs[1].shape;
  const output = new Float64Array(B * H * T * dh);
  const probabilities = new Float64Array(B * H * T * S);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      const keys = (b * K + Math.floor((h * K) / H)) * S * dh;
      for (let t = 0; t < T; t++) {
        const row = (b * H + h) * T + t;
        const weights = probabilities.subarray(row * S, (row + 1) * S);
        for (let s = 0; s < S; s++) {
          let score = 0;
          for (let d = 0; d < dh; d++) score += query[row * dh + d] * key[keys + s * dh + d];
          weights[s] = score * node.attributes.scale + bias[(b * T + t) * S + s];
        }
        const largest = weights.reduce((a, w) => Math.max(a, w), -Infinity);
        const normaliser = weights.reduce((sum, w) => sum + Math.exp(w - largest), 0);
        for (let s = 0; s < S; s++) {
          weights[s] = Math.exp(weights[s] - largest) / normaliser;
          for (let d = 0; d < dh; d++) output[row * dh + d] += weights[s] * value[keys + s * dh + d];
        }
      }
    }
  }
  return [output, probabilities];
}
