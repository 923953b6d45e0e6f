import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openBackend } from '../runtime/onnx-backend.ts';
import { AdamW, adamwRates } from './adamw.ts';
import { clipScale, globalNorm } from './clipping.ts';
import { hostArithmetic } from './gradient-arithmetic.ts';
import { PairwiseSum } from './pairwise-sum.ts';
import { scheduleKinds, scheduleMultiplier } from './schedule.ts';
import { referenceUpdate } from './testing/reference-update.ts';

const file = join(resolve(process.env.HEED_GOLDEN ?? '../shared/golden'), 'training.json');
const golden = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;

function expectEach(found: ArrayLike<number>, expected: readonly number[], tolerance: number): void {
  expected.forEach((value, i) => {
    expect(Math.abs(found[i] - value)).toBeLessThan(tolerance);
  });
}

describe.skipIf(!golden)('AdamW and schedules equal PyTorch and Transformers (golden)', () => {
  for (const name of ['adamw', 'adam_eps_1e5']) {
    const settings = () => {
      const { lr, betas, eps, weight_decay, trajectory } = golden.optimizers[name];
      return {
        learningRate: lr,
        weightDecay: weight_decay,
        beta1: betas[0],
        beta2: betas[1],
        epsilon: eps,
        trajectory,
      };
    };

    it(`${name} follows the trajectory in the float64 reference`, () => {
      const { trajectory, ...options } = settings();
      const zeros = () => new Float64Array(golden.initial.length);
      const state = { parameter: Float64Array.from(golden.initial), first: zeros(), second: zeros() };
      golden.gradients.forEach((gradient: number[], i: number) => {
        const rates = adamwRates(options, { ...options, gradientScale: 1, step: i + 1 });
        referenceUpdate(state, Float64Array.from(gradient), rates, options);
        expectEach(state.parameter, trajectory[i], 1e-8);
      });
    });

    it(`${name} follows the trajectory on the runtime, in place`, async () => {
      const { trajectory, weightDecay, ...options } = settings();
      const zeros = () => new Float32Array(golden.initial.length);
      const slot = {
        parameter: Float32Array.from(golden.initial),
        first: zeros(),
        second: zeros(),
        weightDecay,
      };
      const optimizer = await AdamW.compile(await openBackend({ threads: 2 }), [slot], options);
      for (const [i, gradient] of golden.gradients.entries()) {
        await optimizer.update([Float32Array.from(gradient)], { ...options, gradientScale: 1, step: i + 1 });
        expectEach(slot.parameter, trajectory[i], 1e-6);
      }
      await optimizer.release();
    });
  }

  for (const kind of scheduleKinds) {
    it(`the ${kind} schedule with warm-up gives the same multipliers`, () => {
      const { warmup_steps, total_steps, multiplier_at_step } = golden.schedules[kind];
      multiplier_at_step.forEach((expected: number, step: number) => {
        const schedule = { kind, warmupSteps: warmup_steps, totalSteps: total_steps };
        expect(scheduleMultiplier(schedule, step)).toBeCloseTo(expected, 8);
      });
    });
  }
});

describe('clipping', () => {
  it('takes the norm over all gradients together', () => {
    expect(globalNorm([Float32Array.of(1, 2, 2, 4, 0), Float32Array.of(0, 0, 12)])).toBe(13);
  });

  it.each([1, 4, 4095, 4096, 4097, 10_003])('takes every entry of %i once', (size) => {
    const squares = (size * (size + 1) * (2 * size + 1)) / 6;
    const counting = Float32Array.from({ length: size }, (_, i) => i + 1);
    // Whole numbers below 2⁵³ add up exactly.
    expect(globalNorm([counting])).toBe(Math.sqrt(squares));
    expect(globalNorm([Float64Array.from(counting)])).toBe(Math.sqrt(squares));
  });

  it('scales a larger gradient to the norm and leaves a smaller one', () => {
    expect(clipScale(10, 1)).toBeCloseTo(0.1, 6);
    expect(clipScale(0.5, 1)).toBe(1);
    expect(clipScale(10, Number.POSITIVE_INFINITY)).toBe(1);
  });

  it('is not finite when one entry is not', () => {
    expect(globalNorm([Float32Array.of(1, Number.NaN)])).toBeNaN();
    expect(globalNorm([Float32Array.of(1, Number.POSITIVE_INFINITY)])).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('PairwiseSum', () => {
  it('adds neighbours first, so that the bits are those of a tree', async () => {
    // In float32, 1 is lost beside 2²⁴ but not beside another 1.
    const terms = [2 ** 24, 1, 1, 1];
    const sums = new PairwiseSum(() => [new Float32Array(1)], hostArithmetic.addInto);
    for (const term of terms) {
      const buffer = sums.buffer();
      buffer[0][0] = term;
      await sums.add(buffer);
    }
    const pair = (a: number, b: number) => Math.fround(a + b);
    expect((await sums.finish())[0][0]).toBe(pair(pair(2 ** 24, 1), pair(1, 1)));
  });

  it('holds no more than log₂ n + 1 buffers', async () => {
    let made = 0;
    const sums = new PairwiseSum(() => {
      made += 1;
      return [new Float32Array(1)];
    }, hostArithmetic.addInto);
    for (let i = 0; i < 64; i++) {
      const buffer = sums.buffer();
      buffer[0][0] = 1;
      await sums.add(buffer);
    }
    expect((await sums.finish())[0][0]).toBe(64);
    expect(made).toBeLessThanOrEqual(7);
  });
});

describe('AdamW', () => {
  it('updates large parameters in place as the float64 reference does, to the same bits in 20 runs', async () => {
    const size = 300_000;
    const wave = (phase: number) => Float32Array.from({ length: size }, (_, i) => Math.sin(0.1 * i + phase));
    const [parameter, first, second, gradient] = [wave(0), wave(1), wave(2).map(Math.abs), wave(3)];
    const options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    const update = { learningRate: 0.01, gradientScale: 0.5, step: 3 };
    const expected = {
      parameter: Float64Array.from(parameter),
      first: Float64Array.from(first),
      second: Float64Array.from(second),
    };
    const rates = adamwRates(options, { ...update, weightDecay: 0.1 });
    referenceUpdate(expected, Float64Array.from(gradient), rates, options);
    const slot = {
      parameter: parameter.slice(),
      first: first.slice(),
      second: second.slice(),
      weightDecay: 0.1,
    };
    const optimizer = await AdamW.compile(await openBackend({ threads: 2 }), [slot], options);
    let bits: Float32Array | undefined;
    for (let run = 0; run < 20; run++) {
      slot.parameter.set(parameter);
      slot.first.set(first);
      slot.second.set(second);
      await optimizer.update([gradient], update);
      bits ??= slot.parameter.slice();
      expect(Buffer.compare(Buffer.from(slot.parameter.buffer), Buffer.from(bits.buffer))).toBe(0);
    }
    const worst = expected.parameter.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - slot.parameter[i])),
      0,
    );
    expect(worst).toBeLessThan(1e-6);
    await optimizer.release();
  });
});
