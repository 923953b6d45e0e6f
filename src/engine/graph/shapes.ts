// Shape rules: for each operation, what its inputs must be and what its outputs are.

import { ShapeError } from '../errors.ts';
import {
  type Attributes,
  broadcastShapes,
  type DType,
  describeType,
  type Node,
  type OpKind,
  type Shape,
  sameShape,
  sizeOf,
  type Tensor,
} from './tensor.ts';

interface Type {
  shape: Shape;
  dtype: DType;
}
type ShapeRule<K extends OpKind> = (inputs: readonly Tensor[], attributes: Attributes[K], where: K) => Type[];

const float = (shape: Shape): Type => ({ shape, dtype: 'float' });

function fail(where: OpKind, expected: string, inputs: readonly Tensor[]): never {
  throw new ShapeError({ where, expected, found: inputs.map(describeType).join(', ') || 'nothing' });
}

function require(condition: boolean, where: OpKind, expected: string, inputs: readonly Tensor[]): void {
  if (!condition) fail(where, expected, inputs);
}

const elementwise =
  (operands: number, from: readonly DType[], to?: DType) =>
  (inputs: readonly Tensor[], _attributes: unknown, where: OpKind): Type[] => {
    const dtype = inputs[0]?.dtype;
    const agrees = inputs.length === operands && inputs.every((t) => t.dtype === dtype);
    require(agrees &&
      from.includes(dtype), where, `${operands} tensors of one type (${from.join(' or ')})`, inputs);
    const shape = broadcastShapes(
      where,
      inputs.map((t) => t.shape),
    );
    return [{ shape, dtype: to ?? dtype }];
  };
const unary = elementwise(1, ['float']);
const arithmetic = elementwise(2, ['float', 'int']);
const comparison = elementwise(2, ['float', 'int'], 'bool');

function reduced(shape: Shape, axes: readonly number[]): Shape {
  return shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
}

const reduction = (
  inputs: readonly Tensor[],
  { axes }: { axes: readonly number[] },
  where: OpKind,
): Type[] => {
  const [x] = inputs;
  const valid = inputs.length === 1 && axes.every((axis) => axis >= 0 && axis < x.shape.length);
  require(valid && x.dtype === 'float', where, `one float tensor with axes ${axes.join(',')}`, inputs);
  return [float(reduced(x.shape, axes))];
};

const lastAxis = (inputs: readonly Tensor[], _attributes: unknown, where: OpKind): Type[] => {
  require(inputs.length === 1 && inputs[0].shape.length > 0, where, 'one float tensor of rank ≥ 1', inputs);
  return [float(inputs[0].shape)];
};

export const shapeRules: { [K in OpKind]: ShapeRule<K> } = {
  input: (_inputs, { shape, dtype }) => [{ shape, dtype }],
  constant: (_inputs, { values, shape, dtype }) => {
    if (values.length !== sizeOf(shape)) {
      throw new ShapeError({
        where: 'constant',
        expected: `${sizeOf(shape)} values for [${shape}]`,
        found: `${values.length}`,
      });
    }
    return [{ shape, dtype }];
  },

  add: arithmetic,
  subtract: arithmetic,
  multiply: arithmetic,
  divide: elementwise(2, ['float']),
  maximum: elementwise(2, ['float']),
  minimum: elementwise(2, ['float']),
  less: comparison,
  lessOrEqual: comparison,
  equal: comparison,
  and: elementwise(2, ['bool']),
  select: (inputs, _attributes, where) => {
    const [condition, whenTrue, whenFalse] = inputs;
    const valid = inputs.length === 3 && condition.dtype === 'bool' && whenTrue.dtype === whenFalse.dtype;
    require(valid, where, 'a bool tensor and two of one type', inputs);
    return [
      {
        shape: broadcastShapes(where, [condition.shape, whenTrue.shape, whenFalse.shape]),
        dtype: whenTrue.dtype,
      },
    ];
  },
  cast: ([x], { dtype }) => [{ shape: x.shape, dtype }],

  negate: unary,
  absolute: unary,
  exp: unary,
  log: unary,
  sqrt: unary,
  tanh: unary,
  sigmoid: unary,
  softplus: unary,
  relu: unary,
  silu: unary,
  erf: unary,
  gelu: unary,
  geluTanh: unary,

  sum: reduction,
  max: reduction,
  cumulativeSum: lastAxis,
  softmax: lastAxis,
  logSoftmax: lastAxis,

  reshape: (inputs, { shape }, where) => {
    require(sizeOf(inputs[0].shape) ===
      sizeOf(shape), where, `${sizeOf(shape)} elements for [${shape}]`, inputs);
    return [{ shape, dtype: inputs[0].dtype }];
  },
  transpose: (inputs, { order }, where) => {
    const [x] = inputs;
    const isPermutation = [...order].sort((a, b) => a - b).every((axis, i) => axis === i);
    require(isPermutation &&
      order.length === x.shape.length, where, `a tensor of rank ${order.length}`, inputs);
    return [{ shape: order.map((axis) => x.shape[axis]), dtype: x.dtype }];
  },
  expand: (inputs, { shape }, where) => {
    const result = broadcastShapes(where, [inputs[0].shape, shape]);
    require(sameShape(result, shape), where, `a tensor that broadcasts to [${shape}]`, inputs);
    return [{ shape, dtype: inputs[0].dtype }];
  },
  slice: (inputs, { axis, start, end }, where) => {
    const [x] = inputs;
    require(start >= 0 &&
      start < end &&
      end <= x.shape[axis], where, `axis ${axis} of at least ${end}`, inputs);
    return [{ shape: x.shape.map((size, i) => (i === axis ? end - start : size)), dtype: x.dtype }];
  },
  concat: (inputs, { axis }, where) => {
    const [first] = inputs;
    const fits = inputs.every(
      (t) => t.dtype === first.dtype && sameShape(t.shape.toSpliced(axis, 1), first.shape.toSpliced(axis, 1)),
    );
    require(fits, where, `tensors alike but for axis ${axis}`, inputs);
    const size = inputs.reduce((total, t) => total + t.shape[axis], 0);
    return [{ shape: first.shape.map((own, i) => (i === axis ? size : own)), dtype: first.dtype }];
  },

  gatherRows: (inputs, _attributes, where) => {
    const [table, ids] = inputs;
    require(table.shape.length === 2 && ids.dtype === 'int', where, 'a table [V,D] and int ids', inputs);
    return [float([...ids.shape, table.shape[1]])];
  },
  scatterAddRows: (inputs, { rows }, where) => {
    const [values, ids] = inputs;
    const valid = values.shape.length === 2 && ids.dtype === 'int' && sameShape(ids.shape, [values.shape[0]]);
    require(valid, where, 'values [N,D] and int ids [N]', inputs);
    return [float([rows, values.shape[1]])];
  },
  pickAtIndex: (inputs, _attributes, where) => {
    const [x, ids] = inputs;
    const valid = x.shape.length === 2 && ids.dtype === 'int' && sameShape(ids.shape, [x.shape[0]]);
    require(valid, where, 'x [N,V] and int ids [N]', inputs);
    return [float(ids.shape)];
  },
  addAtIndex: (inputs, _attributes, where) => {
    const [x, ids, values] = inputs;
    const valid =
      x.shape.length === 2 && sameShape(ids.shape, [x.shape[0]]) && sameShape(values.shape, ids.shape);
    require(valid && ids.dtype === 'int', where, 'x [N,V], int ids [N], values [N]', inputs);
    return [float(x.shape)];
  },

  matmul: (inputs, { transposeA, transposeB }, where) => {
    const [a, b] = inputs;
    const rank = a.shape.length;
    const sameBatch = sameShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    require(rank >= 2 &&
      b.shape.length === rank &&
      sameBatch, where, 'two stacks of matrices of one rank', inputs);
    const [rows, inner] = transposeA ? [a.shape[rank - 1], a.shape[rank - 2]] : a.shape.slice(-2);
    const [innerB, columns] = transposeB ? [b.shape[rank - 1], b.shape[rank - 2]] : b.shape.slice(-2);
    require(inner === innerB, where, `inner sizes that agree (${inner} and ${innerB})`, inputs);
    return [float([...a.shape.slice(0, -2), rows, columns])];
  },
  targetLogProbs: (inputs, _attributes, where) => {
    const [logits, targets] = inputs;
    const valid =
      logits.shape.length === 2 && targets.dtype === 'int' && sameShape(targets.shape, [logits.shape[0]]);
    require(valid, where, 'logits [N,V] and int targets [N]', inputs);
    return [float(targets.shape)];
  },
  rmsNorm: (inputs, _attributes, where) => {
    const [x, weight] = inputs;
    require(sameShape(weight.shape, x.shape.slice(-1)), where, 'x [...,D] and weight [D]', inputs);
    return [float(x.shape), float(reduced(x.shape, [x.shape.length - 1]))];
  },
  layerNorm: (inputs, _attributes, where) => {
    const [x, weight, bias] = inputs;
    const fits = sameShape(weight.shape, x.shape.slice(-1)) && sameShape(bias.shape, weight.shape);
    require(fits, where, 'x [...,D], weight [D], bias [D]', inputs);
    const statistic = float(reduced(x.shape, [x.shape.length - 1]));
    return [float(x.shape), statistic, statistic];
  },
  rotary: (inputs, { heads }, where) => {
    const [x, positions, cosine, sine] = inputs;
    const half = x.shape[2] / heads / 2;
    const fits =
      x.shape.length === 3 && sameShape(positions.shape, x.shape.slice(0, 2)) && positions.dtype === 'int';
    const tables = cosine.shape[1] === half && sameShape(cosine.shape, sine.shape);
    require(fits && tables, where, 'x [B,T,H·dh], int positions [B,T], tables [P,dh/2]', inputs);
    return [float(x.shape)];
  },
  attention: (inputs, _attributes, where) => {
    const [query, key, value, bias] = inputs;
    const [B, H, T, dh] = query.shape;
    const [, K, S] = key.shape;
    const fits = H % K === 0 && sameShape(key.shape, [B, K, S, dh]) && sameShape(value.shape, key.shape);
    const biasFits = sameShape(bias.shape, [B, 1, T, S]);
    require(fits && biasFits, where, 'query [B,H,T,dh], key and value [B,K,S,dh], bias [B,1,T,S]', inputs);
    return [float([B, H, T, dh]), float([B, H, T, S])];
  },
};

/** Makes a node after checking its inputs. @throws ShapeError naming the operation and what it got */
export function makeNode<K extends OpKind>(
  kind: K,
  inputs: readonly Tensor[],
  attributes: Attributes[K],
): Node<K> {
  const types = (shapeRules[kind] as ShapeRule<K>)(inputs, attributes, kind);
  const outputs: Tensor[] = [];
  const node: Node<K> = { kind, inputs, attributes, outputs };
  types.forEach((type, index) => {
    outputs.push({ node, index, ...type });
  });
  return node;
}
