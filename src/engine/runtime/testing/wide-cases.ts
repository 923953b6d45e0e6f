// Each operation once more on N rows of D columns: kernels split their work, and take other paths, where there is
// more of it. The record is exhaustive too.

import * as build from '../../graph/build.ts';
import { makeNode } from '../../graph/shapes.ts';
import type { OpKind, Tensor } from '../../graph/tensor.ts';
import type { Trial } from './operation-cases.ts';
import { awayFromZero, flags, ids, normal, positive, repeated, type Sample } from './samples.ts';

// A prime, so that no two rows are alike.
const period = 4099;
const wide = (...shape: number[]): Sample => repeated(normal(period), ...shape);
const wideIds = (bound: number, ...shape: number[]): Sample => repeated(ids(bound, period), ...shape);
const wideFlags = (...shape: number[]): Sample => repeated(flags(period), ...shape);

function of(
  inputs: Readonly<Record<string, Sample>>,
  make: (...inputs: Tensor[]) => Tensor,
  differentiated = Object.keys(inputs).filter((name) => inputs[name].dtype === 'float'),
): Trial {
  return { inputs, build: make, differentiated };
}

/** @param D a multiple of 8 */
export function wideCases(N: number, D: number): { [K in OpKind]: Trial } {
  const unary = (make: (x: Tensor) => Tensor, x = wide(N, D)) => of({ x }, make);
  // The second operand's gradient is summed over all rows.
  const binary = (make: (a: Tensor, b: Tensor) => Tensor) => of({ a: wide(N, D), b: wide(D) }, make);
  const comparison = (make: (a: Tensor, b: Tensor) => Tensor) =>
    binary((a, b) => build.select(make(a, b), build.add(a, b), build.multiply(a, b)));
  const slots = 64;

  return {
    input: unary((x) => x),
    constant: unary((x) => build.multiply(x, build.constant(3, [D]))),
    add: binary(build.add),
    subtract: binary(build.subtract),
    multiply: binary(build.multiply),
    divide: of({ a: wide(N, D), b: positive(D) }, build.divide),
    maximum: binary(build.maximum),
    minimum: binary(build.minimum),
    less: comparison(build.less),
    lessOrEqual: comparison(build.lessOrEqual),
    equal: of({ a: wideIds(3, N, D), x: wide(N, D) }, (a, x) =>
      build.select(build.equal(a, build.constant(1, [], 'int')), x, build.negate(x)),
    ),
    and: of({ a: wideFlags(N, D), b: flags(D), x: wide(N, D) }, (a, b, x) =>
      build.select(build.and(a, b), x, 0),
    ),
    select: of({ chosen: wideFlags(N, D), a: wide(N, D), b: wide(D) }, build.select),
    cast: of({ a: wideIds(9, N, D), x: wide(N, D) }, (a, x) => build.multiply(build.cast(a, 'float'), x)),

    negate: unary(build.negate),
    absolute: unary(build.absolute),
    exp: unary(build.exp),
    log: unary(build.log, repeated(positive(period), N, D)),
    sqrt: unary(build.sqrt, repeated(positive(period), N, D)),
    tanh: unary(build.tanh),
    sigmoid: unary(build.sigmoid),
    softplus: unary(build.softplus),
    relu: unary(build.relu, repeated(awayFromZero(period), N, D)),
    silu: unary(build.silu),
    erf: unary(build.erf),
    gelu: unary(build.gelu),
    geluTanh: unary(build.geluTanh),

    sum: unary((x) => build.add(build.sum(x), build.add(build.sum(x, [0]), build.sum(x, [1])))),
    max: unary((x) => build.add(build.max(x, [0, 1]), build.add(build.max(x, [0]), build.max(x, [1])))),
    cumulativeSum: unary(build.cumulativeSum),
    softmax: unary(build.softmax),
    logSoftmax: unary(build.logSoftmax),

    reshape: unary((x) => build.multiply(build.reshape(x, [N / 2, 2 * D]), 2)),
    transpose: unary((x) => build.transpose(x, [1, 0])),
    expand: of({ x: wide(N, 1) }, (x) => build.expand(x, [N, D])),
    slice: unary((x) => build.slice(x, 1, 3, D - 2)),
    concat: of({ a: wide(N, D), b: wide(N, 8) }, (a, b) => build.concat([a, b], 1)),

    gatherRows: of({ table: wide(slots, D), ids: wideIds(slots, N) }, build.gatherRows),
    scatterAddRows: of({ values: wide(N, D), ids: wideIds(slots, N) }, (values, at) =>
      build.scatterAddRows(values, at, slots),
    ),
    pickAtIndex: of({ x: wide(N, D), ids: wideIds(D, N) }, build.pickAtIndex),
    addAtIndex: of({ x: wide(N, D), ids: wideIds(D, N), values: wide(N) }, build.addAtIndex),

    matmul: of({ a: wide(N, D), b: wide(D, D) }, (a, b) =>
      build.matmul(a, b, { transposeB: true, scale: 0.5 }),
    ),
    targetLogProbs: of({ logits: wide(N, D), targets: wideIds(D, N) }, build.targetLogProbs),
    rmsNorm: of({ x: wide(N, D), weight: wide(D) }, (x, weight) => build.rmsNorm(x, weight, 1e-5)),
    layerNorm: of({ x: wide(N, D), weight: wide(D), bias: wide(D) }, (x, weight, bias) =>
      build.layerNorm(x, weight, bias, 1e-5),
    ),
    rotary: of(
      {
        x: wide(2, N / 2, D),
        positions: wideIds(slots, 2, N / 2),
        cosine: wide(slots, D / 4),
        sine: wide(slots, D / 4),
      },
      (...inputs) => makeNode('rotary', inputs, { heads: 2, inverse: false }).outputs[0],
      ['x'],
    ),
    attention: of(
      {
        query: wide(2, 4, N / 8, D / 4),
        key: wide(2, 2, N / 4, D / 4),
        value: wide(2, 2, N / 4, D / 4),
        bias: wide(2, 1, N / 8, N / 4),
      },
      (query, key, value, bias) => build.attention(query, key, value, bias, 0.25),
    ),
    appendAndAttend: of(
      {
        query: wide(N / 8, 4, 1, D),
        key: wide(N / 8, 2, 1, D),
        value: wide(N / 8, 2, 1, D),
        keys: wide(N / 8, 2, 9, D),
        values: wide(N / 8, 2, 9, D),
        lengths: wideIds(9, N / 8),
      },
      (query, key, value, keys, values, lengths) =>
        build.appendAndAttend(query, { key, value }, { keys, values }, lengths).attended,
      [],
    ),
  };
}
