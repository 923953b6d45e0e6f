import { describe, expect, it } from 'vitest';
import { ShapeError } from '../../engine/errors.ts';
import { Random } from '../../engine/random.ts';
import {
  compareWithGeneration,
  equalScoresWarning,
  negativeKlWarning,
  requireFinite,
  requireUnitRatioAtStart,
  requireZeroKlAtStart,
  roundingNats,
} from './invariants.ts';

describe('the first step', () => {
  it('passes when the KL of every token is 0', () => {
    expect(() => requireZeroKlAtStart([[0, -0]])).not.toThrow();
  });

  it('refuses the smallest float32 difference, and names its token', () => {
    const kl = [new Float32Array([0, 0]), new Float32Array([0, 2 ** -149])];
    expect(() => requireZeroKlAtStart(kl)).toThrow(
      'step 0: KL to the reference, completion 1, token 1: expected exactly 0',
    );
  });

  it('refuses NaN', () => {
    expect(() => requireZeroKlAtStart([[Number.NaN]])).toThrow('got NaN nats');
  });

  it('refuses rows that do not agree', () => {
    expect(() => compareWithGeneration({ generationLogProbs: [[0]], trainingLogProbs: [[1, 1]] })).toThrow(
      ShapeError,
    );
  });

  it('has ratios of 1, to the last bit', () => {
    expect(() => requireUnitRatioAtStart(4, { approximateKl: 0, ratioSquaredDeviation: 0 })).not.toThrow();
    for (const measures of [
      { approximateKl: 0, ratioSquaredDeviation: 1e-15 },
      { approximateKl: 1e-20, ratioSquaredDeviation: 0 },
      { approximateKl: Number.NaN, ratioSquaredDeviation: 0 },
    ]) {
      expect(() => requireUnitRatioAtStart(4, measures)).toThrow('step 4: probability ratios');
    }
  });
});

describe('generation against training', () => {
  const training = [[-1, -2], [-3]];

  it('finds the largest and the mean difference over all tokens', () => {
    const generation = [[-1, -2.00003], [-3.00006]];
    const { largest, mean, place, warning } = compareWithGeneration({
      generationLogProbs: generation,
      trainingLogProbs: training,
    });
    expect(largest).toBeCloseTo(6e-5, 12);
    expect(mean).toBeCloseTo(3e-5, 12);
    expect(place).toEqual({ row: 1, token: 0 });
    expect(warning).toBeUndefined();
  });

  it('warns beyond a ten-thousandth of a nat', () => {
    const generation = [[-1, -2.5], [-3]];
    const { warning } = compareWithGeneration({
      generationLogProbs: generation,
      trainingLogProbs: training,
    });
    expect(warning).toContain('disagree by 5.0e-1 nats on a token (completion 0, token 1; mean 1.7e-1');
  });

  it('refuses what is not a number, and batches without a token', () => {
    const rows = { generationLogProbs: [[Number.NaN]], trainingLogProbs: [[-1]] };
    expect(() => compareWithGeneration(rows)).toThrow(
      'completion 0, token 0: expected two numbers, got NaN and -1',
    );
    expect(() => compareWithGeneration({ generationLogProbs: [[]], trainingLogProbs: [[]] })).toThrow(
      'expected at least one token',
    );
  });
});

describe('values', () => {
  it('must be finite, and are all named when not', () => {
    expect(() => requireFinite('step 3', { loss: 1, entropy: undefined })).not.toThrow();
    expect(() =>
      requireFinite('step 3', { 'loss/policy': Number.NaN, kl: 1, 'loss/value': Number.POSITIVE_INFINITY }),
    ).toThrow('step 3: expected finite numbers, got loss/policy = NaN, loss/value = Infinity.');
  });
});

describe('rewards', () => {
  it('that are all equal are worth a warning', () => {
    expect(equalScoresWarning([2, 2, 2])).toBe(
      'all 3 completions have the score 2: this update learns nothing from the reward',
    );
    expect(equalScoresWarning([2, 2, 2.5])).toBeUndefined();
    expect(equalScoresWarning([2])).toBeUndefined();
  });
});

describe('a negative KL', () => {
  const random = new Random(2, 'testing');
  const draws = (mean: number) => Array.from({ length: 200 }, (_, i) => mean + random.normal(1, i));

  it('is chance while it is small', () => {
    expect(negativeKlWarning(draws(0))).toBeUndefined();
    expect(negativeKlWarning(draws(1))).toBeUndefined();
    expect(negativeKlWarning([0, 0, 0])).toBeUndefined();
  });

  it('is rounding where two graphs are compared, and no more than that', () => {
    // Sixteen tokens of a model of 135 M weights, by generation and by scoring.
    const rounded = [-1.3e-4, -1.2e-4, -1.1e-4];
    expect(negativeKlWarning(rounded)).toMatch('below 0');
    expect(negativeKlWarning(rounded, 16 * roundingNats)).toBeUndefined();
    expect(negativeKlWarning(draws(-1), 16 * roundingNats)).toMatch('below 0');
  });

  it('is a fault of sampling when it is not', () => {
    expect(negativeKlWarning(draws(-1))).toMatch(/is -[01]\.\d+ ± 0\.0\d+ nats, below 0/);
  });
});
