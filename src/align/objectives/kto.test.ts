import { describe, expect, it } from 'vitest';
import { constant, input, mean, total } from '../../engine/graph/build.ts';
import { interpret } from '../../engine/runtime/reference.ts';
import { ktoLoss, ktoReferencePoint } from './kto.ts';
import { centralDifferences, evaluate, inputsOf, precisions } from './testing/evaluate.ts';

const isDesirable = constant([1, 1, 0, 0], [4], 'bool');

function lossOf(feeds: { policy: number[]; reference: number[] }, options = { beta: 0.5 }) {
  const { policy, reference } = inputsOf(feeds);
  return { policy, ...ktoLoss({ policy, reference, isDesirable }, input('z', []), options) };
}

describe('KTO', () => {
  it('gives half of each weight when d equals the reference point', () => {
    const feeds = { policy: [-3, -4, -5, -6], reference: [-4, -5, -6, -7] };
    const options = { beta: 0.5, desirableWeight: 1, undesirableWeight: 1.5 };
    const { loss, rewards } = lossOf(feeds, options);
    const found = interpret({ loss, rewards }, { ...feeds, z: [1] });
    expect([...found.loss]).toEqual([0.5, 0.5, 0.75, 0.75]);
    expect([...found.rewards]).toEqual([0.5, 0.5, 0.5, 0.5]);
  });

  it('has the gradient of its differences, raising good answers and lowering bad ones', async () => {
    const feeds = { policy: [-3, -9, -3, -9], reference: [-5, -5, -5, -5], z: [0.4] };
    const { loss, policy } = lossOf(feeds);
    const sum = total(loss);
    const { 'd policy': slopes } = await evaluate('float64', { loss }, feeds, { loss: sum, of: { policy } });
    const expected = centralDifferences(
      (x) => interpret({ sum }, { ...feeds, policy: x }).sum[0],
      feeds.policy,
    );
    slopes.forEach((slope, i) => {
      expect(slope).toBeCloseTo(expected[i], 8);
    });
    expect(slopes.map(Math.sign)).toEqual([-1, -1, 1, 1]);
  });

  it.each(precisions)('stays finite at log-ratios of ±1e4 in %s', async (precision) => {
    const feeds = { policy: [0, -2e4, 0, -2e4], reference: [-1e4, -1e4, -1e4, -1e4], z: [0] };
    const { loss, policy } = lossOf(feeds);
    const found = await evaluate(precision, { loss }, feeds, { loss: mean(loss), of: { policy } });
    found.loss.forEach((value, i) => {
      expect(value).toBeCloseTo([0, 1, 1, 0][i], 6);
    });
    expect(found['d policy'].every(Number.isFinite)).toBe(true);
  });

  it('takes the mean log-ratio of mismatched pairs as reference point, never below 0', () => {
    expect(ktoReferencePoint([1, 2, -0.5, 0.5])).toBe(0.75);
    expect(ktoReferencePoint(Float32Array.of(-3, 1))).toBe(0);
    expect(() => ktoReferencePoint([])).toThrow('one answer to another prompt at least');
  });

  it('refuses a reference point that gradients could flow through', () => {
    const { policy, reference } = inputsOf({ policy: [0, 0, 0, 0], reference: [0, 0, 0, 0] });
    const computed = mean(policy, [0]);
    expect(() => ktoLoss({ policy, reference, isDesirable }, computed, { beta: 1 })).toThrow(
      'so that no gradient flows',
    );
  });

  it('refuses β = 0', () => {
    const feeds = { policy: [0, 0, 0, 0], reference: [0, 0, 0, 0] };
    expect(() => lossOf(feeds, { beta: 0 })).toThrow('kto: beta');
  });
});
