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

function check(condition: boolean, where: OpKind, expected: string, inputs: readonly Tensor[]): void {
  if (!condition) fail(where, expected, inputs);
}

const areFloat = (...tensors: Tensor[]): boolean => tensors.every((t) => t.dtype === 'float');
const isAxis = (axis: number, x: Tensor): boolean =>
  Number.isInteger(axis) && axis >= 0 && axis < x.shape.length;

/** @throws ShapeError unless every size is a whole number ≥ 1 and their product is exact */
export function requireSizes(where: OpKind, type: Type): void {
  const areWhole = type.shape.every((size) => Number.isInteger(size) && size >= 1);
  if (areWhole && Number.isSafeInteger(sizeOf(type.shape))) return;
  const expected = 'sizes that are whole numbers ≥ 1, together fewer than 2^53 elements';
  throw new ShapeError({ where, expected, found: describeType(type) });
}

const elementwise =
  (operands: number, from: readonly DType[], to?: DType) =>
  (inputs: readonly Tensor[], _attributes: unknown, where: OpKind): Type[] => {
    const dtype = inputs[0]?.dtype;
    const agrees = inputs.length === operands && inputs.every((t) => t.dtype === dtype);
    check(
      agrees && from.includes(dtype),
      where,
      `${operands} tensors of one type (${from.join(' or ')})`,
      inputs,
    );
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
  const isList = axes.length > 0 && new Set(axes).size === axes.length;
  const valid = inputs.length === 1 && isList && axes.every((axis) => isAxis(axis, x));
  check(
    valid && x.dtype === 'float',
    where,
    `one float tensor with distinct axes ${axes.join(',') || '(none given)'}`,
    inputs,
  );
  return [float(reduced(x.shape, axes))];
};

const lastAxis = (inputs: readonly Tensor[], _attributes: unknown, where: OpKind): Type[] => {
  const [x] = inputs;
  check(
    inputs.length === 1 && x.shape.length > 0 && x.dtype === 'float',
    where,
    'one float tensor of rank ≥ 1',
    inputs,
  );
  return [float(inputs[0].shape)];
};

const shapeRules: { [K in OpKind]: ShapeRule<K> } = {
  input: (_inputs, { shape, dtype }) => [{ shape, dtype }],
  constant: (_inputs, { values, shape, dtype }) => {
    requireSizes('constant', { shape, dtype });
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
    const agree = inputs.length === 3 && whenTrue.dtype === whenFalse.dtype && whenTrue.dtype !== 'bool';
    check(
      agree && condition.dtype === 'bool',
      where,
      'a bool tensor and two of one type (float or int)',
      inputs,
    );
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
    check(
      sizeOf(inputs[0].shape) === sizeOf(shape),
      where,
      `${sizeOf(shape)} elements for [${shape}]`,
      inputs,
    );
    return [{ shape, dtype: inputs[0].dtype }];
  },
  transpose: (inputs, { order }, where) => {
    const [x] = inputs;
    const isPermutation = [...order].sort((a, b) => a - b).every((axis, i) => axis === i);
    check(
      isPermutation && order.length === x.shape.length && x.dtype !== 'bool',
      where,
      `a float or int tensor and an order of its axes (${order})`,
      inputs,
    );
    return [{ shape: order.map((axis) => x.shape[axis]), dtype: x.dtype }];
  },
  expand: (inputs, { shape }, where) => {
    const result = broadcastShapes(where, [inputs[0].shape, shape]);
    check(sameShape(result, shape), where, `a tensor that broadcasts to [${shape}]`, inputs);
    return [{ shape, dtype: inputs[0].dtype }];
  },
  slice: (inputs, { axis, start, end }, where) => {
    const [x] = inputs;
    const isRange = Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start < end;
    const fits = isRange && isAxis(axis, x) && end <= x.shape[axis] && x.dtype !== 'bool';
    check(fits, where, `a float or int tensor that reaches from ${start} to ${end} on axis ${axis}`, inputs);
    return [{ shape: x.shape.map((size, i) => (i === axis ? end - start : size)), dtype: x.dtype }];
  },
  concat: (inputs, { axis }, where) => {
    const [first] = inputs;
    check(
      inputs.length > 0 && isAxis(axis, first) && first.dtype !== 'bool',
      where,
      `float or int tensors with an axis ${axis}`,
      inputs,
    );
    const fits = inputs.every(
      (t) => t.dtype === first.dtype && sameShape(t.shape.toSpliced(axis, 1), first.shape.toSpliced(axis, 1)),
    );
    check(fits, where, `tensors alike but for axis ${axis}`, inputs);
    const size = inputs.reduce((total, t) => total + t.shape[axis], 0);
    return [{ shape: first.shape.map((own, i) => (i === axis ? size : own)), dtype: first.dtype }];
  },

  gatherRows: (inputs, _attributes, where) => {
    const [table, ids] = inputs;
    const valid = table.shape.length === 2 && areFloat(table) && ids.dtype === 'int';
    check(valid, where, 'a float table [V,D] and int ids', inputs);
    return [float([...ids.shape, table.shape[1]])];
  },
  scatterAddRows: (inputs, { rows }, where) => {
    const [values, ids] = inputs;
    const fits = values.shape.length === 2 && sameShape(ids.shape, [values.shape[0]]);
    const valid = fits && areFloat(values) && ids.dtype === 'int';
    check(valid, where, 'float values [N,D] and int ids [N]', inputs);
    return [float([rows, values.shape[1]])];
  },
  pickAtIndex: (inputs, _attributes, where) => {
    const [x, ids] = inputs;
    const fits = x.shape.length === 2 && sameShape(ids.shape, [x.shape[0]]);
    check(fits && areFloat(x) && ids.dtype === 'int', where, 'float x [N,V] and int ids [N]', inputs);
    return [float(ids.shape)];
  },
  addAtIndex: (inputs, _attributes, where) => {
    const [x, ids, values] = inputs;
    const fits =
      x.shape.length === 2 && sameShape(ids.shape, [x.shape[0]]) && sameShape(values.shape, ids.shape);
    const valid = fits && areFloat(x, values) && ids.dtype === 'int';
    check(valid, where, 'float x [N,V], int ids [N], float values [N]', inputs);
    return [float(x.shape)];
  },

  matmul: (inputs, { transposeA, transposeB }, where) => {
    const [a, b] = inputs;
    const rank = a.shape.length;
    const sameBatch = sameShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    check(
      rank >= 2 && b.shape.length === rank && sameBatch && areFloat(a, b),
      where,
      'two float stacks of matrices of one rank',
      inputs,
    );
    const [rows, inner] = transposeA ? [a.shape[rank - 1], a.shape[rank - 2]] : a.shape.slice(-2);
    const [innerB, columns] = transposeB ? [b.shape[rank - 1], b.shape[rank - 2]] : b.shape.slice(-2);
    check(inner === innerB, where, `inner sizes that agree (${inner} and ${innerB})`, inputs);
    return [float([...a.shape.slice(0, -2), rows, columns])];
  },
  targetLogProbs: (inputs, _attributes, where) => {
    const [logits, targets] = inputs;
    const fits = logits.shape.length === 2 && sameShape(targets.shape, [logits.shape[0]]);
    const valid = fits && areFloat(logits) && targets.dtype === 'int';
    check(valid, where, 'float logits [N,V] and int targets [N]', inputs);
    return [float(targets.shape)];
  },
  rmsNorm: (inputs, _attributes, where) => {
    const [x, weight] = inputs;
    const fits = x.shape.length > 0 && sameShape(weight.shape, x.shape.slice(-1));
    check(fits && areFloat(x, weight), where, 'float x [...,D] and weight [D]', inputs);
    return [float(x.shape), float(reduced(x.shape, [x.shape.length - 1]))];
  },
  layerNorm: (inputs, _attributes, where) => {
    const [x, weight, bias] = inputs;
    const fits =
      x.shape.length > 0 && sameShape(weight.shape, x.shape.slice(-1)) && sameShape(bias.shape, weight.shape);
    check(fits && areFloat(x, weight, bias), where, 'float x [...,D], weight [D], bias [D]', inputs);
    const statistic = float(reduced(x.shape, [x.shape.length - 1]));
    return [float(x.shape), statistic, statistic];
  },
  rotary: (inputs, { heads }, where) => {
    const [x, positions, cosine, sine] = inputs;
    const half = x.shape[2] / heads / 2;
    const fits =
      x.shape.length === 3 && sameShape(positions.shape, x.shape.slice(0, 2)) && positions.dtype === 'int';
    const isWhole = Number.isInteger(half) && Number.isInteger(heads) && heads >= 1;
    const tables =
      cosine.shape.length === 2 && cosine.shape[1] === half && sameShape(cosine.shape, sine.shape);
    const valid = fits && isWhole && tables && areFloat(x, cosine, sine);
    check(valid, where, `float x [B,T,${heads}·dh], int positions [B,T], tables [P,dh/2]`, inputs);
    return [float(x.shape)];
  },
  attention: (inputs, _attributes, where) => {
    const [query, key, value, bias] = inputs;
    const [B, H, T, dh] = query.shape;
    const [, K, S] = key.shape;
    const fits =
      query.shape.length === 4 &&
      H % K === 0 &&
      sameShape(key.shape, [B, K, S, dh]) &&
      sameShape(value.shape, key.shape);
    const biasFits = sameShape(bias.shape, [B, 1, T, S]) && areFloat(query, key, value, bias);
    check(
      fits && biasFits,
      where,
      'float query [B,H,T,dh], key and value [B,K,S,dh], bias [B,1,T,S]',
      inputs,
    );
    return [float([B, H, T, dh]), float([B, H, T, S])];
  },
  appendAndAttend: (inputs, _attributes, where) => {
    const [query, key, value, keys, values, lengths] = inputs;
    const [B, H, , dh] = query.shape;
    const [, K, C] = keys.shape;
    const fits =
      sameShape(query.shape, [B, H, 1, dh]) &&
      sameShape(key.shape, [B, K, 1, dh]) &&
      sameShape(value.shape, key.shape) &&
      sameShape(keys.shape, [B, K, C, dh]) &&
      sameShape(values.shape, keys.shape) &&
      sameShape(lengths.shape, [B]);
    // The runtime's kernel takes whole vectors of 8, and one place alone for a row's first token.
    const isSupported = H % K === 0 && dh % 8 === 0 && C > 1;
    check(
      fits && isSupported && lengths.dtype === 'int' && areFloat(query, key, value, keys, values),
      where,
      'float query [B,H,1,dh], key and value [B,K,1,dh], keys and values [B,K,C,dh], int lengths [B], dh in eights',
      inputs,
    );
    return [float(query.shape), float(keys.shape), float(keys.shape)];
  },
};

/** Makes a node after checking its inputs. @throws ShapeError naming the operation and what it got */
export function makeNode<K extends OpKind>(
  kind: K,
  inputs: readonly Tensor[],
  attributes: Attributes[K],
): Node<K> {
  const types = (shapeRules[kind] as ShapeRule<K>)(inputs, attributes, kind);
  for (const type of types) requireSizes(kind, type);
  const outputs: Tensor[] = [];
  const node: Node<K> = { kind, inputs, attributes, outputs };
  types.forEach((type, index) => {
    outputs.push({ node, index, ...type });
  });
  return node;
}
