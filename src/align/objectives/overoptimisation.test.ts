import { describe, expect, it } from 'vitest';
import { Random } from '../../engine/random.ts';
import {
  distanceOf,
  fitOveroptimisation,
  type OveroptimisationLaw,
  predictedReward,
  studentQuantile95,
} from './overoptimisation.ts';

const distances = [0, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 8];
const written: { [K in OveroptimisationLaw]: (d: number) => number } = {
  bestOfN: (d) => d * (0.9 - 0.06 * d),
  rl: (d) => (d === 0 ? 0 : d * (0.9 - 0.4 * Math.log(d))),
};

describe('the laws', () => {
  it.each([
    ['bestOfN', 0.9, 0.06],
    ['rl', 0.9, 0.4],
  ] as const)('%s: exact points give back the start, α and β with no error', (law, alpha, beta) => {
    const rewards = distances.map((d) => 0.7 + written[law](d));
    const fit = fitOveroptimisation(law, distances, rewards);
    expect(fit.start.value).toBeCloseTo(0.7, 12);
    expect(fit.alpha.value).toBeCloseTo(alpha, 12);
    expect(fit.beta.value).toBeCloseTo(beta, 12);
    expect(fit.alpha.standardError).toBeLessThan(1e-12);
    expect(fit.residualDeviation).toBeLessThan(1e-12);
  });

  it.each(['bestOfN', 'rl'] as const)('%s: nothing on a fine grid is higher than the peak', (law) => {
    const { peak } = fitOveroptimisation(law, distances, distances.map(written[law]));
    const grid = Array.from({ length: 20_001 }, (_, i) => i / 1000);
    const best = grid.reduce((a, b) => (written[law](b) > written[law](a) ? b : a));
    expect(Math.abs(peak!.distance - best)).toBeLessThan(1e-3);
    expect(peak!.reward).toBeCloseTo(written[law](best), 6);
    expect(peak!.klNats).toBeCloseTo(peak!.distance ** 2, 12);
  });

  it('predict no peak where the reward never falls', () => {
    const rising = distances.map((d) => d + 0.1 * d * d);
    expect(fitOveroptimisation('bestOfN', distances, rising).peak).toBeUndefined();
  });

  it('are 0 at the initial policy', () => {
    for (const law of ['bestOfN', 'rl'] as const)
      expect(Math.abs(predictedReward(law, { alpha: 2, beta: 1 }, 0))).toBe(0);
  });
});

describe('the fit', () => {
  it('equals a regression worked by hand', () => {
    // R = 0, 2, 1, 1 at d = 0 … 3, by the orthogonal polynomials 1, 2d − 3 and d² − 3d + 1, whose squares sum to 4, 20
    // and 4: R = 1 + (2d − 3)/10 − (d² − 3d + 1)/2 = 0.2 + 1.7d − 0.5d²; residuals ∓0.2 and ±0.6, one degree free.
    const fit = fitOveroptimisation('bestOfN', [0, 1, 2, 3], [0, 2, 1, 1]);
    const { start, alpha, beta, residualDeviation } = fit;
    expect(start.value).toBeCloseTo(0.2, 12);
    expect(alpha.value).toBeCloseTo(1.7, 12);
    expect(beta.value).toBeCloseTo(0.5, 12);
    expect(residualDeviation).toBeCloseTo(Math.sqrt(0.8), 12);
    expect(start.standardError).toBeCloseTo(Math.sqrt(0.8 * (1 / 4 + 9 / 20 + 1 / 4)), 12);
    expect(alpha.standardError).toBeCloseTo(Math.sqrt(0.8 * (4 / 20 + 9 / 4)), 12);
    expect(beta.standardError).toBeCloseTo(Math.sqrt(0.8 / 4), 12);
    expect(alpha.interval[1] - alpha.value).toBeCloseTo(12.7062047 * alpha.standardError, 5);
  });

  it('covers start, α and β in about 95 of 100 noisy repetitions', () => {
    const random = new Random(3, 'testing');
    const repetitions = 400;
    const truth = { start: 0.7, alpha: 0.9, beta: 0.4 };
    const covered = { start: 0, alpha: 0, beta: 0 };
    for (let r = 0; r < repetitions; r++) {
      const noisy = distances.map((d, i) => truth.start + written.rl(d) + 0.2 * random.normal(r, i));
      const fit = fitOveroptimisation('rl', distances, noisy);
      for (const name of ['start', 'alpha', 'beta'] as const) {
        const [low, high] = fit[name].interval;
        if (low <= truth[name] && truth[name] <= high) covered[name]++;
      }
    }
    for (const count of Object.values(covered)) {
      expect(count / repetitions).toBeGreaterThan(0.92);
      expect(count / repetitions).toBeLessThan(0.98);
    }
  });

  it('refuses too few points, equal distances, and distances below 0', () => {
    const ones = [1, 1, 1, 1];
    expect(() => fitOveroptimisation('rl', [1, 2, 3], [1, 2, 3])).toThrow('4 points or more, got 3');
    expect(() => fitOveroptimisation('bestOfN', [2, 2, 2, 2], ones)).toThrow('distances that differ');
    expect(() => fitOveroptimisation('rl', [0, 3, 3, 0], ones)).toThrow('distances that differ');
    expect(() => fitOveroptimisation('rl', [1, -2, 3, 4], ones)).toThrow('distance 1: expected');
    expect(() => fitOveroptimisation('rl', [1, 2, 3, 4], [1, 1, Number.NaN, 1])).toThrow(
      'reward 2: expected',
    );
    expect(() => fitOveroptimisation('rl', [1, 2, 3], [1, 1])).toThrow('3 rewards');
  });
});

describe('Student’s t', () => {
  it.each([
    [1, 12.7062],
    [2, 4.30265],
    [3, 3.18245],
    [10, 2.22814],
    [31, 2.03951],
    [1000, 1.96234],
  ])('with %i degrees of freedom has the tables’ 95%% quantile %f', (freedom, quantile) => {
    expect(studentQuantile95(freedom)).toBeCloseTo(quantile, 4);
  });
});

describe('the distance', () => {
  it('is the root of the KL, which cannot be negative', () => {
    expect(distanceOf(9)).toBe(3);
    expect(() => distanceOf(-1)).toThrow('KL: expected a finite number ≥ 0');
  });
});
