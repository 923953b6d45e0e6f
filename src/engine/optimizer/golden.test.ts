import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adamwUpdate, type FloatArray } from './adamw.ts';
import { clipScale, globalNorm } from './clipping.ts';
import { PairwiseSum } from './pairwise-sum.ts';
import { scheduleKinds, scheduleMultiplier } from './schedule.ts';

const file = join(resolve(process.env.HEED_GOLDEN ?? '../shared/golden'), 'training.json');
const golden = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;

describe.skipIf(!golden)('AdamW and schedules equal PyTorch and Transformers (golden)', () => {
  for (const name of ['adamw', 'adam_eps_1e5']) {
    for (const kind of [Float64Array, Float32Array]) {
      it(`${name} follows the trajectory in ${kind.name}`, () => {
        const { lr, betas, eps, weight_decay, trajectory } = golden.optimizers[name];
        const parameter: FloatArray = kind.from(golden.initial);
        const moments = { first: new kind(parameter.length), second: new kind(parameter.length) };
        const options = { beta1: betas[0], beta2: betas[1], epsilon: eps };
        golden.gradients.forEach((gradient: number[], i: number) => {
          const update = { learningRate: lr, weightDecay: weight_decay, gradientScale: 1, step: i + 1 };
          adamwUpdate(parameter, kind.from(gradient), moments, options, update);
          trajectory[i].forEach((expected: number, j: number) => {
            expect(Math.abs(parameter[j] - expected)).toBeLessThan(kind === Float64Array ? 1e-8 : 1e-6);
          });
        });
      });
    }
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
  it('adds neighbours first, so that the bits are those of a tree', () => {
    // In float32, 1 is lost beside 2²⁴ but not beside another 1.
    const terms = [2 ** 24, 1, 1, 1];
    const sums = new PairwiseSum(() => [new Float32Array(1)]);
    for (const term of terms) {
      const buffer = sums.buffer();
      buffer[0][0] = term;
      sums.add(buffer);
    }
    const pair = (a: number, b: number) => Math.fround(a + b);
    expect(sums.finish()[0][0]).toBe(pair(pair(2 ** 24, 1), pair(1, 1)));
  });

  it('holds no more than log₂ n + 1 buffers', () => {
    let made = 0;
    const sums = new PairwiseSum(() => {
      made += 1;
      return [new Float32Array(1)];
    });
    for (let i = 0; i < 64; i++) {
      const buffer = sums.buffer();
      buffer[0][0] = 1;
      sums.add(buffer);
    }
    expect(sums.finish()[0][0]).toBe(64);
    expect(made).toBeLessThanOrEqual(7);
  });
});
