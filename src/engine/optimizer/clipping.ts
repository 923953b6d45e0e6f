// Clipping by global norm. Pascanu et al. 2013 (arXiv:1211.5063), Algorithm 1; the 1e-6 is PyTorch's.

type FloatArray = Float32Array | Float64Array;

/** √Σ g² over all gradients; not finite when any entry is not. */
export function globalNorm(gradients: Iterable<FloatArray>): number {
  let total = 0;
  for (const gradient of gradients) total += sumOfSquares(gradient);
  return Math.sqrt(total);
}

/** Four running sums keep the additions from waiting for each other. */
function sumOfSquares(values: FloatArray): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const end = values.length - (values.length % 4);
  for (let i = 0; i < end; i += 4) {
    a += values[i] * values[i];
    b += values[i + 1] * values[i + 1];
    c += values[i + 2] * values[i + 2];
    d += values[i + 3] * values[i + 3];
  }
  for (let i = end; i < values.length; i++) a += values[i] * values[i];
  return a + b + (c + d);
}

/** What gradients are multiplied by so that their norm is at most `maxNorm` (> 0; Infinity leaves them). */
export function clipScale(norm: number, maxNorm: number): number {
  return Math.min(1, maxNorm / (norm + 1e-6));
}
