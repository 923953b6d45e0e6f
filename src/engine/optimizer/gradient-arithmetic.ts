// How gradients are added and measured, where they lie: in this process's arrays by loops, whose bits never change, and
// in a device's memory by programs.

import { add, input, multiply, reshape, sum, total } from '../graph/build.ts';
import { type Shape, sizeOf, type Tensor } from '../graph/tensor.ts';
import type { Backend, Feeds, Program } from '../runtime/backend.ts';
import { globalNorm } from './clipping.ts';

/** Of sets of arrays, one a gradient. */
export interface GradientArithmetic {
  /** sum += term */
  addInto(sum: readonly Float32Array[], term: readonly Float32Array[]): Promise<void>;
  /** √Σ g²; not finite when any entry is not. */
  norm(gradients: readonly Float32Array[]): Promise<number>;
  release(): Promise<void>;
}

export const hostArithmetic: GradientArithmetic = {
  async addInto(sum, term) {
    sum.forEach((values, i) => {
      addArrays(values, term[i]);
    });
  },
  norm: async (gradients) => globalNorm(gradients),
  async release() {},
};

function addArrays(sum: Float32Array, term: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] += term[i];
}

/** Programs on tensors that stay on the device; of a norm comes back one number, in float32. */
export async function deviceArithmetic(
  backend: Backend,
  shapes: readonly Shape[],
): Promise<GradientArithmetic> {
  const adder = await backend.compile(
    named('sum', shapes, (i, shape) => add(input(`left ${i}`, shape), input(`right ${i}`, shape))),
    shapes.map((_, i) => `sum ${i}`),
  );
  const squares = shapes.map((shape, i) => sumOfSquares(input(`gradient ${i}`, shape)));
  const measurer = await backend.compile({ squares: addPairwise(squares) });
  return deviceKernels(adder, measurer);
}

function deviceKernels(adder: Program, measurer: Program): GradientArithmetic {
  const feeds = (name: string, arrays: readonly Float32Array[]): Feeds =>
    Object.fromEntries(arrays.map((array, i) => [`${name} ${i}`, array]));
  return {
    async addInto(sum, term) {
      await adder.run({ ...feeds('left', sum), ...feeds('right', term) }, feeds('sum', sum));
    },
    norm: async (gradients) => Math.sqrt((await measurer.run(feeds('gradient', gradients))).squares[0]),
    async release() {
      await adder.release();
      await measurer.release();
    },
  };
}

function named(
  name: string,
  shapes: readonly Shape[],
  tensorOf: (i: number, shape: Shape) => Tensor,
): Record<string, Tensor> {
  return Object.fromEntries(shapes.map((shape, i) => [`${name} ${i}`, tensorOf(i, shape)]));
}

/** By rows first: a device adds rows side by side, but a single sum by one group of threads. */
function sumOfSquares(x: Tensor): Tensor {
  const columns = x.shape.at(-1) ?? 1;
  const rows = reshape(x, [sizeOf(x.shape) / columns, columns]);
  return total(sum(multiply(rows, rows), [1]));
}

function addPairwise(terms: readonly Tensor[]): Tensor {
  if (terms.length === 1) return terms[0];
  const half = terms.length >> 1;
  return add(addPairwise(terms.slice(0, half)), addPairwise(terms.slice(half)));
}
