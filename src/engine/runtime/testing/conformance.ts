// The one suite that every backend passes: the reference's values and gradients, the same bits at every run, and
// the small print of the contract.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { add, cast, input, less, matmul, multiply, total } from '../../graph/build.ts';
import type { OpKind, Tensor } from '../../graph/tensor.ts';
import type { Backend, Feeds, Program, TensorData } from '../backend.ts';
import { interpret } from '../reference.ts';
import { caseProgram } from './case-program.ts';
import { everyCase, type Trial } from './operation-cases.ts';
import { wideCases } from './wide-cases.ts';

const valueTolerance = 1e-5;
const gradientTolerance = 1e-4;

interface Measured {
  compiled: Program;
  feeds: Feeds;
  outputs: Record<string, Tensor>;
}

async function compileCase(backend: Backend, testCase: Trial, seed = 0): Promise<Measured> {
  const { value, gradients, feeds } = caseProgram(testCase, seed);
  const outputs = { result: value, ...gradients };
  const compiled = await backend.compile(outputs);
  return { compiled, feeds, outputs };
}

function relativeError(found: ArrayLike<number>, expected: Float64Array): number {
  const largest = expected.reduce((sofar, x) => Math.max(sofar, Math.abs(x)), 0);
  const error = expected.reduce((sofar, x, i) => Math.max(sofar, Math.abs(x - found[i])), 0);
  return error === 0 ? 0 : error / largest;
}

async function expectReference(backend: Backend, testCase: Trial, seed: number): Promise<void> {
  const { compiled, feeds, outputs } = await compileCase(backend, testCase, seed);
  const expected = interpret(outputs, feeds);
  const found = await compiled.run(feeds);
  await compiled.release();
  for (const name of Object.keys(outputs)) {
    const tolerance = name === 'result' ? valueTolerance : gradientTolerance;
    expect(found[name].length).toBe(expected[name].length);
    expect(relativeError(found[name], expected[name]), `${name}'s relative error`).toBeLessThan(tolerance);
  }
}

const bytesOf = (values: TensorData): Buffer =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength);

async function expectSameBits(backend: Backend, testCase: Trial, runs: number): Promise<void> {
  const { compiled, feeds } = await compileCase(backend, testCase);
  const first = await compiled.run(feeds);
  const again = Object.fromEntries(compiled.outputs.map(({ name }) => [name, first[name].slice()]));
  const different = new Set<string>();
  for (let run = 1; run < runs; run++) {
    for (const values of Object.values(again)) values.fill(0);
    await compiled.run(feeds, again);
    for (const { name } of compiled.outputs) {
      if (!bytesOf(first[name]).equals(bytesOf(again[name]))) different.add(`${name} in run ${run}`);
    }
  }
  await compiled.release();
  expect([...different]).toEqual([]);
}

export interface Conformance {
  /** How often each operation is run to see that its bits do not change, and on how many rows. */
  repetition: { runs: number; rows: number; columns: number };
}

/** Declares the suite; `open` is called once, before the first test. */
export function describeConformance(open: () => Promise<Backend>, { repetition }: Conformance): void {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open();
  });

  describe(`value within ${valueTolerance} and gradient within ${gradientTolerance} of the reference`, () => {
    it.each(everyCase)('$kind: $testCase.title', ({ testCase, seed }) =>
      expectReference(backend, testCase, seed),
    );
  });

  describe('the same on rows enough to fill several tiles', () => {
    const cases = wideCases(136, 72);
    it.each(Object.keys(cases) as OpKind[])('%s', (kind) => expectReference(backend, cases[kind], 0));
  });

  describe(`the same bits in ${repetition.runs} runs`, () => {
    const cases = wideCases(repetition.rows, repetition.columns);
    it.each(Object.keys(cases) as OpKind[])('%s', (kind) =>
      expectSameBits(backend, cases[kind], repetition.runs),
    );
  });

  describe('contract', () => describeContract(() => backend));

  describe('tensors that stay on the device', () => describeResidency(() => backend));
}

/** What every backend promises besides values. */
export function describeContract(backend: () => Backend): void {
  const [a, b, count] = [input('a', [2, 3]), input('b', [3, 2]), input('count', [2], 'int')];
  let program: Program;
  const feeds = {
    a: Float32Array.of(1, 2, 3, 4, 5, 6),
    b: Float32Array.of(1, 0, 0, 1, 1, 1),
    count: Int32Array.of(7, -7),
  };
  beforeAll(async () => {
    const product = matmul(a, b);
    const outputs = {
      product,
      sum: total(product),
      doubled: add(count, count),
      low: less(a, cast(total(a), 'float')),
    };
    program = await backend().compile({ ...outputs, copy: a, productAgain: product });
  });
  afterAll(() => program.release());

  it('gives each type in its own array', async () => {
    expect(await program.run(feeds)).toEqual({
      product: Float32Array.of(4, 5, 10, 11),
      productAgain: Float32Array.of(4, 5, 10, 11),
      sum: Float32Array.of(30),
      doubled: Int32Array.of(14, -14),
      low: Uint8Array.of(1, 1, 1, 1, 1, 1),
      copy: feeds.a,
    });
  });

  it('writes to the arrays that are given and leaves earlier results alone', async () => {
    const into = { product: new Float32Array(4), doubled: new Int32Array(2) };
    const first = await program.run(feeds);
    const second = await program.run({ ...feeds, a: Float32Array.of(2, 4, 6, 8, 10, 12) }, into);
    expect(second.product).toBe(into.product);
    expect(second.doubled).toBe(into.doubled);
    expect(Array.from(into.product)).toEqual([8, 10, 20, 22]);
    expect(Array.from(first.product)).toEqual([4, 5, 10, 11]);
  });

  it('keeps programs apart that differ in sizes only, also when one of them is released', async () => {
    const ofSize = (n: number) => {
      const [x, y] = [input('x', [n, 3]), input('y', [3, n])];
      return backend().compile({ product: multiply(matmul(x, y), 2), sum: total(x) });
    };
    const ones = (n: number) => ({ x: new Float32Array(3 * n).fill(1), y: new Float32Array(3 * n).fill(1) });
    const [small, large] = [await ofSize(2), await ofSize(5)];
    const expectProduct = async (program: Program, n: number) =>
      expect(await program.run(ones(n))).toEqual({
        product: new Float32Array(n * n).fill(6),
        sum: Float32Array.of(3 * n),
      });
    await expectProduct(small, 2);
    await expectProduct(large, 5);
    await small.release();
    await small.release();
    await expect(small.run(ones(2))).rejects.toThrow('released');
    await expectProduct(large, 5);
    await large.release();
  });

  it('writes to a part of a larger array and to nothing beside it', async () => {
    const whole = new Float32Array(8).fill(-1);
    await program.run(feeds, { product: whole.subarray(2, 6) });
    expect(Array.from(whole)).toEqual([-1, -1, 4, 5, 10, 11, -1, -1]);
  });

  it('does not change its inputs', async () => {
    await program.run(feeds);
    expect(Array.from(feeds.a)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('names an input that is missing, short, or of another type', async () => {
    const { a: _a, ...withoutA } = feeds;
    await expect(program.run(withoutA)).rejects.toThrow(
      'input a: expected float[2,3] in a Float32Array, got nothing.',
    );
    await expect(program.run({ ...feeds, b: new Float32Array(5) })).rejects.toThrow(
      'input b: expected float[3,2] in a Float32Array, got 5 elements in a Float32Array.',
    );
    await expect(program.run({ ...feeds, count: Float32Array.of(7, -7) })).rejects.toThrow(
      'input count: expected int[2] in a Int32Array, got 2 elements in a Float32Array.',
    );
  });

  it('names an output array that is too short', async () => {
    await expect(program.run(feeds, { product: new Float32Array(3) })).rejects.toThrow(
      'output product: expected float[2,2] in a Float32Array, got 3 elements in a Float32Array.',
    );
  });

  it('says which inputs and outputs a program has', () => {
    expect(program.inputs).toContainEqual({ name: 'count', shape: [2], dtype: 'int' });
    expect(program.outputs).toContainEqual({ name: 'low', shape: [2, 3], dtype: 'bool' });
  });

  it('refuses one name for an input and an output', async () => {
    await expect(backend().compile({ a: multiply(a, 2) })).rejects.toThrow(/names both a and another/);
  });

  it('does not run after its release', async () => {
    const other = await backend().compile({ y: multiply(a, 2) });
    await other.release();
    await expect(other.run({ a: feeds.a })).rejects.toThrow();
  });
}

/** What a backend promises of tensors that it holds. */
export function describeResidency(backend: () => Backend): void {
  const N = 5;
  const x = input('x', [N]);
  const ramp = () => Float32Array.from({ length: N }, (_, i) => i);
  const values = (array: TensorData) => Array.from(array);
  let counter: Program;
  let doubler: Program;
  beforeAll(async () => {
    counter = await backend().compile({ next: add(x, 1), sum: total(x) }, ['next']);
    doubler = await backend().compile({ doubled: multiply(x, 2) });
  });
  afterAll(async () => {
    await counter.release();
    await doubler.release();
  });
  const doubled = async (array: TensorData) => values((await doubler.run({ x: array })).doubled);

  it('carries an output over into the next run, and returns the others', async () => {
    const array = ramp();
    const sums: number[] = [];
    for (let run = 0; run < 3; run++) sums.push((await counter.run({ x: array }, { next: array })).sum[0]);
    expect(sums).toEqual([10, 15, 20]);
    await backend().download([array]);
    expect(values(array)).toEqual([3, 4, 5, 6, 7]);
    backend().drop([array]);
  });

  it('leaves the array that an output was computed from as it was, when it goes to another', async () => {
    const [from, to] = [ramp(), new Float32Array(N)];
    await backend().hold([from]);
    await counter.run({ x: from }, { next: to });
    expect(await doubled(from)).toEqual([0, 2, 4, 6, 8]);
    expect(await doubled(to)).toEqual([2, 4, 6, 8, 10]);
    backend().drop([from, to]);
  });

  it('sees what was written to an array once it is uploaded', async () => {
    const array = ramp();
    await backend().hold([array]);
    array[0] = 9;
    if (backend().hasOwnMemory) expect(await doubled(array)).toEqual([0, 2, 4, 6, 8]);
    await backend().upload([array]);
    expect(await doubled(array)).toEqual([18, 2, 4, 6, 8]);
    await backend().download([array]);
    expect(values(array)).toEqual([9, 1, 2, 3, 4]);
    backend().drop([array]);
  });

  it('sees what a program wrote to an array that is held', async () => {
    const array = ramp();
    await backend().hold([array]);
    await doubler.run({ x: array }, { doubled: array });
    expect(values(array)).toEqual([0, 2, 4, 6, 8]);
    expect(await doubled(array)).toEqual([0, 4, 8, 12, 16]);
    backend().drop([array]);
  });

  it('keeps what is held until each holder has dropped it, and is asked for nothing by those who never held', async () => {
    const array = ramp();
    await backend().hold([array]);
    await counter.run({ x: array }, { next: array });
    await backend().hold([array]);
    backend().drop([array]);
    expect(await doubled(array)).toEqual([2, 4, 6, 8, 10]);
    await backend().download([array]);
    backend().drop([array]);
    array[0] = 5;
    expect(await doubled(array)).toEqual([10, 4, 6, 8, 10]);
    backend().drop([array]);
    await backend().upload([array]);
    expect(await doubled(array)).toEqual([10, 4, 6, 8, 10]);
  });

  it('takes a tensor that it holds in any shape of as many elements', async () => {
    const array = Float32Array.of(1, 2, 3, 4, 5, 6);
    const [a, b] = [input('a', [2, 3]), input('b', [3, 2])];
    const program = await backend().compile({ product: matmul(a, b), turned: cast(b, 'int') }, ['turned']);
    const turned = new Int32Array(6);
    await backend().hold([array]);
    const { product } = await program.run({ a: array, b: array }, { turned });
    expect(values(product)).toEqual([22, 28, 49, 64]);
    const integers = await backend().compile({
      twice: add(input('count', [6], 'int'), input('count', [6], 'int')),
    });
    expect(values((await integers.run({ count: turned })).twice)).toEqual([2, 4, 6, 8, 10, 12]);
    backend().drop([array, turned]);
    await Promise.all([program.release(), integers.release()]);
  });

  it('keeps a program apart from one that leaves nothing', async () => {
    const returning = await backend().compile({ next: add(x, 1), sum: total(x) });
    const array = ramp();
    const { next } = await returning.run({ x: array });
    expect(values(next)).toEqual([1, 2, 3, 4, 5]);
    await returning.release();
  });

  it('refuses to leave an output that is the value of no array', async () => {
    await expect(counter.run({ x: ramp() })).rejects.toThrow(/^output next/);
  });

  it('moves what it does not hold, and nothing else', async () => {
    const [array, other] = [ramp(), ramp()];
    const start = backend().traffic();
    const moved = () => {
      const { toDevice, fromDevice } = backend().traffic();
      return [toDevice - start.toDevice, fromDevice - start.fromDevice];
    };
    const bytes = backend().hasOwnMemory ? 4 : 0;
    await backend().hold([array]);
    expect(moved()).toEqual([N * bytes, 0]);
    for (let run = 0; run < 3; run++) await counter.run({ x: array }, { next: array });
    expect(moved()).toEqual([N * bytes, 3 * bytes]);
    await doubler.run({ x: other });
    expect(moved()).toEqual([2 * N * bytes, (N + 3) * bytes]);
    await backend().download([array]);
    expect(moved()).toEqual([2 * N * bytes, (2 * N + 3) * bytes]);
    backend().drop([array]);
  });
}
