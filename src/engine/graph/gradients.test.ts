// Every operation's gradient rule against central differences of the float64 reference.

import { describe, expect, it } from 'vitest';
import { interpret } from '../runtime/reference.ts';
import { caseProgram, gradientName } from '../runtime/testing/case-program.ts';
import { type Case, everyCase } from '../runtime/testing/operation-cases.ts';
import {
  absolute,
  add,
  constant,
  exp,
  input,
  matmul,
  max,
  maximum,
  minimum,
  multiply,
  relu,
  rmsNorm,
  sum,
  tanh,
  total,
} from './build.ts';
import { gradients } from './gradients.ts';
import type { Tensor } from './tensor.ts';

const largestOf = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);

/** ∂ loss / ∂ feeds[name], entry by entry, with an error of the order of step². */
function centralDifferences(
  loss: Tensor,
  feeds: Readonly<Record<string, ArrayLike<number>>>,
  name: string,
): number[] {
  const step = 1e-5;
  const at = (index: number, offset: number): number => {
    const moved = Float64Array.from(feeds[name]);
    moved[index] += offset;
    return interpret({ loss }, { ...feeds, [name]: moved }).loss[0];
  };
  return Array.from(feeds[name], (_, i) => (at(i, step) - at(i, -step)) / (2 * step));
}

function expectGradients(testCase: Case, seed: number): void {
  const { loss, gradients: symbolic, feeds } = caseProgram(testCase, seed);
  const exact = interpret(symbolic, feeds);
  for (const name of testCase.differentiated) {
    const found = exact[gradientName(name)];
    const expected = centralDifferences(loss, feeds, name);
    expect(found.length).toBe(expected.length);
    const error = largestOf(expected.map((value, i) => value - found[i]));
    expect(error, `largest error of ∂/∂${name}`).toBeLessThanOrEqual(1e-6 * largestOf(expected));
  }
}

describe('gradient rules equal central differences to 1e-6 of the largest entry', () => {
  it.each(everyCase)('$kind: $testCase.title', ({ testCase, seed }) => expectGradients(testCase, seed));
});

const gradientAt = (make: (x: Tensor) => Tensor, values: readonly number[]): number[] => {
  const x = input('x', [values.length]);
  const [gradient] = gradients(total(make(x)), [x]);
  return Array.from(interpret({ gradient }, { x: values }).gradient);
};

describe('gradients at kinks', () => {
  it('gives a tie of maximum and of minimum to the first operand', () => {
    expect(gradientAt((x) => maximum(x, constant([2], [1])), [2])).toEqual([1]);
    expect(gradientAt((x) => maximum(constant([2], [1]), x), [2])).toEqual([0]);
    expect(gradientAt((x) => minimum(x, constant([2], [1])), [2])).toEqual([1]);
    expect(gradientAt((x) => minimum(constant([2], [1]), x), [2])).toEqual([0]);
  });

  it('shares the gradient of max equally among equal largest entries', () => {
    expect(gradientAt((x) => max(x, [0]), [1, 5, 5, 2])).toEqual([0, 0.5, 0.5, 0]);
  });

  it('gives relu 0 and absolute 1 at 0', () => {
    expect(gradientAt(relu, [0])).toEqual([0]);
    expect(gradientAt(absolute, [0])).toEqual([1]);
  });
});

describe('the reverse pass', () => {
  it('adds up what every use of a tensor contributes', () => {
    // d/dx (x³ + 2x² + x·e^x) at 1.5
    const cubeAndMore = (x: Tensor) => {
      const square = multiply(x, x);
      return add(add(multiply(square, x), multiply(square, 2)), multiply(x, exp(x)));
    };
    const expected = 3 * 1.5 ** 2 + 4 * 1.5 + Math.exp(1.5) * 2.5;
    expect(gradientAt(cubeAndMore, [1.5])[0]).toBeCloseTo(expected, 12);
  });

  it('differentiates a gradient again', () => {
    // d²/dx² tanh x = −2·tanh x·(1 − tanh² x)
    const x = input('x', [2]);
    const [first] = gradients(total(tanh(x)), [x]);
    const [second] = gradients(total(first), [x]);
    const found = interpret({ second }, { x: [0.3, -1.2] }).second;
    [0.3, -1.2].forEach((at, i) => {
      expect(found[i]).toBeCloseTo((-2 * Math.tanh(at)) / Math.cosh(at) ** 2, 12);
    });
  });

  it('equals central differences in the second derivative of a matrix product', () => {
    const [a, b] = [input('a', [2, 3]), input('b', [3, 2])];
    const [gradient] = gradients(total(exp(multiply(matmul(a, b), 0.3))), [a]);
    const weighted = total(multiply(gradient, constant([1, -2, 0.5, 3, -1, 2], [2, 3])));
    const [second] = gradients(weighted, [b]);
    const feeds = { a: [0.1, -0.4, 0.7, 1.1, 0.2, -0.9], b: [0.5, 0.3, -0.8, 1.2, 0.6, -0.1] };
    const expected = centralDifferences(weighted, feeds, 'b');
    const found = interpret({ second }, feeds).second;
    expect(largestOf(expected.map((v, i) => v - found[i]))).toBeLessThan(1e-6 * largestOf(expected));
  });

  it('refuses to differentiate a norm again rather than leave a term out', () => {
    const [x, weight] = [input('x', [2, 3]), input('weight', [3])];
    const [first] = gradients(total(rmsNorm(x, weight, 1e-5)), [x]);
    expect(() => gradients(total(multiply(first, first)), [x])).toThrow(/rmsNorm.*first output/);
  });

  it('gives 1 for the loss itself', () => {
    const x = input('x', []);
    const [gradient] = gradients(x, [x]);
    expect(Array.from(interpret({ gradient }, { x: [7] }).gradient)).toEqual([1]);
  });

  it('names the tensor that the loss does not depend on', () => {
    const [x, unused] = [input('x', [2]), input('unused', [2])];
    expect(() => gradients(total(x), [x, unused])).toThrow(
      'gradients: expected a loss that depends on unused, got one that does not.',
    );
  });

  it('refuses a loss that is not a scalar', () => {
    const x = input('x', [2, 3]);
    expect(() => gradients(sum(x, [1]), [x])).toThrow('gradients: expected a scalar loss, got shape [2,1].');
  });
});
