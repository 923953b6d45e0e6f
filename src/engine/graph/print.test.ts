import { expect, it } from 'vitest';
import { add, cast, constant, equal, input, layerNorm, matmul, total } from './build.ts';
import { gradients } from './gradients.ts';
import { printGraph } from './print.ts';

it('prints a line a node, inputs before users, and then the outputs', () => {
  const [a, b] = [input('a', [2, 3]), input('b', [4, 3])];
  const product = matmul(a, b, { transposeB: true, scale: 0.5 });
  const y = add(product, constant([1, 2, 3, 4], [4]));
  expect(printGraph({ y, product })).toBe(
    [
      '%0: float[2,3] = input a',
      '%1: float[4,3] = input b',
      '%2: float[2,4] = matmul(%0, %1) {"transposeA":false,"transposeB":true,"scale":0.5}',
      '%3: float[4] = constant(1 2 3 4)',
      '%4: float[2,4] = add(%2, %3)',
      'y = %4',
      'product = %2',
    ].join('\n'),
  );
});

it('says which output of a node is meant when it has several', () => {
  const x = input('x', [2, 3]);
  const normalised = layerNorm(x, constant(1, [3]), constant(0, [3]), 1e-5);
  const [gradient] = gradients(total(normalised), [x]);
  const text = printGraph({ normalised, gradient });
  expect(text).toContain('%3: float[2,3] and float[2,1] and float[2,1] = layerNorm(%0, %1, %2)');
  expect(text).toMatch(/subtract\(%0, %3\.1\)/);
  expect(text).toMatch(/multiply\(%\d+, %3\.2\)/);
});

it('shortens long constants', () => {
  const isListed = equal(input('id', [], 'int'), constant([1, 2, 3, 4, 5, 6], [6], 'int'));
  expect(printGraph({ isListed: cast(isListed, 'float') })).toContain('%1: int[6] = constant(1 2 3 4 …)\n');
});
