// The float64 reference: every operation as plain loops over plain numbers. It is slow and it decides:
// gradients are checked against its central differences, backends against its values.

import type { Outputs } from '../graph/simplify.ts';
import {
  type Node,
  type OpKind,
  type Shape,
  sizeOf,
  type Tensor,
  topologicalOrder,
} from '../graph/tensor.ts';
import { appendAndAttendReference, attentionReference } from './reference-attention.ts';

type Values = Float64Array;
type Reference<K extends OpKind> = (inputs: readonly Values[], node: Node<K>) => Values | Values[];

const unary =
  (f: (x: number) => number) =>
  ([x]: readonly Values[]): Values =>
    x.map(f);

const binary =
  (f: (a: number, b: number) => number) =>
  ([a, b]: readonly Values[], node: Node): Values => {
    const { shape } = node.outputs[0];
    const [indexA, indexB] = node.inputs.map((t) => broadcastIndex(t.shape, shape));
    return Float64Array.from({ length: sizeOf(shape) }, (_, i) => f(a[indexA(i)], b[indexB(i)]));
  };

function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1] * shape[axis + 1];
  return strides;
}

function coordinates(index: number, shape: Shape): number[] {
  let rest = index;
  return stridesOf(shape).map((stride) => {
    const coordinate = Math.floor(rest / stride);
    rest -= coordinate * stride;
    return coordinate;
  });
}

const flatten = (position: readonly number[], shape: Shape): number => {
  const strides = stridesOf(shape);
  return position.reduce((index, coordinate, axis) => index + coordinate * strides[axis], 0);
};

/** From an element of the broadcast result to that of an operand. */
function broadcastIndex(from: Shape, to: Shape): (index: number) => number {
  if (from.length === to.length && from.every((size, i) => size === to[i])) return (index) => index;
  if (sizeOf(from) === 1) return () => 0;
  const strides = stridesOf(from);
  return (index) => {
    const position = coordinates(index, to).slice(to.length - from.length);
    return position.reduce(
      (sum, coordinate, axis) => sum + (from[axis] === 1 ? 0 : coordinate * strides[axis]),
      0,
    );
  };
}

const reduction =
  (initial: number, f: (sofar: number, x: number) => number) =>
  ([x]: readonly Values[], node: Node): Values => {
    const { shape } = node.outputs[0];
    const indexOf = broadcastIndex(shape, node.inputs[0].shape);
    const result = new Float64Array(sizeOf(shape)).fill(initial);
    for (let i = 0; i < x.length; i++) result[indexOf(i)] = f(result[indexOf(i)], x[i]);
    return result;
  };

/** Applies `f` to each row of the last axis, in place on a copy. */
const byRow =
  (f: (row: Values) => void) =>
  ([x]: readonly Values[], node: Node): Values => {
    const result = x.slice();
    const width = node.inputs[0].shape.at(-1)!;
    for (let start = 0; start < result.length; start += width) f(result.subarray(start, start + width));
    return result;
  };

const rearrange =
  (source: (position: number[], node: Node) => readonly number[]) =>
  ([x]: readonly Values[], node: Node): Values => {
    const { shape } = node.outputs[0];
    const from = node.inputs[0].shape;
    return Float64Array.from(
      { length: sizeOf(shape) },
      (_, i) => x[flatten(source(coordinates(i, shape), node), from)],
    );
  };

function logSumExp(row: Values): number {
  const largest = row.reduce((a, b) => Math.max(a, b), -Infinity);
  return largest + Math.log(row.reduce((sum, x) => sum + Math.exp(x - largest), 0));
}

/** erf by its series for small |x| and its continued fraction for large (Abramowitz and Stegun 7.1.6, 7.1.14). */
function errorFunction(x: number): number {
  const size = Math.abs(x);
  if (size < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (size + fraction);
  return Math.sign(x) * (1 - Math.exp(-x * x) / Math.sqrt(Math.PI) / (size + fraction));
}

function matrixProduct([a, b]: readonly Values[], node: Node<'matmul'>): Values {
  const { transposeA, transposeB, scale } = node.attributes;
  const { shape } = node.outputs[0];
  const [rows, columns] = shape.slice(-2);
  const shapeA = node.inputs[0].shape;
  const inner = shapeA[shapeA.length - (transposeA ? 2 : 1)];
  const result = new Float64Array(sizeOf(shape));
  const [rowA, stepA] = transposeA ? [1, rows] : [inner, 1];
  const [columnB, stepB] = transposeB ? [inner, 1] : [1, columns];
  for (let i = 0; i < result.length; i++) {
    const batch = Math.floor(i / (rows * columns));
    const row = Math.floor(i / columns) % rows;
    const startA = batch * rows * inner + row * rowA;
    const startB = batch * inner * columns + (i % columns) * columnB;
    let sum = 0;
    for (let k = 0; k < inner; k++) sum += a[startA + k * stepA] * b[startB + k * stepB];
    result[i] = scale * sum;
  }
  return result;
}

function normalise(x: Values, width: number, epsilon: number, isCentred: boolean) {
  const rows = x.length / width;
  const [average, inverse, normalised] = [
    new Float64Array(rows),
    new Float64Array(rows),
    new Float64Array(x.length),
  ];
  for (let row = 0; row < rows; row++) {
    const own = x.subarray(row * width, (row + 1) * width);
    if (isCentred) average[row] = own.reduce((a, b) => a + b, 0) / width;
    const variance = own.reduce((sum, v) => sum + (v - average[row]) ** 2, 0) / width;
    inverse[row] = 1 / Math.sqrt(variance + epsilon);
    for (let i = 0; i < width; i++) normalised[row * width + i] = (own[i] - average[row]) * inverse[row];
  }
  return { average, inverse, normalised };
}

function rotate([x, positions, cosine, sine]: readonly Values[], node: Node<'rotary'>): Values {
  const { heads, inverse } = node.attributes;
  const width = node.inputs[0].shape[2];
  const half = width / heads / 2;
  return x.map((value, i) => {
    const within = i % (2 * half);
    const isLeft = within < half;
    const at = positions[Math.floor(i / width)] * half + (within % half);
    const partner = x[isLeft ? i + half : i - half];
    const s = (inverse ? -1 : 1) * (isLeft ? -1 : 1) * sine[at];
    return value * cosine[at] + partner * s;
  });
}

const truth = (condition: boolean): number => (condition ? 1 : 0);

const references: { [K in OpKind]: Reference<K> } = {
  input: () => {
    throw new Error('inputs are given');
  },
  constant: (_inputs, { attributes: { values } }) => Float64Array.from(values),

  add: binary((a, b) => a + b),
  subtract: binary((a, b) => a - b),
  multiply: binary((a, b) => a * b),
  divide: binary((a, b) => a / b),
  maximum: binary(Math.max),
  minimum: binary(Math.min),
  less: binary((a, b) => truth(a < b)),
  lessOrEqual: binary((a, b) => truth(a <= b)),
  equal: binary((a, b) => truth(a === b)),
  and: binary((a, b) => a * b),
  select: ([condition, a, b], node) => {
    const { shape } = node.outputs[0];
    const [c, ia, ib] = node.inputs.map((t) => broadcastIndex(t.shape, shape));
    return Float64Array.from({ length: sizeOf(shape) }, (_, i) => (condition[c(i)] ? a[ia(i)] : b[ib(i)]));
  },
  cast: ([x], { attributes: { dtype } }) =>
    dtype === 'float' ? x : x.map((v) => (dtype === 'int' ? Math.trunc(v) : truth(v !== 0))),

  negate: unary((x) => -x),
  absolute: unary(Math.abs),
  exp: unary(Math.exp),
  log: unary(Math.log),
  sqrt: unary(Math.sqrt),
  tanh: unary(Math.tanh),
  sigmoid: unary((x) => 1 / (1 + Math.exp(-x))),
  softplus: unary((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  relu: unary((x) => Math.max(x, 0)),
  silu: unary((x) => x / (1 + Math.exp(-x))),
  erf: unary(errorFunction),
  gelu: unary((x) => 0.5 * x * (1 + errorFunction(x / Math.SQRT2))),
  geluTanh: unary((x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))),

  sum: reduction(0, (sofar, x) => sofar + x),
  max: reduction(-Infinity, Math.max),
  cumulativeSum: byRow((row) => {
    for (let i = 1; i < row.length; i++) row[i] += row[i - 1];
  }),
  softmax: byRow((row) => {
    const normaliser = logSumExp(row);
    row.forEach((x, i) => {
      row[i] = Math.exp(x - normaliser);
    });
  }),
  logSoftmax: byRow((row) => {
    const normaliser = logSumExp(row);
    row.forEach((x, i) => {
      row[i] = x - normaliser;
    });
  }),

  reshape: ([x]) => x,
  transpose: rearrange((position, node) => {
    const { order } = (node as Node<'transpose'>).attributes;
    return order.map((_, axis) => position[order.indexOf(axis)]);
  }),
  expand: ([x], node) => {
    const { shape } = node.outputs[0];
    const indexOf = broadcastIndex(node.inputs[0].shape, shape);
    return Float64Array.from({ length: sizeOf(shape) }, (_, i) => x[indexOf(i)]);
  },
  slice: rearrange((position, node) => {
    const { axis, start } = (node as Node<'slice'>).attributes;
    return position.with(axis, position[axis] + start);
  }),
  concat: (parts, node) => {
    const { axis } = node.attributes;
    const { shape } = node.outputs[0];
    const result = new Float64Array(sizeOf(shape));
    const outer = sizeOf(shape.slice(0, axis));
    const widths = node.inputs.map((t) => sizeOf(t.shape.slice(axis)));
    for (let row = 0, at = 0; row < outer; row++) {
      parts.forEach((part, i) => {
        result.set(part.subarray(row * widths[i], (row + 1) * widths[i]), at);
        at += widths[i];
      });
    }
    return result;
  },

  gatherRows: ([table, ids], node) => {
    const width = node.inputs[0].shape[1];
    return Float64Array.from(
      { length: ids.length * width },
      (_, i) => table[ids[Math.floor(i / width)] * width + (i % width)],
    );
  },
  scatterAddRows: ([values, ids], node) => {
    const width = node.inputs[0].shape[1];
    const result = new Float64Array(node.attributes.rows * width);
    values.forEach((value, i) => {
      result[ids[Math.floor(i / width)] * width + (i % width)] += value;
    });
    return result;
  },
  pickAtIndex: ([x, ids], node) => ids.map((id, row) => x[row * node.inputs[0].shape[1] + id]),
  addAtIndex: ([x, ids, values], node) => {
    const result = x.slice();
    ids.forEach((id, row) => {
      result[row * node.inputs[0].shape[1] + id] += values[row];
    });
    return result;
  },

  matmul: matrixProduct,
  targetLogProbs: ([logits, targets], node) => {
    const width = node.inputs[0].shape[1];
    return targets.map((id, row) => {
      const own = logits.subarray(row * width, (row + 1) * width);
      return own[id] - logSumExp(own);
    });
  },
  rmsNorm: ([x, weight], node) => {
    const { inverse, normalised } = normalise(x, weight.length, node.attributes.epsilon, false);
    return [normalised.map((v, i) => v * weight[i % weight.length]), inverse];
  },
  layerNorm: ([x, weight, bias], node) => {
    const { average, inverse, normalised } = normalise(x, weight.length, node.attributes.epsilon, true);
    return [
      normalised.map((v, i) => v * weight[i % weight.length] + bias[i % bias.length]),
      average,
      inverse,
    ];
  },
  rotary: rotate,
  attention: attentionReference,
  appendAndAttend: appendAndAttendReference,
};

export type Feeds = Readonly<Record<string, ArrayLike<number>>>;

/** The outputs' values, computed in float64. @throws Error when an input is not fed */
export function interpret<N extends string>(
  outputs: Readonly<Record<N, Tensor>> & Outputs,
  feeds: Feeds,
): Record<N, Float64Array> {
  const values = new Map<Tensor, Values>();
  for (const node of topologicalOrder(Object.values<Tensor>(outputs))) {
    const results = evaluate(
      node,
      node.inputs.map((t) => values.get(t)!),
      feeds,
    );
    node.outputs.forEach((output, i) => {
      values.set(output, results[i]);
    });
  }
  const named = Object.entries<Tensor>(outputs).map(([name, tensor]) => [name, values.get(tensor)!]);
  return Object.fromEntries(named) as Record<N, Float64Array>;
}

function evaluate(node: Node, inputs: readonly Values[], feeds: Feeds): Values[] {
  if (node.kind === 'input') {
    const { name } = (node as Node<'input'>).attributes;
    if (!feeds[name]) throw new Error(`no value was given for input ${name}`);
    return [Float64Array.from(feeds[name])];
  }
  return [(references[node.kind] as Reference<OpKind>)(inputs, node)].flat() as Values[];
}
