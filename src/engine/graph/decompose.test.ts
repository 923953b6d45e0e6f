// Every decomposition is the same function as its operation: in the float64 reference, in value and in gradient.

import { describe, expect, it } from 'vitest';
import { type Feeds, interpret } from '../runtime/reference.ts';
import { caseProgram } from '../runtime/testing/case-program.ts';
import { everyCase } from '../runtime/testing/operation-cases.ts';
import { multiply, total } from './build.ts';
import { type Decomposable, decompose, decompositions } from './decompose.ts';
import { gradients } from './gradients.ts';
import { rewrite } from './simplify.ts';
import { type Node, type OpKind, type Tensor, topologicalOrder } from './tensor.ts';

const kinds = Object.keys(decompositions) as Decomposable[];
const cases = everyCase.filter(({ kind }) => kinds.includes(kind as Decomposable));

const inputsOf = (tensor: Tensor): Map<string, Tensor> => {
  const inputs = topologicalOrder([tensor]).filter((node): node is Node<'input'> => node.kind === 'input');
  return new Map(inputs.map((node) => [node.attributes.name, node.outputs[0]]));
};

/** `tensor` computed without operations of `kind` (but for the plain product, which matmul's is made of). */
function withoutKind(tensor: Tensor, kind: Decomposable): Tensor {
  const isPlain = (node: Node): boolean =>
    node.kind === 'matmul' && /false,"transposeB":false,"scale":1\}/.test(JSON.stringify(node.attributes));
  return rewrite({ tensor }, (node, inputs) =>
    node.kind === kind && !isPlain(node) ? decompose(kind, inputs, node.attributes as never) : undefined,
  ).tensor;
}

function expectEqual(left: Tensor, right: Tensor, feeds: Feeds): void {
  const found = interpret({ left, right }, feeds);
  const largest = found.left.reduce((sofar, x) => Math.max(sofar, Math.abs(x)), 0);
  const error = found.left.reduce((sofar, x, i) => Math.max(sofar, Math.abs(x - found.right[i])), 0);
  expect(found.right.length).toBe(found.left.length);
  expect(error).toBeLessThanOrEqual(1e-12 * largest);
}

describe('a decomposition equals its operation to 1e-12', () => {
  it('has a case for each', () => {
    const tried = new Set<OpKind>(cases.map(({ kind }) => kind));
    expect(kinds.filter((kind) => !tried.has(kind))).toEqual([]);
  });

  it.each(cases)('$kind: $testCase.title, in value', ({ kind, testCase, seed }) => {
    const { value, feeds } = caseProgram(testCase, seed);
    expectEqual(value, withoutKind(value, kind as Decomposable), feeds);
  });

  it.each(cases)('$kind: $testCase.title, in gradient', ({ kind, testCase, seed }) => {
    const { value, loss, gradients: expected, feeds } = caseProgram(testCase, seed);
    const weights = inputsOf(loss).get('weights')!;
    const decomposed = withoutKind(total(multiply(value, weights)), kind as Decomposable);
    const inputs = inputsOf(decomposed);
    const found = gradients(
      decomposed,
      testCase.differentiated.map((name) => inputs.get(name)!),
    );
    Object.values(expected).forEach((gradient, i) => {
      expectEqual(gradient, found[i], feeds);
    });
  });
});

describe("the norms' statistics", () => {
  it.each(['rmsNorm', 'layerNorm', 'attention'] as const)('%s gives the same in each output', (kind) => {
    for (const { testCase, seed } of cases.filter((one) => one.kind === kind)) {
      const { value, feeds } = caseProgram(testCase, seed);
      const parts = decompose(kind, value.node.inputs, value.node.attributes as never);
      expect(parts.length).toBe(value.node.outputs.length);
      value.node.outputs.forEach((output, i) => {
        expectEqual(output, parts[i], feeds);
      });
    }
  });
});
