import { expect, it } from 'vitest';
import { input, multiply } from '../graph/build.ts';
import { openBackend } from './onnx-backend.ts';
import { ProgramCache } from './program-cache.ts';

const times = (factor: number) => () => ({ y: multiply(input('x', [2]), factor) });
const feeds = { x: Float32Array.of(1, 2) };

it('compiles once a key, and releases what was longest not asked for', async () => {
  const programs = new ProgramCache(await openBackend({ threads: 1 }), 2);
  const twice = await programs.get('2', times(2));
  const thrice = await programs.get('3', times(3));
  expect(await programs.get('2', times(5))).toBe(twice);
  await programs.get('4', times(4));
  await expect(thrice.run(feeds)).rejects.toThrow('released');
  expect((await twice.run(feeds)).y).toEqual(Float32Array.of(2, 4));
  await programs.release();
  await expect(twice.run(feeds)).rejects.toThrow('released');
});

it('tries again what failed, and is released without it', async () => {
  const backend = await openBackend({ threads: 1 });
  const programs = new ProgramCache(backend);
  const twoOfAName = () => ({ y: multiply(input('x', [2]), input('x', [2, 2])) });
  await expect(programs.get('x', twoOfAName)).rejects.toThrow('names both x and another');
  expect((await (await programs.get('x', times(2))).run(feeds)).y).toEqual(Float32Array.of(2, 4));
  await programs.release();
});
