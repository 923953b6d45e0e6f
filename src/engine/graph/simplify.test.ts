import { describe, expect, it } from 'vitest';
import { interpret } from '../runtime/reference.ts';
import { caseProgram } from '../runtime/testing/case-program.ts';
import { everyCase } from '../runtime/testing/operation-cases.ts';
import {
  add,
  constant,
  exp,
  expand,
  input,
  multiply,
  negate,
  reshape,
  rmsNorm,
  slice,
  sum,
} from './build.ts';
import { gradients } from './gradients.ts';
import { type Outputs, rewrite } from './simplify.ts';
import { type OpKind, topologicalOrder } from './tensor.ts';

const kindsOf = (outputs: Outputs): OpKind[] =>
  topologicalOrder(Object.values(outputs))
    .map(({ kind }) => kind)
    .sort();

describe('rewrite', () => {
  it('merges equal nodes, from the inputs up', () => {
    const twice = () => exp(multiply(input('x', [3]), constant([1, 2, 3], [3])));
    const { y } = rewrite({ y: add(twice(), twice()) });
    expect(kindsOf({ y })).toEqual(['add', 'constant', 'exp', 'input', 'multiply']);
    expect(y.node.inputs[0]).toBe(y.node.inputs[1]);
  });

  it('keeps apart what differs in an attribute, in order, in type or in value', () => {
    const x = input('x', [4]);
    const pairs: [Outputs[string], Outputs[string]][] = [
      [slice(x, 0, 0, 2), slice(x, 0, 2, 4)],
      [add(x, negate(x)), add(negate(x), x)],
      [constant([1, 0], [2]), constant([1, 0], [2], 'int')],
      [constant([1, 0], [2]), constant([1, 0], [2, 1])],
      [constant([0.1], [1]), constant([0.1 + 1e-16], [1])],
      [constant([0], [1]), constant([-0], [1])],
      [input('a', [4]), input('b', [4])],
    ];
    for (const [left, right] of pairs) {
      const { a, b } = rewrite({ a: left, b: right });
      expect(a.node).not.toBe(b.node);
    }
  });

  it('compares large constants by their array', () => {
    const values = Array.from({ length: 100 }, (_, i) => i);
    const [a, b, c] = [constant(values, [100]), constant(values, [100]), constant([...values], [100])];
    const result = rewrite({ a, b, c });
    expect(result.a).toBe(result.b);
    expect(result.a).not.toBe(result.c);
  });

  it('drops what no output needs', () => {
    const [x, weight] = [input('x', [2, 3]), input('weight', [3])];
    const loss = sum(rmsNorm(exp(x), weight, 1e-5));
    const [, toWeight] = gradients(loss, [x, weight]);
    // The gradient with respect to x asks for e^x times more; without it that product is gone.
    const { toWeight: kept } = rewrite({ toWeight });
    expect(kindsOf({ kept }).filter((kind) => kind === 'subtract')).toEqual([]);
  });

  it('removes an expansion that the operation does by itself', () => {
    const [x, row] = [input('x', [4, 3]), input('row', [3])];
    expect(kindsOf(rewrite({ y: multiply(x, expand(row, [4, 3])) }))).toEqual(['input', 'input', 'multiply']);
  });

  it('keeps an expansion that gives the result its shape', () => {
    const [a, b] = [input('a', [3]), input('b', [1])];
    const { y } = rewrite({ y: add(expand(a, [4, 3]), expand(b, [4, 3])) });
    expect(y.shape).toEqual([4, 3]);
    expect(kindsOf({ y }).filter((kind) => kind === 'expand')).toEqual(['expand']);
  });

  it('puts a replacement in the place of a node, and merges what it is made of', () => {
    const x = input('x', [3]);
    const outputs = { y: exp(negate(x)), z: multiply(x, -1) };
    const result = rewrite(outputs, (node, [operand]) =>
      node.kind === 'negate' ? [multiply(operand, -1)] : undefined,
    );
    expect(result.y.node.inputs[0]).toBe(result.z);
    expect(interpret(result, { x: [0, 1, 2] }).y).toEqual(Float64Array.of(1, Math.exp(-1), Math.exp(-2)));
  });

  it('leaves the graph that it was given as it was', () => {
    const x = input('x', [2, 3]);
    const y = add(reshape(x, [6]), reshape(x, [6]));
    rewrite({ y });
    expect(y.node.inputs[0]).not.toBe(y.node.inputs[1]);
  });
});

describe('simplification keeps every value and gradient, bit for bit', () => {
  it.each(everyCase)('$kind: $testCase.title', ({ testCase, seed }) => {
    const { value, gradients: symbolic, feeds } = caseProgram(testCase, seed);
    const outputs = { value, ...symbolic };
    expect(interpret(rewrite(outputs), feeds)).toEqual(interpret(outputs, feeds));
  });
});
