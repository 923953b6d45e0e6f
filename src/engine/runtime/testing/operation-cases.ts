// What each operation is tried with: broadcast shapes, several ranks, transposes, types. The record is exhaustive,
// so an operation without a case does not compile. Values stay away from kinks, where no derivative exists.

import * as build from '../../graph/build.ts';
import { makeNode } from '../../graph/shapes.ts';
import type { OpKind, Tensor } from '../../graph/tensor.ts';
import { awayFromZero, distinct, flags, given, ids, normal, positive, type Sample } from './samples.ts';

/** An operation, or a few around it, with its inputs. */
export interface Trial {
  inputs: Readonly<Record<string, Sample>>;
  /** Makes a float tensor of the inputs, in the order in which they are listed. */
  build: (...inputs: Tensor[]) => Tensor;
  /** Inputs whose gradient is asked for: every float one unless said otherwise. */
  differentiated: readonly string[];
}

export interface Case extends Trial {
  title: string;
}

function of(
  title: string,
  inputs: Readonly<Record<string, Sample>>,
  make: (...inputs: Tensor[]) => Tensor,
  differentiated = Object.keys(inputs).filter((name) => inputs[name].dtype === 'float'),
): Case {
  return { title, inputs, build: make, differentiated };
}

const float = (x: Tensor): Tensor => build.cast(x, 'float');
type Unary = (x: Tensor) => Tensor;
type Binary = (a: Tensor, b: Tensor) => Tensor;

const unary = (make: Unary, values: (...shape: number[]) => Sample = normal): Case[] => [
  of('a scalar', { x: values() }, make),
  of('a vector', { x: values(7) }, make),
  of('rank 3', { x: values(2, 3, 4) }, make),
];

const rows = (make: Unary): Case[] => [
  of('a vector', { x: normal(5) }, make),
  of('rank 2', { x: normal(4, 6) }, make),
  of('rank 4', { x: normal(2, 2, 3, 5) }, make),
  of('a last axis of 1', { x: normal(3, 1) }, (x) => build.add(make(x), x)),
];

/** No value of `a` comes within 1/32 of one of `b`. */
const binary = (make: Binary): Case[] => [
  of('equal shapes', { a: distinct([3, 4]), b: distinct([3, 4], 1 / 32) }, make),
  of('a scalar on the right', { a: distinct([2, 5]), b: distinct([], 5 / 32) }, make),
  of('a scalar on the left', { a: distinct([], 1 / 32), b: distinct([2, 5]) }, make),
  of('both broadcast', { a: distinct([4, 1, 3]), b: distinct([2, 1], 1 / 32) }, make),
];

/** A comparison has no gradient of its own: it is seen through what it selects. */
const comparison = (make: Binary): Case[] => [
  ...binary((a, b) => build.select(make(a, b), build.add(a, b), build.subtract(a, build.multiply(b, 3)))),
  of('integers', { a: ids(3, 4, 5), b: ids(3, 5), x: normal(4, 5) }, (a, b, x) =>
    build.multiply(float(make(a, b)), x),
  ),
];

const integers = (make: Binary): Case =>
  of('integers', { a: ids(9, 4, 5), b: ids(9, 5), x: normal(4, 5) }, (a, b, x) =>
    build.multiply(float(make(a, b)), x),
  );

const attentionCase = (title: string, B: number, H: number, K: number, T: number, S: number): Case =>
  of(
    title,
    {
      query: normal(B, H, T, 4),
      key: normal(B, K, S, 4),
      value: normal(B, K, S, 4),
      bias: normal(B, 1, T, S),
    },
    (query, key, value, bias) => build.attention(query, key, value, bias, 0.5),
  );

/** Rows of different length, the shortest empty and the longest one place short of full. */
const appendCase = (title: string, H: number, K: number, output: 'attended' | 'keys' | 'values'): Case =>
  of(
    title,
    {
      query: normal(3, H, 1, 8),
      key: normal(3, K, 1, 8),
      value: normal(3, K, 1, 8),
      keys: normal(3, K, 5, 8),
      values: normal(3, K, 5, 8),
    },
    (query, key, value, keys, values) => {
      const lengths = build.constant([2, 0, 4], [3], 'int');
      const result = build.appendAndAttend(query, { key, value }, { keys, values }, lengths)[output];
      if (output === 'attended') return result;
      const places = build.constant([0, 1, 2, 3, 4], [1, 1, 5, 1], 'int');
      return build.select(build.lessOrEqual(places, build.reshape(lengths, [3, 1, 1, 1])), result, 0);
    },
    [],
  );

const rotaryCase = (title: string, heads: number, inverse: boolean, positions = 6): Case =>
  of(
    title,
    {
      x: normal(2, 3, heads * 4),
      positions: ids(positions, 2, 3),
      cosine: normal(positions, 2),
      sine: normal(positions, 2),
    },
    (...inputs) => makeNode('rotary', inputs, { heads, inverse }).outputs[0],
    ['x'],
  );

const matmulCase = (title: string, a: Sample, b: Sample, options: Parameters<typeof build.matmul>[2]): Case =>
  of(title, { a, b }, (left, right) => build.matmul(left, right, options));

const operationCases: { [K in OpKind]: readonly Case[] } = {
  input: [of('an input as the output', { x: normal(3, 2) }, (x) => x)],
  constant: [
    of('a vector', { x: normal(2, 3) }, (x) => build.multiply(x, build.constant([1, -2, 3], [3]))),
    of('integers and truth values', { x: normal(3) }, (x) => {
      const chosen = build.constant([1, 0, 1], [3], 'bool');
      return build.select(chosen, build.multiply(x, float(build.constant([4, 5, 6], [3], 'int'))), x);
    }),
  ],

  add: [...binary(build.add), integers(build.add)],
  subtract: [...binary(build.subtract), integers(build.subtract)],
  multiply: [...binary(build.multiply), integers(build.multiply)],
  divide: [
    of('equal shapes', { a: normal(3, 4), b: positive(3, 4) }, build.divide),
    of('a scalar divided', { a: normal(), b: positive(2, 3) }, build.divide),
    of('both broadcast', { a: normal(4, 1, 3), b: awayFromZero(2, 1) }, build.divide),
  ],
  maximum: binary(build.maximum),
  minimum: binary(build.minimum),
  less: comparison(build.less),
  lessOrEqual: comparison(build.lessOrEqual),
  equal: comparison(build.equal),
  and: [
    of('both broadcast', { a: flags(4, 1), b: flags(5), x: normal(4, 5) }, (a, b, x) =>
      build.multiply(float(build.and(a, b)), x),
    ),
  ],
  select: [
    of('equal shapes', { chosen: flags(3, 4), a: normal(3, 4), b: normal(3, 4) }, build.select),
    of('all broadcast', { chosen: flags(4, 1), a: normal(3, 1, 5), b: normal() }, build.select),
    of('integers', { chosen: flags(4), a: ids(9, 4), b: ids(9, 1), x: normal(4) }, (chosen, a, b, x) =>
      build.multiply(float(build.select(chosen, a, b)), x),
    ),
  ],
  cast: [
    of('from integers', { a: ids(9, 2, 3), x: normal(2, 3) }, (a, x) => build.multiply(float(a), x)),
    of('from truth values', { a: flags(2, 3), x: normal(2, 3) }, (a, x) => build.multiply(float(a), x)),
    of('to integers, towards zero', { x: given([-1.75, -0.25, 0.25, 2.75]) }, (x) =>
      build.multiply(float(build.cast(x, 'int')), x),
    ),
    of('to truth values', { a: ids(3, 2, 3), x: normal(2, 3) }, (a, x) =>
      build.select(build.cast(a, 'bool'), x, build.negate(x)),
    ),
  ],

  negate: unary(build.negate),
  absolute: unary(build.absolute, awayFromZero),
  exp: unary(build.exp),
  log: unary(build.log, positive),
  sqrt: unary(build.sqrt, positive),
  tanh: unary(build.tanh),
  sigmoid: [...unary(build.sigmoid), of('large values', { x: given([-40, -9, 0.5, 9, 40]) }, build.sigmoid)],
  softplus: [...unary(build.softplus), of('large values', { x: given([-90, -30, 30, 90]) }, build.softplus)],
  relu: unary(build.relu, awayFromZero),
  silu: [...unary(build.silu), of('large values', { x: given([-40, -9, 9, 40]) }, build.silu)],
  erf: [...unary(build.erf), of('both tails', { x: given([-4, -3.1, -2.9, 2.9, 3.1, 4, 0.01]) }, build.erf)],
  gelu: [...unary(build.gelu), of('large values', { x: given([-9, -4, 4, 9]) }, build.gelu)],
  geluTanh: [...unary(build.geluTanh), of('large values', { x: given([-9, -4, 4, 9]) }, build.geluTanh)],

  sum: [
    of('every axis', { x: normal(2, 3, 4) }, (x) => build.sum(x)),
    of('the last axis', { x: normal(2, 3, 4) }, (x) => build.sum(x, [2])),
    of('the first axis', { x: normal(5, 3) }, (x) => build.sum(x, [0])),
    of('two of four axes', { x: normal(2, 3, 2, 3) }, (x) => build.sum(x, [0, 2])),
  ],
  max: [
    of('the last axis', { x: distinct([3, 5]) }, (x) => build.max(x, [1])),
    of('the first axis', { x: distinct([3, 5]) }, (x) => build.max(x, [0])),
    of('every axis', { x: distinct([2, 3, 4]) }, (x) => build.max(x, [0, 1, 2])),
    of(
      'equal largest entries',
      { x: given([1, 3, 3, 2]), y: normal(4) },
      (x, y) => build.multiply(build.max(x, [0]), y),
      ['y'],
    ),
  ],
  cumulativeSum: rows(build.cumulativeSum),
  softmax: rows(build.softmax),
  logSoftmax: rows(build.logSoftmax),

  reshape: [
    of('to more axes', { x: normal(6, 4) }, (x) => build.multiply(build.reshape(x, [2, 3, 4]), 2)),
    of('to a scalar', { x: normal(1, 1) }, (x) => build.multiply(build.reshape(x, []), 2)),
    of('integers', { a: ids(9, 6), x: normal(2, 3) }, (a, x) =>
      build.multiply(float(build.reshape(a, [2, 3])), x),
    ),
  ],
  transpose: [
    of('a matrix', { x: normal(3, 5) }, (x) => build.transpose(x, [1, 0])),
    of('a cycle of three axes', { x: normal(2, 3, 4) }, (x) => build.transpose(x, [2, 0, 1])),
    of('heads before positions', { x: normal(2, 3, 2, 4) }, (x) => build.transpose(x, [0, 2, 1, 3])),
  ],
  expand: [
    of('a scalar', { x: normal() }, (x) => build.expand(x, [2, 3])),
    of('a new first axis', { x: normal(3) }, (x) => build.expand(x, [4, 3])),
    of('an inner axis', { x: normal(2, 1, 3) }, (x) => build.expand(x, [2, 4, 3])),
    of('integers', { a: ids(9, 3), x: normal(2, 3) }, (a, x) =>
      build.multiply(float(build.expand(a, [2, 3])), x),
    ),
  ],
  slice: [
    of('the start', { x: normal(5, 3) }, (x) => build.slice(x, 0, 0, 2)),
    of('the middle of the last axis', { x: normal(2, 3, 6) }, (x) => build.slice(x, 2, 1, 4)),
    of('the end', { x: normal(2, 5, 3) }, (x) => build.slice(x, 1, 3, 5)),
    of('integers', { a: ids(9, 6), x: normal(3) }, (a, x) =>
      build.multiply(float(build.slice(a, 0, 2, 5)), x),
    ),
  ],
  concat: [
    of('rows', { a: normal(2, 3), b: normal(1, 3) }, (...parts) => build.concat(parts, 0)),
    of('three parts on the last axis', { a: normal(2, 3), b: normal(2, 1), c: normal(2, 2) }, (...parts) =>
      build.concat(parts, 1),
    ),
    of('the same part twice', { a: normal(2, 2, 3) }, (a) => build.concat([a, a], 1)),
    of('integers', { a: ids(9, 2), b: ids(9, 3), x: normal(5) }, (a, b, x) =>
      build.multiply(float(build.concat([a, b], 0)), x),
    ),
  ],

  gatherRows: [
    of('repeated ids', { table: normal(4, 3), ids: ids(4, 9) }, build.gatherRows),
    of('ids of rank 2', { table: normal(5, 2), ids: ids(5, 2, 4) }, build.gatherRows),
  ],
  scatterAddRows: [
    of('repeated ids', { values: normal(9, 3), ids: ids(4, 9) }, (values, at) =>
      build.scatterAddRows(values, at, 4),
    ),
    of('rows that nothing reaches', { values: normal(2, 3), ids: ids(2, 2) }, (values, at) =>
      build.scatterAddRows(values, at, 6),
    ),
  ],
  pickAtIndex: [of('one of each row', { x: normal(5, 4), ids: ids(4, 5) }, build.pickAtIndex)],
  addAtIndex: [
    of('one of each row', { x: normal(5, 4), ids: ids(4, 5), values: normal(5) }, build.addAtIndex),
  ],

  matmul: [
    matmulCase('plain', normal(3, 4), normal(4, 5), {}),
    matmulCase('A transposed', normal(4, 3), normal(4, 5), { transposeA: true }),
    matmulCase('B transposed', normal(3, 4), normal(5, 4), { transposeB: true, scale: 0.5 }),
    matmulCase('both transposed', normal(4, 3), normal(5, 4), { transposeA: true, transposeB: true }),
    matmulCase('a stack', normal(2, 3, 4), normal(2, 4, 5), { scale: -2 }),
    matmulCase('stacks of stacks, B transposed', normal(2, 2, 3, 4), normal(2, 2, 5, 4), {
      transposeB: true,
    }),
    matmulCase('a stack, A transposed', normal(3, 4, 2), normal(3, 4, 5), { transposeA: true, scale: 0.25 }),
  ],
  targetLogProbs: [
    of('one of each row', { logits: normal(5, 7), targets: ids(7, 5) }, build.targetLogProbs),
    of('one row', { logits: normal(1, 3), targets: ids(3, 1) }, build.targetLogProbs),
  ],
  rmsNorm: [
    of('rank 2', { x: normal(4, 6), weight: normal(6) }, (x, weight) => build.rmsNorm(x, weight, 1e-5)),
    of('rank 3, a large epsilon', { x: normal(2, 3, 4), weight: normal(4) }, (x, weight) =>
      build.rmsNorm(x, weight, 0.5),
    ),
  ],
  layerNorm: [
    of('rank 2', { x: normal(4, 6), weight: normal(6), bias: normal(6) }, (x, weight, bias) =>
      build.layerNorm(x, weight, bias, 1e-5),
    ),
    of('rank 3, a large epsilon', { x: normal(2, 3, 4), weight: normal(4), bias: normal(4) }, (...inputs) =>
      build.layerNorm(inputs[0], inputs[1], inputs[2], 0.5),
    ),
  ],
  rotary: [
    rotaryCase('one head', 1, false),
    rotaryCase('three heads', 3, false),
    rotaryCase('the opposite angle', 2, true),
    rotaryCase('a window longer than the tables', 2, false, 2),
  ],
  attention: [
    attentionCase('one head', 1, 1, 1, 3, 3),
    attentionCase('as many key heads as query heads', 2, 2, 2, 3, 5),
    attentionCase('grouped queries', 2, 4, 2, 3, 4),
    attentionCase('one key head for all', 1, 3, 1, 2, 4),
    of(
      'a causal bias',
      { query: normal(1, 2, 3, 4), key: normal(1, 2, 3, 4), value: normal(1, 2, 3, 4) },
      (query, key, value) => {
        const causal = build.constant([0, -1e9, -1e9, 0, 0, -1e9, 0, 0, 0], [1, 1, 3, 3]);
        return build.attention(query, key, value, causal, 0.5);
      },
    ),
  ],
  appendAndAttend: [
    appendCase('as many key heads as query heads', 2, 2, 'attended'),
    appendCase('grouped queries', 4, 2, 'attended'),
    appendCase('the keys', 2, 1, 'keys'),
    appendCase('the values', 2, 2, 'values'),
  ],
};

/** Every case with its operation, for `describe.each`. */
export const everyCase: readonly { kind: OpKind; testCase: Case; seed: number }[] = Object.entries(
  operationCases,
).flatMap(([kind, cases]) => cases.map((testCase, seed) => ({ kind: kind as OpKind, testCase, seed })));
