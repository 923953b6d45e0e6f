// AdamW: Adam with decoupled weight decay. Loshchilov and Hutter 2019 (arXiv:1711.05101), Algorithm 2.
// One loop over typed arrays: it is bound by memory, and its arithmetic (float64, rounded at each store) is the
// same on every machine.

export type FloatArray = Float32Array | Float64Array;

export interface AdamWOptions {
  beta1: number;
  beta2: number;
  epsilon: number;
}

/** Running averages of a parameter's gradient and of its square. */
export interface Moments<A extends FloatArray = FloatArray> {
  first: A;
  second: A;
}

export interface AdamWUpdate {
  learningRate: number;
  /** λ; 0 for parameters that do not decay. */
  weightDecay: number;
  /** The gradient is multiplied by this first (clipping). */
  gradientScale: number;
  /** t ≥ 1: updates so far, this one included. */
  step: number;
}

/** One update of a parameter and its moments, in place. All arrays have the parameter's length. */
export function adamwUpdate(
  parameter: FloatArray,
  gradient: FloatArray,
  { first, second }: Moments,
  { beta1, beta2, epsilon }: AdamWOptions,
  { learningRate, weightDecay, gradientScale, step }: AdamWUpdate,
): void {
  const stepSize = learningRate / (1 - beta1 ** step);
  const correction = 1 / Math.sqrt(1 - beta2 ** step);
  const kept = 1 - learningRate * weightDecay;
  for (let i = 0; i < parameter.length; i++) {
    const g = gradient[i] * gradientScale;
    const m = first[i] + (g - first[i]) * (1 - beta1);
    const v = second[i] * beta2 + g * g * (1 - beta2);
    first[i] = m;
    second[i] = v;
    parameter[i] = parameter[i] * kept - (stepSize * m) / (Math.sqrt(v) * correction + epsilon);
  }
}
