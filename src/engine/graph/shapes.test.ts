// Each misuse is refused while the graph is built, with a message that names operation, expectation and find.

import { describe, expect, it } from 'vitest';
import { ShapeError } from '../errors.ts';
import * as build from './build.ts';
import { makeNode } from './shapes.ts';
import type { Tensor } from './tensor.ts';

const float = (...shape: number[]): Tensor => build.input('x', shape);
const int = (...shape: number[]): Tensor => build.input('ids', shape, 'int');
const bool = (...shape: number[]): Tensor => build.input('flags', shape, 'bool');

function messageOf(misuse: () => unknown): string {
  try {
    misuse();
  } catch (error) {
    expect(error).toBeInstanceOf(ShapeError);
    return (error as ShapeError).message;
  }
  throw new Error('nothing was thrown');
}

const misuses: [title: string, misuse: () => unknown, message: string][] = [
  [
    'sizes that do not broadcast',
    () => build.add(float(2, 3), float(2)),
    'add: expected shapes that broadcast, got [2,3] and [2].',
  ],
  [
    'sizes of three operands that do not broadcast',
    () => build.select(bool(4, 1), float(3), float(2)),
    'select: expected shapes that broadcast, got [4,1] and [3] and [2].',
  ],
  [
    'two types',
    () => build.multiply(float(3), int(3)),
    'multiply: expected 2 tensors of one type (float or int), got float[3], int[3].',
  ],
  [
    'integers in a division',
    () => build.divide(int(3), int(3)),
    'divide: expected 2 tensors of one type (float), got int[3], int[3].',
  ],
  [
    'a condition of floats',
    () => build.select(float(3), float(3), float(3)),
    'select: expected a bool tensor and two of one type (float or int), got float[3], float[3], float[3].',
  ],
  [
    'an axis beyond the rank',
    () => build.sum(float(2, 3), [2]),
    'sum: expected one float tensor with distinct axes 2, got float[2,3].',
  ],
  [
    'an axis twice',
    () => build.max(float(2, 3), [1, 1]),
    'max: expected one float tensor with distinct axes 1,1, got float[2,3].',
  ],
  [
    'no axis',
    () => build.max(float(2, 3), []),
    'max: expected one float tensor with distinct axes (none given), got float[2,3].',
  ],
  [
    'a softmax of a scalar',
    () => build.softmax(float()),
    'softmax: expected one float tensor of rank ≥ 1, got float[].',
  ],
  [
    'a softmax of integers',
    () => build.softmax(int(3)),
    'softmax: expected one float tensor of rank ≥ 1, got int[3].',
  ],
  [
    'a reshape to another number of elements',
    () => build.reshape(float(2, 3), [4]),
    'reshape: expected 4 elements for [4], got float[2,3].',
  ],
  [
    'a reshape with sizes left to be inferred',
    () => build.reshape(float(2, 3), [-1, -6]),
    'reshape: expected sizes that are whole numbers ≥ 1, together fewer than 2^53 elements, got float[-1,-6].',
  ],
  [
    'an order that is not a permutation',
    () => build.transpose(float(2, 3), [0, 0]),
    'transpose: expected a float or int tensor and an order of its axes (0,0), got float[2,3].',
  ],
  [
    'an expansion to a smaller shape',
    () => build.expand(float(4, 3), [3]),
    'expand: expected a tensor that broadcasts to [3], got float[4,3].',
  ],
  [
    'a slice beyond the end',
    () => build.slice(float(2, 3), 1, 1, 4),
    'slice: expected a float or int tensor that reaches from 1 to 4 on axis 1, got float[2,3].',
  ],
  [
    'an empty slice',
    () => build.slice(float(2, 3), 1, 2, 2),
    'slice: expected a float or int tensor that reaches from 2 to 2 on axis 1, got float[2,3].',
  ],
  [
    'parts that differ elsewhere',
    () => build.concat([float(2, 3), float(2, 4)], 0),
    'concat: expected tensors alike but for axis 0, got float[2,3], float[2,4].',
  ],
  [
    'parts without the axis',
    () => build.concat([float(3), float(3)], 1),
    'concat: expected float or int tensors with an axis 1, got float[3], float[3].',
  ],
  [
    'no parts',
    () => build.concat([], 0),
    'concat: expected float or int tensors with an axis 0, got nothing.',
  ],
  [
    'ids of floats',
    () => build.gatherRows(float(5, 2), float(3)),
    'gatherRows: expected a float table [V,D] and int ids, got float[5,2], float[3].',
  ],
  [
    'a table of integers',
    () => build.gatherRows(int(5, 2), int(3)),
    'gatherRows: expected a float table [V,D] and int ids, got int[5,2], int[3].',
  ],
  [
    'an id for fewer rows than there are',
    () => build.scatterAddRows(float(4, 2), int(3), 9),
    'scatterAddRows: expected float values [N,D] and int ids [N], got float[4,2], int[3].',
  ],
  [
    'a table of no rows',
    () => build.scatterAddRows(float(4, 2), int(4), 0),
    'scatterAddRows: expected sizes that are whole numbers ≥ 1, together fewer than 2^53 elements, got float[0,2].',
  ],
  [
    'one target too few',
    () => build.targetLogProbs(float(4, 9), int(3)),
    'targetLogProbs: expected float logits [N,V] and int targets [N], got float[4,9], int[3].',
  ],
  [
    'values for other rows',
    () => build.addAtIndex(float(4, 9), int(4), float(3)),
    'addAtIndex: expected float x [N,V], int ids [N], float values [N], got float[4,9], int[4], float[3].',
  ],
  [
    'inner sizes that differ',
    () => build.matmul(float(2, 3), float(4, 5)),
    'matmul: expected inner sizes that agree (3 and 4), got float[2,3], float[4,5].',
  ],
  [
    'inner sizes that differ once transposed',
    () => build.matmul(float(2, 3), float(3, 5), { transposeB: true }),
    'matmul: expected inner sizes that agree (3 and 5), got float[2,3], float[3,5].',
  ],
  [
    'stacks of two heights',
    () => build.matmul(float(2, 3, 4), float(3, 4, 5)),
    'matmul: expected two float stacks of matrices of one rank, got float[2,3,4], float[3,4,5].',
  ],
  [
    'a norm whose weight is too long',
    () => build.rmsNorm(float(2, 3), float(4), 1e-5),
    'rmsNorm: expected float x [...,D] and weight [D], got float[2,3], float[4].',
  ],
  [
    'a norm whose bias is missing an axis',
    () => build.layerNorm(float(2, 3), float(3), float(), 1e-5),
    'layerNorm: expected float x [...,D], weight [D], bias [D], got float[2,3], float[3], float[].',
  ],
  [
    'heads that do not divide the width',
    () => build.rotary(float(1, 2, 10), int(1, 2), float(5, 2), float(5, 2), 3),
    'rotary: expected float x [B,T,3·dh], int positions [B,T], tables [P,dh/2], got float[1,2,10], int[1,2], float[5,2], float[5,2].',
  ],
  [
    'key heads that do not divide the query heads',
    () => build.attention(float(1, 3, 4, 8), float(1, 2, 4, 8), float(1, 2, 4, 8), float(1, 1, 4, 4), 1),
    'attention: expected float query [B,H,T,dh], key and value [B,K,S,dh], bias [B,1,T,S], got float[1,3,4,8], float[1,2,4,8], float[1,2,4,8], float[1,1,4,4].',
  ],
  [
    'constants that are too few',
    () => build.constant([1, 2], [3]),
    'constant: expected 3 values for [3], got 2.',
  ],
];

describe('a misuse is refused', () => {
  it.each(misuses)('%s', (_title, misuse, message) => {
    expect(messageOf(misuse)).toBe(message);
  });

  it.each([[[-1]], [[2, 0]], [[1.5]], [[Number.NaN]], [[Infinity]], [[2 ** 40, 2 ** 20]]])(
    'an input of shape %j',
    (shape) => {
      const message = `sizes that are whole numbers ≥ 1, together fewer than 2^53 elements, got float[${shape}].`;
      expect(messageOf(() => build.input('x', shape))).toBe(`input: expected ${message}`);
      expect(messageOf(() => build.constant(0, shape))).toBe(`constant: expected ${message}`);
    },
  );

  it('a query of rank 5, whose last axis would be lost', () => {
    const inputs = [float(1, 2, 4, 8, 3), float(1, 2, 4, 8), float(1, 2, 4, 8), float(1, 1, 4, 4)];
    expect(messageOf(() => makeNode('attention', inputs, { scale: 1 }))).toMatch(
      /^attention: expected float query/,
    );
  });
});

describe('the shape of a result', () => {
  it('broadcasts from the last axis backwards', () => {
    expect(build.add(float(4, 1, 3), float(2, 1)).shape).toEqual([4, 2, 3]);
  });

  it('is the product of stacks, read transposed or not', () => {
    expect(build.matmul(float(7, 3, 2), float(7, 3, 5), { transposeA: true }).shape).toEqual([7, 2, 5]);
    expect(build.matmul(float(2, 3), float(5, 3), { transposeB: true }).shape).toEqual([2, 5]);
  });

  it('keeps reduced axes with size 1, and total makes a scalar', () => {
    expect(build.sum(float(2, 3, 4), [0, 2]).shape).toEqual([1, 3, 1]);
    expect(build.total(float(2, 3)).shape).toEqual([]);
  });

  it('follows the ids of a lookup', () => {
    expect(build.gatherRows(float(50, 8), int(2, 7)).shape).toEqual([2, 7, 8]);
  });

  it('is bool for a comparison and keeps integers integers', () => {
    expect(build.less(int(3), int(3)).dtype).toBe('bool');
    expect(build.add(int(3), int(3)).dtype).toBe('int');
  });
});
