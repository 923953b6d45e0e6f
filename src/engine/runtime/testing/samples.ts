// Seeded values for the operations' cases. A sample is drawn when it is needed and rounded to float32, so that
// the reference and a backend see the same numbers.

import { type DType, type Shape, sizeOf } from '../../graph/tensor.ts';
import { Random } from '../../random.ts';
import type { TensorData } from '../backend.ts';

export interface Sample {
  shape: Shape;
  dtype: DType;
  draw: (random: Random, step: number) => ArrayLike<number>;
}

type Element = (random: Random, step: number, index: number) => number;

const sample = (shape: Shape, dtype: DType, element: Element): Sample => ({
  shape,
  dtype,
  draw: (random, step) => Array.from({ length: sizeOf(shape) }, (_, i) => element(random, step, i)),
});

const uniformBetween = (low: number, high: number): Element => {
  return (random, step, index) => low + (high - low) * random.uniform(step, index);
};

/** Standard normal. */
export const normal = (...shape: number[]): Sample =>
  sample(shape, 'float', (random, step, index) => random.normal(step, index));

/** Uniform in [0.5, 2]. */
export const positive = (...shape: number[]): Sample => sample(shape, 'float', uniformBetween(0.5, 2));

/** Of either sign with 0.2 ≤ |x| ≤ 2: away from the kink of |x| and of max(x, 0). */
export const awayFromZero = (...shape: number[]): Sample =>
  sample(shape, 'float', (random, step, index) => {
    const value = uniformBetween(-1.8, 1.8)(random, step, index);
    return value + (value < 0 ? -0.2 : 0.2);
  });

/** Every multiple of 1/16 around `centre` once, in random order: no two are equal or nearly so. */
export const distinct = (shape: Shape, centre = 0): Sample => ({
  shape,
  dtype: 'float',
  draw: (random, step) => {
    const size = sizeOf(shape);
    return Array.from(
      random.permutation(size, step),
      (place) => centre + (place - Math.floor(size / 2)) / 16,
    );
  },
});

/** Integers in [0, bound). */
export const ids = (bound: number, ...shape: number[]): Sample =>
  sample(shape, 'int', (random, step, index) => random.integer(bound, step, index));

export const flags = (...shape: number[]): Sample =>
  sample(shape, 'bool', (random, step, index) => random.integer(2, step, index));

/** The numbers that are given. */
export const given = (values: readonly number[], dtype: DType = 'float'): Sample => ({
  shape: [values.length],
  dtype,
  draw: () => values,
});

const arrays = { float: Float32Array, int: Int32Array, bool: Uint8Array };

/** The values of each sample; `seed` distinguishes cases. */
export function drawAll(samples: Readonly<Record<string, Sample>>, seed = 0): Record<string, TensorData> {
  const random = new Random(seed, 'testing');
  const drawn = Object.entries(samples).map(([name, { dtype, draw }], step) => {
    return [name, arrays[dtype].from(draw(random, step))];
  });
  return Object.fromEntries(drawn) as Record<string, TensorData>;
}

/** `sample` over and over until `shape` is full: large inputs that cost little to draw. */
export const repeated = (source: Sample, ...shape: number[]): Sample => ({
  shape,
  dtype: source.dtype,
  draw: (random, step) => {
    const values = source.draw(random, step);
    return Array.from({ length: sizeOf(shape) }, (_, i) => values[i % values.length]);
  },
});
