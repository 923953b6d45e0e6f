import { afterEach, describe, expect, it } from 'vitest';
import { input, multiply, sqrt, subtract, total } from '../../engine/graph/build.ts';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { type MicroBatch, Trainer, type TrainerOptions } from './trainer.ts';

const adamw = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const opened: Trainer[] = [];
afterEach(async () => {
  for (const trainer of opened.splice(0)) await trainer.close();
});

/** Two parameters of two elements; `decaying` decays by 0.5, `bias` does not. */
async function smallTrainer(options: Partial<TrainerOptions> = {}) {
  const values = { decaying: Float32Array.of(1, 2), bias: Float32Array.of(3, 4) };
  const trained = Object.entries(values).map(([name, array]) => ({
    name,
    values: array,
    tensor: input(name, [2]),
    weightDecay: name === 'decaying' ? 0.5 : 0,
  }));
  const trainer = new Trainer(await openBackend({ threads: 1 }), trained, {
    ...{ adamw, clipNorm: 1e9, patience: 3 },
    ...options,
  });
  opened.push(trainer);
  return { trainer, values };
}

/** Loss Σ slope·(parameter − 1)·parameter of both parameters. */
function batch(slope: readonly [number, number], name = 'a batch'): MicroBatch {
  return {
    key: 'small',
    graph: ({ decaying, bias }) => {
      const slopes = input('slopes', [2]);
      const term = (p: typeof decaying) => total(multiply(slopes, multiply(p, subtract(p, 1))));
      return { loss: subtract(term(decaying), multiply(term(bias), -1)), measures: {} };
    },
    feeds: { slopes: Float32Array.from(slope) },
    describe: () => name,
  };
}

/** √0 of every parameter: the loss is 0, its slope is not finite. */
const cusp: MicroBatch = {
  key: 'cusp',
  graph: ({ decaying, bias }) => ({
    loss: total(sqrt(multiply(multiply(decaying, bias), 0))),
    measures: {},
  }),
  feeds: {},
  describe: () => 'a cusp',
};

describe('the trainer', () => {
  it('shrinks what decays by learning rate × decay where the gradient is 0, and nothing else', async () => {
    const { trainer, values } = await smallTrainer();
    await trainer.step([batch([0, 0])], 0.1);
    expect([...values.decaying]).toEqual([Math.fround(0.95), Math.fround(1.9)]);
    expect([...values.bias]).toEqual([3, 4]);
  });

  it('clips by the norm over all parameters, and reports it from before', async () => {
    const { trainer } = await smallTrainer({ clipNorm: 0.5 });
    // d/dp slope·(p² − p) = slope·(2p − 1): 1, 3, 5, 7.
    const { gradientNorm } = await trainer.step([batch([1, 1])], 0.1);
    expect(gradientNorm).toBeCloseTo(Math.sqrt(1 + 9 + 25 + 49), 5);
    const first = trainer.state().tensors.filter(({ name }) => name.startsWith('first.'));
    const clipped = first.flatMap(({ data }) => [...data]).map((moment) => moment / 0.1);
    expect(Math.hypot(...clipped)).toBeCloseTo(0.5, 5);
  });

  it.each([
    ['a loss that is not a number', batch([Number.NaN, 1])],
    ['an infinite loss', batch([3e38, 1])],
    ['a finite loss whose gradient is not', cusp],
  ] as const)('leaves weights and moments as they were at %s', async (_, bad) => {
    const { trainer, values } = await smallTrainer();
    await trainer.step([batch([1, 1])], 0.1);
    const before = structuredClone([values, trainer.state()]);
    const { isUpdated, loss } = await trainer.step([batch([1, 1]), bad], 0.1);
    expect([isUpdated, Number.isFinite(loss)]).toEqual([false, bad === cusp]);
    const skipped = trainer.state();
    expect([values, { ...skipped, skippedInARow: 0 }]).toEqual(before);
    expect(skipped.skippedInARow).toBe(1);
  });

  it('goes on after a skipped update as if it had not been', async () => {
    const [whole, broken] = [await smallTrainer(), await smallTrainer()];
    for (const { trainer } of [whole, broken]) await trainer.step([batch([1, 2])], 0.1);
    await broken.trainer.step([batch([Number.NaN, 2])], 0.1);
    for (const { trainer } of [whole, broken]) await trainer.step([batch([2, 1])], 0.1);
    expect(broken.values).toEqual(whole.values);
    expect(broken.trainer.state()).toEqual(whole.trainer.state());
  });

  it('stops after as many skipped updates in a row as it has patience, naming the batch once', async () => {
    const { trainer } = await smallTrainer({ patience: 2 });
    const bad = () => batch([Number.NaN, 1], 'rows.jsonl:7');
    await trainer.step([bad()], 0.1);
    await trainer.step([batch([1, 1])], 0.1);
    await trainer.step([bad()], 0.1);
    await expect(trainer.step([bad(), bad()], 0.1)).rejects.toThrow(
      /^the last 2 updates: expected a finite loss and gradient, got loss NaN, gradient norm NaN at rows\.jsonl:7\. Try/,
    );
  });

  it('continues from stored state to the same bits', async () => {
    const [whole, later] = [await smallTrainer(), await smallTrainer()];
    await whole.trainer.step([batch([1, 2])], 0.1);
    const { tensors, ...counts } = whole.trainer.state();
    later.trainer.restore({ tensors: tensors.map((t) => ({ ...t, data: t.data.slice() })), ...counts });
    later.values.decaying.set(whole.values.decaying);
    later.values.bias.set(whole.values.bias);
    for (const { trainer } of [whole, later]) await trainer.step([batch([2, 1])], 0.1);
    expect(later.values).toEqual(whole.values);
    expect(later.trainer.state()).toEqual(whole.trainer.state());
  });
});
