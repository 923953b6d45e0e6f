// Reverse-mode differentiation: a rule for each operation, and the pass that applies them from the loss back.
// A rule gets the node and the gradient of the loss with respect to each of its outputs (undefined where an
// output is not used) and returns that with respect to each input. Integer and truth values have none.

import { UserError } from '../errors.ts';
import {
  add,
  addAtIndex,
  cast,
  concat,
  constant,
  divide,
  equal,
  exp,
  expand,
  gatherRows,
  less,
  lessOrEqual,
  matmul,
  multiply,
  negate,
  pickAtIndex,
  reshape,
  scatterAddRows,
  select,
  sigmoid,
  slice,
  softmax,
  subtract,
  sum,
  tanh,
  transpose,
} from './build.ts';
import { makeNode } from './shapes.ts';
import { type Node, type OpKind, sameShape, sizeOf, type Tensor, topologicalOrder } from './tensor.ts';

type Upstream = readonly (Tensor | undefined)[];
type GradientRule<K extends OpKind> = (node: Node<K>, upstream: Upstream) => readonly (Tensor | undefined)[];
/** A rule of an operation whose single output has gradient `g` and value `y`. */
type SimpleRule<K extends OpKind> = (
  inputs: readonly Tensor[],
  g: Tensor,
  y: Tensor,
  node: Node<K>,
) => (Tensor | undefined)[];

const simple =
  <K extends OpKind>(rule: SimpleRule<K>): GradientRule<K> =>
  (node, [g]) =>
    rule(node.inputs, g as Tensor, node.outputs[0], node);

/** Elementwise rules may return gradients of the broadcast shape; they are summed back to the input's. */
const broadcasting = <K extends OpKind>(rule: SimpleRule<K>): GradientRule<K> =>
  simple<K>((inputs, g, y, node) =>
    rule(inputs, g, y, node).map((gradient, i) => gradient && sumTo(gradient, inputs[i].shape)),
  );

/** For operations whose further outputs serve their own rule: a gradient that reaches those would be lost. */
const throughFirst =
  <K extends OpKind>(rule: SimpleRule<K>): GradientRule<K> =>
  (node, upstream) => {
    const [g, ...others] = upstream;
    if (!g || others.some((other) => other !== undefined)) {
      throw new Error(`${node.kind} is differentiated once, through its first output only`);
    }
    return rule(node.inputs, g, node.outputs[0], node);
  };

const none: GradientRule<OpKind> = (node) => node.inputs.map(() => undefined);
const lastOf = (x: Tensor): number[] => [x.shape.length - 1];

/** Sums over the axes along which `shape` was broadcast. */
function sumTo(x: Tensor, shape: readonly number[]): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const extra = x.shape.length - shape.length;
  const axes = x.shape
    .map((_, axis) => axis)
    .filter((axis) => axis < extra || shape[axis - extra] !== x.shape[axis]);
  return reshape(sum(x, axes), shape);
}

const gradientRules: { [K in OpKind]: GradientRule<K> } = {
  input: none,
  constant: none,
  less: none,
  lessOrEqual: none,
  equal: none,
  and: none,

  add: broadcasting((_inputs, g) => [g, g]),
  subtract: broadcasting((_inputs, g) => [g, negate(g)]),
  multiply: broadcasting(([a, b], g) => [multiply(g, b), multiply(g, a)]),
  divide: broadcasting(([, b], g, y) => [divide(g, b), negate(divide(multiply(g, y), b))]),
  // At a tie the whole gradient goes to the first operand.
  maximum: broadcasting(([a, b], g) => [select(less(a, b), 0, g), select(less(a, b), g, 0)]),
  minimum: broadcasting(([a, b], g) => [select(less(b, a), 0, g), select(less(b, a), g, 0)]),
  select: broadcasting(([condition], g) => [undefined, select(condition, g, 0), select(condition, 0, g)]),
  cast: simple(([x], g) => [x.dtype === 'float' ? cast(g, 'float') : undefined]),

  negate: simple((_inputs, g) => [negate(g)]),
  absolute: simple(([x], g) => [select(less(x, 0), negate(g), g)]),
  exp: simple((_inputs, g, y) => [multiply(g, y)]),
  log: simple(([x], g) => [divide(g, x)]),
  sqrt: simple((_inputs, g, y) => [divide(multiply(g, 0.5), y)]),
  tanh: simple((_inputs, g, y) => [multiply(g, subtract(1, multiply(y, y)))]),
  sigmoid: simple((_inputs, g, y) => [multiply(g, multiply(y, subtract(1, y)))]),
  softplus: simple(([x], g) => [multiply(g, sigmoid(x))]),
  relu: simple(([x], g) => [select(lessOrEqual(x, 0), 0, g)]),
  // silu' = σ + y − y·σ = σ·(1 − y) + y
  silu: simple(([x], g, y) => [multiply(g, add(multiply(sigmoid(x), subtract(1, y)), y))]),
  erf: simple(([x], g) => [multiply(g, multiply(exp(negate(multiply(x, x))), 2 / Math.sqrt(Math.PI)))]),
  gelu: simple(([x], g) => {
    const cumulative = multiply(add(makeNode('erf', [multiply(x, Math.SQRT1_2)], {}).outputs[0], 1), 0.5);
    const density = multiply(exp(multiply(multiply(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return [multiply(g, add(cumulative, multiply(x, density)))];
  }),
  geluTanh: simple(([x], g) => {
    const squared = multiply(x, x);
    const inner = multiply(multiply(x, add(multiply(squared, 0.044715), 1)), Math.sqrt(2 / Math.PI));
    const slope = multiply(add(multiply(squared, 3 * 0.044715), 1), Math.sqrt(2 / Math.PI));
    const t = tanh(inner);
    const left = multiply(add(t, 1), 0.5);
    return [multiply(g, add(left, multiply(multiply(x, 0.5), multiply(subtract(1, multiply(t, t)), slope))))];
  }),

  sum: simple(([x], g) => [expand(g, x.shape)]),
  // Shared equally among equal largest entries.
  max: simple(([x], g, y, { attributes: { axes } }) => {
    const isLargest = cast(equal(x, y), 'float');
    return [multiply(isLargest, divide(g, sum(isLargest, axes)))];
  }),
  cumulativeSum: simple(([x], g) => {
    const prefix = makeNode('cumulativeSum', [g], {}).outputs[0];
    return [add(subtract(sum(g, lastOf(x)), prefix), g)];
  }),
  softmax: simple(([x], g, y) => [multiply(y, subtract(g, sum(multiply(g, y), lastOf(x))))]),
  logSoftmax: simple(([x], g) => [subtract(g, multiply(softmax(x), sum(g, lastOf(x))))]),

  reshape: simple(([x], g) => [reshape(g, x.shape)]),
  transpose: simple((_inputs, g, _y, { attributes: { order } }) => [
    transpose(
      g,
      order.map((_, axis) => order.indexOf(axis)),
    ),
  ]),
  expand: broadcasting((_inputs, g) => [g]),
  slice: simple(([x], g, _y, { attributes: { axis, start, end } }) => {
    const zeros = (size: number) => (size > 0 ? [expand(constant(0), x.shape.with(axis, size))] : []);
    return [concat([...zeros(start), g, ...zeros(x.shape[axis] - end)], axis)];
  }),
  concat: simple((inputs, g, _y, { attributes: { axis } }) => {
    let start = 0;
    return inputs.map(({ shape }) => {
      start += shape[axis];
      return slice(g, axis, start - shape[axis], start);
    });
  }),

  gatherRows: simple(([table, ids], g) => {
    const count = sizeOf(ids.shape);
    const flat = reshape(g, [count, table.shape[1]]);
    return [scatterAddRows(flat, reshape(ids, [count]), table.shape[0]), undefined];
  }),
  scatterAddRows: simple(([, ids], g) => [gatherRows(g, ids), undefined]),
  pickAtIndex: simple(([x, ids], g) => [addAtIndex(expand(constant(0), x.shape), ids, g), undefined]),
  addAtIndex: simple(([, ids], g) => [g, undefined, pickAtIndex(g, ids)]),

  matmul: simple(([a, b], g, _y, { attributes: { transposeA, transposeB, scale } }) => [
    transposeA
      ? matmul(b, g, { transposeA: transposeB, transposeB: true, scale })
      : matmul(g, b, { transposeB: !transposeB, scale }),
    transposeB
      ? matmul(g, a, { transposeA: true, transposeB: transposeA, scale })
      : matmul(a, g, { transposeA: !transposeA, scale }),
  ]),
  // ∂ log p(t) / ∂ logits = onehot(t) − softmax(logits)
  targetLogProbs: simple(([logits, targets], g) => {
    const perRow = reshape(g, [g.shape[0], 1]);
    return [addAtIndex(multiply(softmax(logits), negate(perRow)), targets, g), undefined];
  }),
  // With x̂ = x·r and u = g·w: dx = r·(u − x̂·mean(u·x̂)), dw = Σ g·x̂.
  rmsNorm: throughFirst(([x, weight], g, _y, node) => {
    const inverseDeviation = node.outputs[1];
    const normalised = multiply(x, inverseDeviation);
    const u = multiply(g, weight);
    const projection = multiply(sum(multiply(u, normalised), lastOf(x)), 1 / x.shape.at(-1)!);
    const dx = multiply(subtract(u, multiply(normalised, projection)), inverseDeviation);
    return [dx, sumTo(multiply(g, normalised), weight.shape)];
  }),
  // As rmsNorm, and the mean of u is taken out as well.
  layerNorm: throughFirst(([x, weight, bias], g, _y, node) => {
    const [, average, inverseDeviation] = node.outputs;
    const normalised = multiply(subtract(x, average), inverseDeviation);
    const u = multiply(g, weight);
    const share = 1 / x.shape.at(-1)!;
    const projection = multiply(sum(multiply(u, normalised), lastOf(x)), share);
    const centred = subtract(u, multiply(sum(u, lastOf(x)), share));
    const dx = multiply(subtract(centred, multiply(normalised, projection)), inverseDeviation);
    return [dx, sumTo(multiply(g, normalised), weight.shape), sumTo(g, bias.shape)];
  }),
  // A rotation's transpose is the rotation by the opposite angle.
  rotary: simple(([, positions, cosine, sine], g, _y, { attributes: { heads, inverse } }) => [
    makeNode('rotary', [g, positions, cosine, sine], { heads, inverse: !inverse }).outputs[0],
    undefined,
    undefined,
    undefined,
  ]),
  appendAndAttend: () => {
    throw new Error('appendAndAttend serves generation and has no gradient');
  },
  // With P the probabilities and O the output: dS = P·(dP − Σ g·O), the row sums taken as in Dao et al. 2022, App. B.2.
  attention: throughFirst(([query, key, value, bias], g, output, { outputs, attributes: { scale } }) => {
    const probabilities = outputs[1];
    const [B, K, S, dh] = key.shape;
    const rows = (query.shape[1] / K) * query.shape[2];
    const grouped = (x: Tensor, width: number) => reshape(x, [B, K, rows, width]);
    const [gGrouped, queryGrouped] = [grouped(g, dh), grouped(query, dh)];
    const P = grouped(probabilities, S);
    const rowSum = sum(multiply(gGrouped, grouped(output, dh)), [3]);
    const dScores = multiply(P, subtract(matmul(gGrouped, value, { transposeB: true }), rowSum));
    return [
      reshape(matmul(dScores, key, { scale }), query.shape),
      matmul(dScores, queryGrouped, { transposeA: true, scale }),
      matmul(P, gGrouped, { transposeA: true }),
      sumTo(reshape(dScores, probabilities.shape), bias.shape),
    ];
  }),
};

/**
 * The gradient of a scalar with respect to each of `tensors`, in their order.
 * @throws UserError when the loss is not a scalar or does not depend on one of them
 */
export function gradients(loss: Tensor, tensors: readonly Tensor[]): Tensor[] {
  if (sizeOf(loss.shape) !== 1) {
    throw new UserError({ where: 'gradients', expected: 'a scalar loss', found: `shape [${loss.shape}]` });
  }
  const order = topologicalOrder([loss]);
  const needed = nodesThatReach(order, tensors);
  const accumulated = new Map<Tensor, Tensor>([[loss, constant(1, loss.shape)]]);
  for (const node of order.toReversed()) {
    const upstream = node.outputs.map((output) => accumulated.get(output));
    if (!needed.has(node) || upstream.every((g) => g === undefined)) continue;
    const rule = gradientRules[node.kind] as GradientRule<OpKind>;
    rule(node, upstream).forEach((gradient, i) => {
      const target = node.inputs[i];
      if (!gradient || target.dtype !== 'float' || !needed.has(target.node)) return;
      const sofar = accumulated.get(target);
      accumulated.set(target, sofar ? add(sofar, gradient) : gradient);
    });
  }
  return tensors.map((tensor) => accumulated.get(tensor) ?? fail(tensor));
}

function fail(tensor: Tensor): never {
  const name =
    tensor.node.kind === 'input' ? (tensor.node as Node<'input'>).attributes.name : tensor.node.kind;
  throw new UserError({
    where: 'gradients',
    expected: `a loss that depends on ${name}`,
    found: 'one that does not',
  });
}

function nodesThatReach(order: readonly Node[], tensors: readonly Tensor[]): Set<Node> {
  const reaching = new Set(tensors.map((tensor) => tensor.node));
  for (const node of order) {
    if (node.inputs.some((t) => reaching.has(t.node))) reaching.add(node);
  }
  return reaching;
}
