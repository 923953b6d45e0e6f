// Symbolic tensors: what a program computes, before it is compiled. A node is one operation of the closed
// list below with its inputs; a tensor is one output of a node. Shapes and types are checked as nodes are made.

import { ShapeError } from '../errors.ts';

/** Numbers the runtime computes with: 32-bit floats (64-bit in the reference), 32-bit indices, truth values. */
export type DType = 'float' | 'int' | 'bool';
export type Shape = readonly number[];

/** The closed list of operations, with what each needs to know besides its inputs. */
export interface Attributes {
  input: { name: string; shape: Shape; dtype: DType };
  constant: { values: readonly number[]; shape: Shape; dtype: DType };

  add: Empty;
  subtract: Empty;
  multiply: Empty;
  divide: Empty;
  maximum: Empty;
  minimum: Empty;
  less: Empty;
  lessOrEqual: Empty;
  equal: Empty;
  and: Empty;
  select: Empty;
  cast: { dtype: DType };

  negate: Empty;
  absolute: Empty;
  exp: Empty;
  log: Empty;
  sqrt: Empty;
  tanh: Empty;
  sigmoid: Empty;
  softplus: Empty;
  relu: Empty;
  silu: Empty;
  erf: Empty;
  gelu: Empty;
  geluTanh: Empty;

  sum: { axes: readonly number[] };
  max: { axes: readonly number[] };
  cumulativeSum: Empty;
  softmax: Empty;
  logSoftmax: Empty;

  reshape: { shape: Shape };
  transpose: { order: readonly number[] };
  expand: { shape: Shape };
  slice: { axis: number; start: number; end: number };
  concat: { axis: number };

  gatherRows: Empty;
  scatterAddRows: { rows: number };
  pickAtIndex: Empty;
  addAtIndex: Empty;

  matmul: { transposeA: boolean; transposeB: boolean; scale: number };
  targetLogProbs: Empty;
  rmsNorm: { epsilon: number };
  layerNorm: { epsilon: number };
  rotary: { heads: number; inverse: boolean };
  attention: { scale: number };
  appendAndAttend: Empty;
}
export type Empty = Record<never, never>;
export type OpKind = keyof Attributes;

export interface Node<K extends OpKind = OpKind> {
  readonly kind: K;
  readonly inputs: readonly Tensor[];
  readonly attributes: Attributes[K];
  readonly outputs: readonly Tensor[];
}

export interface Tensor {
  readonly node: Node;
  /** Which of the node's outputs this is. */
  readonly index: number;
  readonly shape: Shape;
  readonly dtype: DType;
}

export function sizeOf(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

/** `float[8,256]`, as messages and the printer write it. */
export function describeType(type: { shape: Shape; dtype: DType }): string {
  return `${type.dtype}[${type.shape.join(',')}]`;
}

/** The shape of an elementwise result: sizes agree from the last axis backwards, or one of them is 1. */
export function broadcastShapes(where: string, shapes: readonly Shape[]): Shape {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let size = 1;
    for (const shape of shapes) {
      const own = shape[axis - rank + shape.length] ?? 1;
      if (own === size || own === 1) continue;
      if (size !== 1) {
        throw new ShapeError({
          where,
          expected: 'shapes that broadcast',
          found: shapes.map((s) => `[${s.join(',')}]`).join(' and '),
        });
      }
      size = own;
    }
    return size;
  });
}

/** Every node that the tensors depend on, inputs before users. */
export function topologicalOrder(tensors: Iterable<Tensor>): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  const stack: { node: Node; next: number }[] = [];
  for (const tensor of tensors) {
    if (!seen.has(tensor.node)) stack.push({ node: tensor.node, next: 0 });
    seen.add(tensor.node);
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      if (top.next === top.node.inputs.length) {
        order.push(top.node);
        stack.pop();
        continue;
      }
      const child = top.node.inputs[top.next++].node;
      if (!seen.has(child)) {
        seen.add(child);
        stack.push({ node: child, next: 0 });
      }
    }
  }
  return order;
}
