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

/** [attended [B,H,1,dh], keys [B,K,C,dh], values [B,K,C,dh]]; places behind the new token are not looked at. */
export function appendAndAttendReference(
  [query, key, value, keys, values, lengths]: readonly Float64Array[],
  node: Node<'appendAndAttend'>,
): Float64Array[] {
  const [B, H, , dh] = node.inputs[0].shape;
  const [, K, C] = node.inputs[3].shape;
  const appended = (cache: Float64Array, token: Float64Array) => {
    const result = cache.slice();
    for (let stack = 0; stack < B * K; stack++) {
      const at = stack * C + lengths[Math.floor(stack / K)];
      result.set(token.subarray(stack * dh, (stack + 1) * dh), at * dh);
    }
    return result;
  };
  const [allKeys, allValues] = [appended(keys, key), appended(values, value)];
  const output = new Float64Array(B * H * dh);
  for (let row = 0; row < B * H; row++) {
    const b = Math.floor(row / H);
    const start = (b * K + Math.floor(((row % H) * K) / H)) * C * dh;
    const odds = Array.from({ length: lengths[b] + 1 }, (_, place) => {
      let score = 0;
      for (let d = 0; d < dh; d++) score += query[row * dh + d] * allKeys[start + place * dh + d];
      return Math.exp(score);
    });
    const normaliser = odds.reduce((sum, x) => sum + x, 0);
    odds.forEach((x, place) => {
      for (let d = 0; d < dh; d++) {
        output[row * dh + d] += (x / normaliser) * allValues[start + place * dh + d];
      }
    });
  }
  return [output, allKeys, allValues];
}
