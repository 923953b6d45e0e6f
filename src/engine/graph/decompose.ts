// Operations written out in simpler ones, for backends that lack them. Each is the same function as the
// operation itself, and a test holds it to that.

import {
  add,
  cast,
  concat,
  constant,
  divide,
  equal,
  erf,
  exp,
  gatherRows,
  less,
  log,
  matmul,
  max,
  mean,
  multiply,
  negate,
  pickAtIndex,
  reshape,
  select,
  sigmoid,
  slice,
  softmax,
  sqrt,
  subtract,
  sum,
  tanh,
  transpose,
} from './build.ts';
import { makeNode } from './shapes.ts';
import type { Attributes, OpKind, Tensor } from './tensor.ts';

type Decomposition<K extends OpKind> = (
  inputs: readonly Tensor[],
  attributes: Attributes[K],
) => readonly Tensor[];

const lastOf = (x: Tensor): number[] => [x.shape.length - 1];
const count = (size: number, shape: readonly number[]): Tensor =>
  constant(
    Array.from({ length: size }, (_, i) => i),
    shape,
    'int',
  );

export const decompositions = {
  silu: ([x]) => [multiply(x, sigmoid(x))],
  gelu: ([x]) => [multiply(x, multiply(add(erf(multiply(x, Math.SQRT1_2)), 1), 0.5))],
  geluTanh: ([x]) => {
    const inner = multiply(multiply(x, add(multiply(multiply(x, x), 0.044715), 1)), Math.sqrt(2 / Math.PI));
    return [multiply(x, multiply(add(tanh(inner), 1), 0.5))];
  },
  // Stable for either sign: max(x, 0) + log(1 + e^−|x|).
  softplus: ([x]) => {
    const size = makeNode('absolute', [x], {}).outputs[0];
    return [add(makeNode('relu', [x], {}).outputs[0], log(add(exp(negate(size)), 1)))];
  },
  logSoftmax: ([x]) => {
    const shifted = subtract(x, max(x, lastOf(x)));
    return [subtract(shifted, log(sum(exp(shifted), lastOf(x))))];
  },
  targetLogProbs: ([logits, targets]) => {
    const logProbs = makeNode('logSoftmax', [logits], {}).outputs[0];
    return [pickAtIndex(logProbs, targets)];
  },
  addAtIndex: ([x, ids, values]) => {
    const [N, V] = x.shape;
    const isTarget = equal(reshape(ids, [N, 1]), count(V, [1, V]));
    return [add(x, select(isTarget, reshape(values, [N, 1]), 0))];
  },
  scatterAddRows: ([values, ids], { rows }) => {
    const N = ids.shape[0];
    const belongs = cast(equal(count(rows, [rows, 1]), reshape(ids, [1, N])), 'float');
    return [matmul(belongs, values)];
  },
  matmul: ([a, b], { transposeA, transposeB, scale }) => {
    const rank = a.shape.length;
    const swapped = [...a.shape.keys()].slice(0, rank - 2).concat(rank - 1, rank - 2);
    const product = matmul(transposeA ? transpose(a, swapped) : a, transposeB ? transpose(b, swapped) : b);
    return [scale === 1 ? product : multiply(product, scale)];
  },
  rmsNorm: ([x, weight], { epsilon }) => {
    const inverseDeviation = divide(1, sqrt(add(mean(multiply(x, x), lastOf(x)), epsilon)));
    return [multiply(multiply(x, inverseDeviation), weight), inverseDeviation];
  },
  layerNorm: ([x, weight, bias], { epsilon }) => {
    const average = mean(x, lastOf(x));
    const centred = subtract(x, average);
    const inverseDeviation = divide(1, sqrt(add(mean(multiply(centred, centred), lastOf(x)), epsilon)));
    return [add(multiply(multiply(centred, inverseDeviation), weight), bias), average, inverseDeviation];
  },
  rotary: ([x, positions, cosine, sine], { heads, inverse }) => {
    const [B, T, width] = x.shape;
    const half = width / heads / 2;
    const split = reshape(x, [B, T, heads, 2 * half]);
    const [left, right] = [slice(split, 3, 0, half), slice(split, 3, half, 2 * half)];
    const table = (t: Tensor) => reshape(gatherRows(t, positions), [B, T, 1, half]);
    const [c, s] = [table(cosine), inverse ? negate(table(sine)) : table(sine)];
    const turned = concat(
      [subtract(multiply(left, c), multiply(right, s)), add(multiply(right, c), multiply(left, s))],
      3,
    );
    return [reshape(turned, [B, T, width])];
  },
  // The heads of a group stand below each other, so that keys and values are never repeated.
  attention: ([query, key, value, bias], { scale }) => {
    const [B, H, T, dh] = query.shape;
    const [, K, S] = key.shape;
    const rows = (H / K) * T;
    const scores = matmul(reshape(query, [B, K, rows, dh]), key, { transposeB: true, scale });
    const probabilities = softmax(add(reshape(scores, [B, H, T, S]), bias));
    const output = matmul(reshape(probabilities, [B, K, rows, S]), value);
    return [reshape(output, query.shape), probabilities];
  },
  appendAndAttend: ([query, key, value, keys, values, lengths]) => {
    const [B, , C] = keys.shape;
    const places = count(C, [1, 1, C, 1]);
    const ends = reshape(lengths, [B, 1, 1, 1]);
    const isNew = equal(places, ends);
    const [allKeys, allValues] = [select(isNew, key, keys), select(isNew, value, values)];
    const bias = reshape(select(less(ends, places), -1e9, 0), [B, 1, 1, C]);
    const attended = makeNode('attention', [query, allKeys, allValues, bias], { scale: 1 }).outputs[0];
    return [attended, allKeys, allValues];
  },
} satisfies { [K in OpKind]?: Decomposition<K> };

export type Decomposable = keyof typeof decompositions;

/** The operation's outputs computed by simpler operations. */
export function decompose<K extends Decomposable>(
  kind: K,
  inputs: readonly Tensor[],
  attributes: Attributes[K],
): readonly Tensor[] {
  return (decompositions[kind] as Decomposition<K>)(inputs, attributes);
}
