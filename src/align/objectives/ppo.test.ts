import { describe, expect, it } from 'vitest';
import { interpret } from '../../engine/runtime/reference.ts';
import { entropyTerm, type PolicyLossOptions, policyLoss, ratioVariance, valueLoss } from './ppo.ts';
import { centralDifferences, evaluate, inputsOf, precisions } from './testing/evaluate.ts';

interface Tokens {
  newLogProbs: number[];
  oldLogProbs: number[];
  advantages: number[];
  weights: number[];
}

/** Tokens with these ratios, equally weighted. */
function tokensOf(ratios: number[], advantages: number[]): Tokens {
  const oldLogProbs = ratios.map(() => -2);
  const newLogProbs = ratios.map((ratio) => -2 + Math.log(ratio));
  return { newLogProbs, oldLogProbs, advantages, weights: ratios.map(() => 1 / ratios.length) };
}

function lossOf(tokens: Tokens, options: PolicyLossOptions = { clipRange: 0.2 }) {
  const t = inputsOf({ ...tokens });
  return { newLogProbs: t.newLogProbs, ...policyLoss(t, options) };
}

async function numbersOf(tokens: Tokens, options?: PolicyLossOptions) {
  const { newLogProbs, loss, measures } = lossOf(tokens, options);
  const slopes = { loss, of: { newLogProbs } };
  const found = await evaluate('float64', { loss, ...measures }, { ...tokens }, slopes);
  const { 'd newLogProbs': gradient, ...scalars } = found;
  return { gradient, ...Object.fromEntries(Object.entries(scalars).map(([k, [v]]) => [k, v])) } as {
    gradient: number[];
  } & Record<'loss' | keyof typeof measures, number>;
}

describe('the policy loss', () => {
  it('starts at minus the mean advantage, ratio exactly 1 and KL 0, with the plain policy gradient', async () => {
    const tokens = tokensOf([1, 1, 1, 1], [1, -2, 3, 0.5]);
    const found = await numbersOf(tokens);
    expect(found.loss).toBe(-0.625);
    expect(found.ratioMean).toBe(1);
    expect(found.ratioSquaredDeviation).toBe(0);
    expect(found.approximateKl).toBe(0);
    expect(found.clipFraction).toBe(0);
    expect(found.gradient).toEqual([-0.25, 0.5, -0.75, -0.125]);
  });

  it.each([
    ['A > 0 and ρ above the range: no more to gain', 1.5, 2, -2.4, 0],
    ['A > 0 and ρ below the range: still pulled back', 0.5, 2, -1, -1],
    ['A < 0 and ρ below the range: no more to gain', 0.5, -2, 1.6, 0],
    ['A < 0 and ρ above the range: still pushed down', 1.5, -2, 3, 3],
  ])('%s', async (_case, ratio, advantage, loss, slope) => {
    const found = await numbersOf(tokensOf([ratio], [advantage]));
    expect(found.loss).toBeCloseTo(loss, 12);
    expect(found.gradient[0]).toBeCloseTo(slope, 12);
    expect(found.clipFraction).toBe(1);
  });

  it('with a dual clip is bounded by −c·A where A < 0, and unchanged elsewhere', async () => {
    const options = { clipRange: 0.2, dualClip: 3 };
    const found = async (ratio: number, advantage: number) => {
      const { loss, gradient } = await numbersOf(tokensOf([ratio], [advantage]), options);
      return [loss, gradient[0]].map((x) => expect.closeTo(x, 12));
    };
    expect([6, 0]).toEqual(await found(10, -2));
    expect([5, 5]).toEqual(await found(2.5, -2));
    expect([-2.4, 0]).toEqual(await found(10, 2));
    expect([1.6, 0]).toEqual(await found(0.5, -2));
  });

  it('measures the ratio over response tokens', async () => {
    const found = await numbersOf(tokensOf([0.5, 1, 1.5, 3], [1, 1, 1, 1]));
    expect(found.ratioMean).toBeCloseTo(1.5, 12);
    expect(found.clipFraction).toBe(0.75);
    // Squared distances from 1.5: 1, .25, 0, 2.25.
    expect(ratioVariance(found.ratioMean, found.ratioSquaredDeviation)).toBeCloseTo(0.875, 12);
  });

  it('has the gradient of its differences away from its corners', async () => {
    const tokens = tokensOf([0.5, 0.9, 1.1, 1.5, 4], [1, -1, 0.3, -0.7, -2]);
    const options = { clipRange: 0.2, dualClip: 3 };
    const { loss } = lossOf(tokens, options);
    const at = (x: number[]) => interpret({ loss }, { ...tokens, newLogProbs: x }).loss[0];
    const expected = centralDifferences(at, tokens.newLogProbs);
    const { gradient } = await numbersOf(tokens, options);
    gradient.forEach((slope, i) => {
      expect(slope).toBeCloseTo(expected[i], 8);
    });
  });

  it('adds up over micro-batches to that of the whole batch', async () => {
    const whole = tokensOf([0.7, 1.1, 1.6], [1, -1, 2]);
    const part = (start: number, end: number): Tokens => ({
      newLogProbs: whole.newLogProbs.slice(start, end),
      oldLogProbs: whole.oldLogProbs.slice(start, end),
      advantages: whole.advantages.slice(start, end),
      weights: whole.weights.slice(start, end),
    });
    const [all, first, second] = await Promise.all([whole, part(0, 1), part(1, 3)].map((t) => numbersOf(t)));
    for (const name of ['loss', 'clipFraction', 'approximateKl', 'ratioMean'] as const)
      expect(first[name] + second[name]).toBeCloseTo(all[name], 12);
  });

  it.each(precisions)(
    'stays finite at ratios of e^±1e4 and ignores what padding holds, in %s',
    async (precision) => {
      const tokens: Tokens = {
        newLogProbs: [0, 0, -1e4, -1e4, -3, 1e30],
        oldLogProbs: [-1e4, -1e4, 0, 0, -3, -1e30],
        advantages: [1, -1, 1, -1, 1, 0],
        weights: [0.2, 0.2, 0.2, 0.2, 0.2, 0],
      };
      const { loss, measures, newLogProbs } = lossOf(tokens);
      const slopes = { loss, of: { newLogProbs } };
      const found = await evaluate(precision, { loss, ...measures }, { ...tokens }, slopes);
      for (const [name, values] of Object.entries(found))
        expect([name, values.every(Number.isFinite)]).toEqual([name, true]);
      const gradient = found['d newLogProbs'];
      // Too likely and bad: pushed down still. Too likely and good, too unlikely and bad: nothing to gain.
      expect(gradient[1]).toBeGreaterThan(1e6);
      expect(gradient[0]).toBe(0);
      expect(gradient[3]).toBe(0);
      expect(gradient[4]).toBeCloseTo(-0.2, 6);
      expect(gradient[5]).toBe(0);
    },
  );

  it('refuses a dual clip that would bind at once, and no clip range', () => {
    const tokens = tokensOf([1], [1]);
    expect(() => lossOf(tokens, { clipRange: 0.2, dualClip: 1 })).toThrow(
      'dualClip: expected a finite number > 1',
    );
    expect(() => lossOf(tokens, { clipRange: 0 })).toThrow('clipRange');
  });
});

describe('the value loss', () => {
  const feeds = {
    newValues: [1, 2, 0.1, 5],
    oldValues: [0, 0, 0, 0],
    returns: [1, -1, 0.5, 9],
    weights: [1 / 3, 1 / 3, 1 / 3, 0],
  };

  it('takes the larger of the free and the clipped error', async () => {
    const t = inputsOf(feeds);
    const { loss, measures } = valueLoss(t, { valueClipRange: 0.2 });
    const slopes = { loss, of: { newValues: t.newValues } };
    const found = await evaluate('float64', { loss, ...measures }, feeds, slopes);
    // Errors: 0 free, .64 clipped at .2; 9 free, 1.44 clipped; .16 both; padding.
    expect(found.loss[0]).toBeCloseTo((0.64 + 9 + 0.16) / 6, 12);
    expect(found.clipFraction[0]).toBeCloseTo(1 / 3, 12);
    expect(found['d newValues']).toEqual([0, 1, -0.4 / 3, 0].map((x) => expect.closeTo(x, 12)));
  });

  it('refuses tensors of different shapes', () => {
    const { wide } = inputsOf({ wide: feeds.returns }, [2, 2]);
    expect(() => valueLoss({ ...inputsOf(feeds), returns: wide }, { valueClipRange: 0.2 })).toThrow(
      'value loss: returns: expected float[4], got float[2,2]',
    );
  });
});

describe('the entropy term', () => {
  it('is minus its coefficient times the mean entropy of response tokens', async () => {
    const feeds = { entropies: [1, 3, 100], weights: [0.5, 0.5, 0] };
    const { entropies, weights } = inputsOf(feeds);
    const loss = entropyTerm(entropies, weights, 0.1);
    const found = await evaluate('float64', { loss }, feeds, { loss, of: { entropies } });
    expect(found.loss[0]).toBeCloseTo(-0.2, 12);
    expect(found['d entropies']).toEqual([-0.05, -0.05, 0].map((x) => expect.closeTo(x, 12)));
  });
});
