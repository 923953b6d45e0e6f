// Clipping by global norm. Pascanu et al. 2013 (arXiv:1211.5063), Algorithm 1; the 1e-6 is PyTorch's.

type FloatArray = Float32Array | Float64Array;

/** √Σ g² over all gradients; not finite when any entry is not. */
export function globalNorm(gradients: Iterable<FloatArray>): number {
  let total = 0;
  for (const gradient of gradients) total += sumOfSquares(gradient);
  return Math.sqrt(total);
}

/** Float32 entries are widened a block at a time: twice as fast as one by one, where each waits for the one before. */
const block = new Float64Array(4096);

/** Four running sums keep the additions from waiting for each other. */
function sumOfSquares(values: FloatArray): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let start = 0; start < values.length; start += block.length) {
    const part = values.subarray(start, start + block.length);
    block.set(part);
    const end = part.length - (part.length % 4);
    for (let i = 0; i < end; i += 4) {
      a += block[i] * block[i];
      b += block[i + 1] * block[i + 1];
      c += block[i + 2] * block[i + 2];
      d += block[i + 3] * block[i + 3];
    }
    for (let i = end; i < part.length; i++) a += block[i] * block[i];
  }
  return a + b + (c + d);
}

/** What gradients are multiplied by so that their norm is at most `maxNorm` (> 0; Infinity leaves them). */
export function clipScale(norm: number, maxNorm: number): number {
  return Math.min(1, maxNorm / (norm + 1e-6));
}
