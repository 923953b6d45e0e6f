import { afterEach, describe, expect, it } from 'vitest';
import { gatherRows, input, multiply, sqrt, subtract, total } from '../graph/build.ts';
import type { Backend } from '../runtime/backend.ts';
import { openBackend } from '../runtime/onnx-backend.ts';
import { gatheringTogether } from '../runtime/testing/gathering-together.ts';
import { referenceBackend } from '../runtime/testing/reference-backend.ts';
import { alone } from '../runtime/workers.ts';
import { type MicroBatch, UpdateStep, type UpdateStepOptions } from './update-step.ts';

const adamw = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const opened: UpdateStep[] = [];
afterEach(async () => {
  for (const step of opened.splice(0)) await step.close();
});

const backends = {
  'whose arrays are the tensors': () => openBackend({ threads: 1 }),
  'with a memory of its own': async () => referenceBackend(),
};

/** Two weights of two elements; `decaying` decays by 0.5, `bias` does not. */
function smallStep(backend: Backend, options: Partial<UpdateStepOptions> = {}) {
  const values = { decaying: Float32Array.of(1, 2), bias: Float32Array.of(3, 4) };
  const trained = Object.entries(values).map(([name, array]) => ({
    name,
    values: array,
    tensor: input(name, [2]),
    weightDecay: name === 'decaying' ? 0.5 : 0,
  }));
  const all = { adamw, clipNorm: 1e9, patience: 3, ...options };
  const step = new UpdateStep(backend, { trained }, all);
  opened.push(step);
  return { step, values };
}

/** Loss Σ slope·(weight − 1)·weight of both weights. */
function batch(slope: readonly [number, number], name = 'a batch'): MicroBatch {
  return {
    key: 'small',
    graph: ({ decaying, bias }) => {
      const slopes = input('slopes', [2]);
      const term = (p: typeof decaying) => total(multiply(slopes, multiply(p, subtract(p, 1))));
      return { loss: subtract(term(decaying), multiply(term(bias), -1)), measures: {} };
    },
    feeds: () => ({ slopes: Float32Array.from(slope) }),
    describe: () => name,
  };
}

/** √0 of every weight: the loss is 0, its slope is not finite. */
const cusp: MicroBatch = {
  key: 'cusp',
  graph: ({ decaying, bias }) => ({
    loss: total(sqrt(multiply(multiply(decaying, bias), 0))),
    measures: {},
  }),
  feeds: () => ({}),
  describe: () => 'a cusp',
};

describe.each(Object.entries(backends))('a step on a backend %s', (_, open) => {
  const opening = async (options: Partial<UpdateStepOptions> = {}, workers = alone) =>
    smallStep({ ...(await open()), workers }, options);

  it('shrinks what decays by learning rate × decay where the gradient is 0, and nothing else', async () => {
    const { step, values } = await opening();
    await step.step([batch([0, 0])], 0.1);
    await step.download();
    expect([...values.decaying]).toEqual([Math.fround(0.95), Math.fround(1.9)]);
    expect([...values.bias]).toEqual([3, 4]);
  });

  it('clips by the norm over all weights, and reports it from before', async () => {
    const { step } = await opening({ clipNorm: 0.5 });
    // d/dp slope·(p² − p) = slope·(2p − 1): 1, 3, 5, 7.
    const { gradientNorm } = await step.step([batch([1, 1])], 0.1);
    expect(gradientNorm).toBeCloseTo(Math.sqrt(1 + 9 + 25 + 49), 5);
    const { tensors } = await step.state();
    const first = tensors.filter(({ name }) => name.startsWith('first.'));
    const clipped = first.flatMap(({ data }) => [...data]).map((moment) => moment / 0.1);
    expect(Math.hypot(...clipped)).toBeCloseTo(0.5, 5);
  });

  it.each([
    ['a loss that is not a number', batch([Number.NaN, 1])],
    ['an infinite loss', batch([3e38, 1])],
    ['a finite loss whose gradient is not', cusp],
  ] as const)('leaves weights and moments as they were at %s', async (_, bad) => {
    const { step, values } = await opening();
    await step.step([batch([1, 1])], 0.1);
    const before = structuredClone([await step.state(), values]);
    const { isUpdated, loss } = await step.step([batch([1, 1]), bad], 0.1);
    expect([isUpdated, Number.isFinite(loss)]).toEqual([false, bad === cusp]);
    const skipped = await step.state();
    expect([{ ...skipped, skippedInARow: 0 }, values]).toEqual(before);
    expect(skipped.skippedInARow).toBe(1);
  });

  it('goes on after a skipped update as if it had not been', async () => {
    const [whole, broken] = [await opening(), await opening()];
    for (const { step } of [whole, broken]) await step.step([batch([1, 2])], 0.1);
    await broken.step.step([batch([Number.NaN, 2])], 0.1);
    for (const { step } of [whole, broken]) await step.step([batch([2, 1])], 0.1);
    expect(await broken.step.state()).toEqual(await whole.step.state());
    expect(broken.values).toEqual(whole.values);
    expect(whole.values.bias[0]).toBeLessThan(2.9);
  });

  it('stops after as many skipped updates in a row as it has patience, naming the batch once', async () => {
    const { step } = await opening({ patience: 2 });
    const bad = () => batch([Number.NaN, 1], 'rows.jsonl:7');
    await step.step([bad()], 0.1);
    await step.step([batch([1, 1])], 0.1);
    await step.step([bad()], 0.1);
    await expect(step.step([bad(), bad()], 0.1)).rejects.toThrow(
      /^the last 2 updates: expected a finite loss and gradient, got loss NaN, gradient norm NaN at rows\.jsonl:7\. Try/,
    );
  });

  it('continues from stored state to the same bits, also where it had gone elsewhere', async () => {
    const [whole, later] = [await opening(), await opening()];
    await whole.step.step([batch([1, 2])], 0.1);
    const stored = structuredClone(await whole.step.state());
    await later.step.step([batch([5, -3])], 0.1);
    later.values.decaying.set(whole.values.decaying);
    later.values.bias.set(whole.values.bias);
    await later.step.restore(stored);
    for (const { step } of [whole, later]) await step.step([batch([2, 1])], 0.1);
    expect(await later.step.state()).toEqual(await whole.step.state());
    expect(later.values).toEqual(whole.values);
  });

  it('feeds what is frozen and leaves it alone, with no moments of its own', async () => {
    const table = Float32Array.of(1, 2, 3, 4);
    const scale = Float32Array.of(1, 1);
    const weight = (name: string, values: Float32Array, shape: number[]) => {
      return { name, values, tensor: input(name, shape) };
    };
    const trained = [{ ...weight('scale', scale, [1, 2]), weightDecay: 0 }];
    const frozen = [weight('table', table, [2, 2])];
    const step = new UpdateStep(await open(), { trained, frozen }, { adamw, clipNorm: 1e9, patience: 1 });
    opened.push(step);
    const looksUp: MicroBatch = {
      key: 'row',
      graph: (weights) => {
        const row = gatherRows(weights.table, input('row', [1], 'int'));
        return { loss: total(multiply(row, weights.scale)), measures: {} };
      },
      feeds: () => ({ row: Int32Array.of(1) }),
      describe: () => 'a row',
    };
    const { loss, gradientNorm } = await step.step([looksUp], 0.1);
    expect([loss, gradientNorm]).toEqual([7, 5]);
    const { tensors } = await step.state();
    expect(tensors.map(({ name, shape }) => [name, shape])).toEqual([
      ['first.scale', [1, 2]],
      ['second.scale', [1, 2]],
    ]);
    expect(table).toEqual(Float32Array.of(1, 2, 3, 4));
    // The first update of Adam is a step of the learning rate.
    expect(scale[0]).toBeCloseTo(0.9, 6);
  });

  it('makes the feeds of a micro-batch when its turn has come', async () => {
    const { step } = await opening();
    const calls: string[] = [];
    const told = (key: string): MicroBatch => {
      const own = batch([1, 1]);
      return {
        ...{ ...own, key },
        graph: (weights) => {
          calls.push(`graph ${key}`);
          return own.graph(weights);
        },
        feeds: () => {
          calls.push(`feeds ${key}`);
          return own.feeds();
        },
      };
    };
    await step.step([told('a'), told('b')], 0.1);
    expect(calls).toEqual(['graph a', 'feeds a', 'graph b', 'feeds b']);
  });

  it.each([2, 3])(
    'is the step of one process, to the bit, when %i workers compute a share each',
    async (size) => {
      const batches = [
        batch([1, 2]),
        batch([0.1, 0.7]),
        batch([3, -1]),
        batch([0.3, 0.3]),
        batch([0.7, 0.1]),
      ];
      const whole = await opening();
      const together = gatheringTogether(size);
      const shares = await Promise.all(together.map((workers) => opening({}, workers)));
      for (let i = 0; i < 3; i++) {
        const expected = await whole.step.step(batches, 0.1);
        const results = await Promise.all(shares.map(({ step }) => step.step(batches, 0.1)));
        for (const result of results) expect(result).toEqual(expected);
      }
      for (const { step } of [whole, ...shares]) await step.download();
      for (const { values } of shares) expect(values).toEqual(whole.values);
    },
  );
});

describe('a step on a backend with a memory of its own', () => {
  it('leaves weights there until they are asked for, and moves numbers alone', async () => {
    const backend = referenceBackend();
    const { step, values } = smallStep(backend);
    const cpu = smallStep(await openBackend({ threads: 1 }));
    const batches = [batch([1, 2]), batch([2, 0.5]), batch([0.1, 1])];
    const bytes = 4;
    let before = backend.traffic();
    const moved = () => {
      const [{ toDevice, fromDevice }, start] = [backend.traffic(), before];
      before = backend.traffic();
      return [(toDevice - start.toDevice) / bytes, (fromDevice - start.fromDevice) / bytes];
    };
    await step.step(batches, 0.1);
    const weights = 4;
    const [slopes, rates] = [2 * batches.length, 4 * 2];
    const [losses, norm] = [batches.length, 1];
    expect(moved()).toEqual([3 * weights + slopes + rates, losses + norm]);
    for (let i = 0; i < 4; i++) {
      await step.step(batches, 0.1);
      expect(moved()).toEqual([slopes + rates, losses + norm]);
    }
    expect(values).toEqual({ decaying: Float32Array.of(1, 2), bias: Float32Array.of(3, 4) });
    for (let i = 0; i < 5; i++) await cpu.step.step(batches, 0.1);
    await step.download();
    for (const name of ['decaying', 'bias'] as const) {
      values[name].forEach((value, i) => {
        expect(Math.abs(value - cpu.values[name][i])).toBeLessThan(1e-6);
      });
    }
    expect(Math.abs(values.bias[0] - 3)).toBeGreaterThan(0.3);
  });

  it('frees all that it held', async () => {
    const backend = referenceBackend();
    const { step, values } = smallStep(backend);
    await step.step([batch([1, 1])], 0.1);
    await step.step([batch([1, 1])], 0.1);
    await step.close();
    const before = backend.traffic();
    await backend.hold(Object.values(values));
    expect(backend.traffic().toDevice - before.toDevice).toBe(16);
  });
});
