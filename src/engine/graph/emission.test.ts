import { describe, expect, it } from 'vitest';
import { encodeModel } from '../onnx/model.ts';
import { add, constant, input, matmul, multiply, reshape, slice, total } from './build.ts';
import { emit } from './emission.ts';
import type { Outputs } from './simplify.ts';

const model = (outputs: Outputs): Buffer =>
  Buffer.from(encodeModel(emit(outputs, { lacks: new Set() }).graph));
const count = (size: number) => Array.from({ length: size }, (_, i) => i);

/** Rows of a batch, times a matrix and a number, plus a table of their length, without the first. */
function program(batch: number, length: number, width = 4, factor = 0.5): Outputs {
  const x = input('x', [batch, length, width]);
  const product = matmul(reshape(x, [batch * length, width]), input('weight', [width, width]));
  const rows = reshape(multiply(product, factor), [batch, length, width]);
  const shifted = add(rows, constant(count(length), [1, length, 1]));
  return { rest: slice(shifted, 1, 1, length), sum: total(shifted) };
}

describe('programs that differ in sizes only', () => {
  it('have one graph', () => {
    expect(model(program(3, 6)).equals(model(program(2, 8)))).toBe(true);
    expect(model(program(3, 6)).equals(model(program(3, 6, 11)))).toBe(true);
  });

  it('are given their sizes, and what goes by them', () => {
    const { given } = emit(program(3, 6), { lacks: new Set() });
    const sizes = given.filter(({ type }) => type === 'int64');
    const values = sizes.map(({ data }) => Array.from(new BigInt64Array(data.slice().buffer), Number));
    expect(values).toEqual([[18, 4], [3, 6, 4], [1], [6], []]);
    expect(given.filter(({ type }) => type === 'float').map(({ shape }) => shape)).toEqual([[1, 6, 1]]);
  });

  it('have others where sizes are equal that were not, as room of one size is used again', () => {
    expect(model(program(6, 6)).equals(model(program(3, 6)))).toBe(false);
    expect(model(program(1, 6)).equals(model(program(3, 6)))).toBe(false);
  });

  it('have others where a number of the computation differs', () => {
    expect(model(program(3, 6, 4, 0.25)).equals(model(program(3, 6)))).toBe(false);
  });
});
