import { describe, expect, it } from 'vitest';
import { total } from '../../engine/graph/build.ts';
import {
  adaptKlCoefficient,
  bestOfNKlBound,
  klEstimators,
  rolloutTokenKl,
  sequenceKl,
  tokenKl,
} from './kl.ts';
import { evaluate, inputsOf, precisions } from './testing/evaluate.ts';

/** A policy and a reference over three tokens, whose KL is known by summing over them. */
const policy = [0.6, 0.3, 0.1];
const reference = [0.2, 0.3, 0.5];
const klOfPolicy = 0.6 * Math.log(3) + 0.1 * Math.log(0.2);

describe('KL estimates', () => {
  const rollouts = {
    oldLogProbs: [policy.map(Math.log)],
    referenceLogProbs: [reference.map(Math.log)],
  };
  const expectation = (values: ArrayLike<number>) => policy.reduce((sum, p, i) => sum + p * values[i], 0);

  it.each(['k1', 'k3'] as const)('%s is the KL on average over the policy', (estimator) => {
    const [values] = rolloutTokenKl(estimator, rollouts);
    expect(expectation(values)).toBeCloseTo(klOfPolicy, 14);
  });

  it('k2 is half the squared difference of log-probabilities', () => {
    const [values] = rolloutTokenKl('k2', {
      oldLogProbs: [[-1, -2, -3]],
      referenceLogProbs: [[-1.5, -2, 1]],
    });
    expect([...values]).toEqual([0.125, 0, 8]);
  });

  it.each(klEstimators)('%s is exactly 0 when policy equals reference', async (estimator) => {
    const feeds = { newLogProbs: [-0.3, -7.1], referenceLogProbs: [-0.3, -7.1] };
    const { newLogProbs, referenceLogProbs } = inputsOf(feeds);
    const kl = tokenKl(estimator, newLogProbs, referenceLogProbs);
    for (const precision of precisions)
      expect((await evaluate(precision, { kl }, feeds)).kl.map(Math.abs)).toEqual([0, 0]);
  });

  it.each(klEstimators)('%s: tensors give the numbers of rollouts and their slopes', async (estimator) => {
    const feeds = { newLogProbs: [-3, -1, -0.2, -30], referenceLogProbs: [-1, -1.5, -4, -1] };
    const numbersAt = (shift: number) =>
      rolloutTokenKl(estimator, {
        oldLogProbs: [feeds.newLogProbs.map((x) => x + shift)],
        referenceLogProbs: [feeds.referenceLogProbs],
      })[0];
    const [numbers, above, below] = [0, 1e-5, -1e-5].map(numbersAt);
    const { newLogProbs, referenceLogProbs } = inputsOf(feeds);
    const kl = tokenKl(estimator, newLogProbs, referenceLogProbs);
    const found = await evaluate('float64', { kl }, feeds, { loss: total(kl), of: { newLogProbs } });
    numbers.forEach((value, i) => {
      expect(found.kl[i] / value).toBeCloseTo(1, 12);
      expect(found['d newLogProbs'][i] / ((above[i] - below[i]) / 2e-5)).toBeCloseTo(1, 7);
    });
  });

  it('as losses, k2 has the gradient of KL(π‖π_ref), k3 that of KL(π_ref‖π), and k1 none, on average', async () => {
    // With logits as parameters, ∂ log π(y)/∂θ_i = [y = i] − π_i; what is left is each token's own slope.
    const feeds = { newLogProbs: policy.map(Math.log), referenceLogProbs: reference.map(Math.log) };
    const { newLogProbs, referenceLogProbs } = inputsOf(feeds);
    const gradientOf = async (estimator: 'k1' | 'k2' | 'k3') => {
      const loss = total(tokenKl(estimator, newLogProbs, referenceLogProbs));
      const found = await evaluate('float64', { loss }, feeds, { loss, of: { newLogProbs } });
      const slopes = found['d newLogProbs'];
      return policy.map((pi, i) => expectation(slopes.map((slope, y) => slope * (Number(y === i) - pi))));
    };
    const ofPolicy = policy.map((pi, i) => pi * (Math.log(pi / reference[i]) - klOfPolicy));
    const ofReference = policy.map((pi, i) => pi - reference[i]);
    const [k1, k2, k3] = await Promise.all(klEstimators.map(gradientOf));
    k1.forEach((slope, i) => {
      expect(slope).toBeCloseTo(0, 14);
      expect(k2[i]).toBeCloseTo(ofPolicy[i], 14);
      expect(k3[i]).toBeCloseTo(ofReference[i], 14);
    });
  });

  it.each(precisions)('stay finite 1e4 nats apart, k3 pulling the right way, in %s', async (precision) => {
    const feeds = { newLogProbs: [-1e4, 0], referenceLogProbs: [0, -1e4] };
    const { newLogProbs, referenceLogProbs } = inputsOf(feeds);
    for (const estimator of klEstimators) {
      const kl = tokenKl(estimator, newLogProbs, referenceLogProbs);
      const found = await evaluate(precision, { kl }, feeds, { loss: total(kl), of: { newLogProbs } });
      expect([...found.kl, ...found['d newLogProbs']].every(Number.isFinite)).toBe(true);
      if (estimator === 'k1') continue;
      expect(found['d newLogProbs'].map(Math.sign)).toEqual([-1, 1]);
    }
  });

  it('are summed over each completion', () => {
    const values = rolloutTokenKl('k1', {
      oldLogProbs: [[-1, -2], [-1]],
      referenceLogProbs: [[-2, -4], [-1.5]],
    });
    expect(values.map((row) => [...row])).toEqual([[1, 2], [0.5]]);
    expect([...sequenceKl(values)]).toEqual([3, 0.5]);
  });

  it('refuse rows of different lengths, naming the row', () => {
    const rollouts = { oldLogProbs: [[1], [1]], referenceLogProbs: [[1], [1, 2]] };
    expect(() => rolloutTokenKl('k1', rollouts)).toThrow(
      'KL estimate k1: referenceLogProbs, row 1: expected 1 entries as in oldLogProbs, got 2',
    );
  });
});

describe('the adaptive KL coefficient', () => {
  const control = { targetNats: 6, horizon: 10_000 };
  const next = (klNats: number, episodes = 1000) => adaptKlCoefficient(0.2, { klNats, episodes }, control);

  it('stays where the KL is on target', () => {
    expect(next(6)).toBe(0.2);
  });

  it('moves in proportion to a small error', () => {
    // 10% above target, a tenth of the horizon: 1% more.
    expect(next(6.6)).toBeCloseTo(0.202, 12);
    expect(next(5.4)).toBeCloseTo(0.198, 12);
  });

  it('counts a large error as a fifth', () => {
    expect(next(600)).toBeCloseTo(0.204, 12);
    expect(next(Number.POSITIVE_INFINITY)).toBeCloseTo(0.204, 12);
    expect(next(-50)).toBeCloseTo(0.196, 12);
  });

  it('stays positive however many episodes a step has', () => {
    expect(next(0, 1e9)).toBeCloseTo(0.16, 12);
  });

  it('refuses a KL that is not a number and a target of 0', () => {
    expect(() => next(Number.NaN)).toThrow('sequence KL: expected a number, got NaN');
    const zero = { targetNats: 0, horizon: 1 };
    expect(() => adaptKlCoefficient(0.2, { klNats: 1, episodes: 1 }, zero)).toThrow('targetNats');
  });
});

describe('the KL of best-of-n', () => {
  it('is 0 for one sample and log n − (n−1)/n for more', () => {
    expect(bestOfNKlBound(1)).toBe(0);
    expect(bestOfNKlBound(2)).toBeCloseTo(0.1931471805599, 12);
    expect(bestOfNKlBound(64)).toBeCloseTo(3.1745080833601, 10);
  });

  it('is the KL of the best of n among continuous rewards, integrated numerically', () => {
    // The best of n has density n·u^(n−1) over the quantile u of a sample, whose own density is 1.
    const n = 8;
    const steps = 200_000;
    let integral = 0;
    for (let i = 0; i < steps; i++) {
      const u = (i + 0.5) / steps;
      const density = n * u ** (n - 1);
      integral += (density * Math.log(density)) / steps;
    }
    expect(bestOfNKlBound(n)).toBeCloseTo(integral, 8);
  });

  it('refuses fewer than one sample', () => {
    expect(() => bestOfNKlBound(0)).toThrow('a whole number n ≥ 1');
    expect(() => bestOfNKlBound(1.5)).toThrow('a whole number n ≥ 1');
  });
});
