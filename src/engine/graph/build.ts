// The words with which programs are written: one function per operation, and the few compositions that all use.

import { makeNode, requireSizes } from './shapes.ts';
import { type DType, type Shape, sameShape, sizeOf, type Tensor } from './tensor.ts';

/** A value given at every run under `name`. */
export function input(name: string, shape: Shape, dtype: DType = 'float'): Tensor {
  return makeNode('input', [], { name, shape, dtype }).outputs[0];
}
export function constant(
  values: number | readonly number[],
  shape: Shape = [],
  dtype: DType = 'float',
): Tensor {
  requireSizes('constant', { shape, dtype });
  const list = typeof values === 'number' ? new Array<number>(sizeOf(shape)).fill(values) : values;
  return makeNode('constant', [], { values: list, shape, dtype }).outputs[0];
}

type Operand = Tensor | number;
const tensorOf = (x: Operand): Tensor => (typeof x === 'number' ? constant(x) : x);
type Binary =
  | 'add'
  | 'subtract'
  | 'multiply'
  | 'divide'
  | 'maximum'
  | 'minimum'
  | 'less'
  | 'lessOrEqual'
  | 'equal';
const binary = (kind: Binary) => (a: Operand, b: Operand) =>
  makeNode(kind, [tensorOf(a), tensorOf(b)], {}).outputs[0];

export const add = binary('add');
export const subtract = binary('subtract');
export const multiply = binary('multiply');
export const divide = binary('divide');
export const maximum = binary('maximum');
export const minimum = binary('minimum');
export const less = binary('less');
export const lessOrEqual = binary('lessOrEqual');
export const equal = binary('equal');
export const and = (a: Tensor, b: Tensor): Tensor => makeNode('and', [a, b], {}).outputs[0];
/** `whenTrue` where the condition holds, else `whenFalse`; all broadcast. */
export const select = (condition: Tensor, whenTrue: Operand, whenFalse: Operand): Tensor =>
  makeNode('select', [condition, tensorOf(whenTrue), tensorOf(whenFalse)], {}).outputs[0];
export const cast = (x: Tensor, dtype: DType): Tensor =>
  x.dtype === dtype ? x : makeNode('cast', [x], { dtype }).outputs[0];

type Unary =
  | 'negate'
  | 'absolute'
  | 'exp'
  | 'log'
  | 'sqrt'
  | 'tanh'
  | 'sigmoid'
  | 'softplus'
  | 'relu'
  | 'silu'
  | 'erf'
  | 'gelu'
  | 'geluTanh'
  | 'cumulativeSum'
  | 'softmax'
  | 'logSoftmax';
const unary = (kind: Unary) => (x: Tensor) => makeNode(kind, [x], {}).outputs[0];

export const negate = unary('negate');
export const absolute = unary('absolute');
export const exp = unary('exp');
export const log = unary('log');
export const sqrt = unary('sqrt');
export const tanh = unary('tanh');
export const sigmoid = unary('sigmoid');
/** log(1 + e^x), stable for large |x|. */
export const softplus = unary('softplus');
export const relu = unary('relu');
export const silu = unary('silu');
export const erf = unary('erf');
/** x·Φ(x), the exact form. */
export const gelu = unary('gelu');
/** GPT-2's tanh approximation. */
export const geluTanh = unary('geluTanh');
/** Along the last axis, as are softmax and logSoftmax. */
export const cumulativeSum = unary('cumulativeSum');
export const softmax = unary('softmax');
export const logSoftmax = unary('logSoftmax');
/** log σ(x) = −softplus(−x). */
export const logSigmoid = (x: Tensor): Tensor => negate(softplus(negate(x)));

/** Sum over axes (all of them by default), which stay with size 1. */
export function sum(x: Tensor, axes: readonly number[] = x.shape.map((_, axis) => axis)): Tensor {
  return axes.length === 0 ? x : makeNode('sum', [x], { axes }).outputs[0];
}
export function mean(x: Tensor, axes: readonly number[] = x.shape.map((_, axis) => axis)): Tensor {
  return multiply(sum(x, axes), 1 / axes.reduce((count, axis) => count * x.shape[axis], 1));
}
export const max = (x: Tensor, axes: readonly number[]): Tensor => makeNode('max', [x], { axes }).outputs[0];
/** The sum of everything, as a scalar. */
export const total = (x: Tensor): Tensor => reshape(sum(x), []);

export const reshape = (x: Tensor, shape: Shape): Tensor =>
  sameShape(x.shape, shape) ? x : makeNode('reshape', [x], { shape }).outputs[0];
export const transpose = (x: Tensor, order: readonly number[]): Tensor =>
  makeNode('transpose', [x], { order }).outputs[0];
export const expand = (x: Tensor, shape: Shape): Tensor =>
  sameShape(x.shape, shape) ? x : makeNode('expand', [x], { shape }).outputs[0];
export const slice = (x: Tensor, axis: number, start: number, end: number): Tensor =>
  start === 0 && end === x.shape[axis] ? x : makeNode('slice', [x], { axis, start, end }).outputs[0];
export const concat = (parts: readonly Tensor[], axis: number): Tensor =>
  parts.length === 1 ? parts[0] : makeNode('concat', parts, { axis }).outputs[0];

/** Rows of `table` [V,D] at `ids` [...]: [...,D]. */
export const gatherRows = (table: Tensor, ids: Tensor): Tensor =>
  makeNode('gatherRows', [table, ids], {}).outputs[0];
/** [rows,D]: row i is the sum of the `values` [N,D] whose id is i. */
export const scatterAddRows = (values: Tensor, ids: Tensor, rows: number): Tensor =>
  makeNode('scatterAddRows', [values, ids], { rows }).outputs[0];
/** x[n, ids[n]] for x [N,V]: [N]. */
export const pickAtIndex = (x: Tensor, ids: Tensor): Tensor =>
  makeNode('pickAtIndex', [x, ids], {}).outputs[0];
/** x [N,V] with values[n] added at [n, ids[n]]. */
export const addAtIndex = (x: Tensor, ids: Tensor, values: Tensor): Tensor =>
  makeNode('addAtIndex', [x, ids, values], {}).outputs[0];

/** scale · A·B of stacks of matrices; each may be read transposed. */
export function matmul(
  a: Tensor,
  b: Tensor,
  options: { transposeA?: boolean; transposeB?: boolean; scale?: number } = {},
): Tensor {
  const { transposeA = false, transposeB = false, scale = 1 } = options;
  return makeNode('matmul', [a, b], { transposeA, transposeB, scale }).outputs[0];
}
/** log softmax(logits)[n, targets[n]] for logits [N,V]: [N] nats. */
export const targetLogProbs = (logits: Tensor, targets: Tensor): Tensor =>
  makeNode('targetLogProbs', [logits, targets], {}).outputs[0];
/** x / √(mean x² + ε) · weight over the last axis. Zhang and Sennrich 2019 (arXiv:1910.07467), Eq. 4. */
export const rmsNorm = (x: Tensor, weight: Tensor, epsilon: number): Tensor =>
  makeNode('rmsNorm', [x, weight], { epsilon }).outputs[0];
/** (x − mean) / √(var + ε) · weight + bias over the last axis. Ba et al. 2016 (arXiv:1607.06450), Eq. 4. */
export const layerNorm = (x: Tensor, weight: Tensor, bias: Tensor, epsilon: number): Tensor =>
  makeNode('layerNorm', [x, weight, bias], { epsilon }).outputs[0];
/** Rotates the two halves of each head of x [B,T,H·dh] by its position's angles. Su et al. 2021 (arXiv:2104.09864), Eq. 34. */
export function rotary(x: Tensor, positions: Tensor, cosine: Tensor, sine: Tensor, heads: number): Tensor {
  return makeNode('rotary', [x, positions, cosine, sine], { heads, inverse: false }).outputs[0];
}
/**
 * softmax(scale · Q·Kᵀ + bias)·V. Vaswani et al. 2017 (arXiv:1706.03762), Eq. 1.
 * @param query [B,H,T,dh]  @param key [B,K,S,dh], K divides H (grouped queries)  @param value as key
 * @param bias  [B,1,T,S], 0 where a query may look and a large negative number where not
 * @returns [B,H,T,dh]
 */
export const attention = (query: Tensor, key: Tensor, value: Tensor, bias: Tensor, scale: number): Tensor =>
  makeNode('attention', [query, key, value, bias], { scale }).outputs[0];

interface Appended {
  attended: Tensor;
  keys: Tensor;
  values: Tensor;
}
/**
 * One new token a row: it is put behind the `lengths[b]` filled places of the row's cache and attends to them and to
 * itself, softmax(Q·Kᵀ)·V. A program whose outputs are given the arrays of its cache inputs appends in place where
 * the backend can.
 * @param query  [B,H,1,dh], already scaled, dh a multiple of 8
 * @param key    [B,K,1,dh], K divides H  @param value as key
 * @param keys   [B,K,C,dh], C ≥ 2        @param values as keys
 * @param lengths int [B], each below C
 * @returns attended [B,H,1,dh], and the cache with the new token [B,K,C,dh] each; what lies behind it is left open
 */
export function appendAndAttend(
  query: Tensor,
  { key, value }: { key: Tensor; value: Tensor },
  cache: { keys: Tensor; values: Tensor },
  lengths: Tensor,
): Appended {
  const inputs = [query, key, value, cache.keys, cache.values, lengths];
  const [attended, keys, values] = makeNode('appendAndAttend', inputs, {}).outputs;
  return { attended, keys, values };
}
