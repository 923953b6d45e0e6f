import { describe, expect, it } from 'vitest';
import { Random } from '../../engine/random.ts';
import { drawToken, type NextTokenScores, type SamplingOptions, samplingWeights } from './sampling.ts';

/** Scores of tokens whose probabilities (at temperature 1) are these. */
function scoresFor(probabilities: readonly number[], temperature = 1): NextTokenScores {
  const powers = probabilities.map((p) => p ** (1 / temperature));
  const total = powers.reduce((a, b) => a + b);
  return {
    // Logits are free up to a constant, here 2, which the normaliser then is.
    logits: Float32Array.from(probabilities, (p) => Math.log(p) + 2),
    probabilities: Float32Array.from(powers, (p) => p / total),
    logNormaliser: 2,
  };
}

const kept = (probabilities: readonly number[], sampling: Omit<SamplingOptions, 'temperature'>): number[] => {
  const weights = samplingWeights(scoresFor(probabilities), { temperature: 1, ...sampling }, []);
  return [...weights.keys()].filter((id) => weights[id] > 0);
};

describe('filters, worked by hand', () => {
  it('top-k keeps the k most likely, and those as likely as the k-th', () => {
    expect(kept([0.1, 0.4, 0.2, 0.25, 0.05], { topK: 2 })).toEqual([1, 3]);
    expect(kept([0.1, 0.3, 0.3, 0.2, 0.1], { topK: 4 })).toEqual([0, 1, 2, 3, 4]);
    expect(kept([0.1, 0.4, 0.2, 0.25, 0.05], { topK: 9 })).toEqual([0, 1, 2, 3, 4]);
  });

  it('top-p keeps the smallest set that reaches p', () => {
    expect(kept([0.1, 0.4, 0.2, 0.25, 0.05], { topP: 0.6 })).toEqual([1, 3]);
    expect(kept([0.1, 0.4, 0.2, 0.25, 0.05], { topP: 0.66 })).toEqual([1, 2, 3]);
    expect(kept([0.1, 0.4, 0.2, 0.25, 0.05], { topP: 1 })).toEqual([0, 1, 2, 3, 4]);
  });

  it('top-p keeps at least one token, and of equals the first', () => {
    expect(kept([0.1, 0.4, 0.2, 0.25, 0.05], { topP: 1e-9 })).toEqual([1]);
    expect(kept([0.25, 0.25, 0.25, 0.25], { topP: 0.45 })).toEqual([0, 1]);
  });

  it('min-p keeps tokens at least that fraction as likely as the likeliest', () => {
    expect(kept([0.1, 0.4, 0.2, 0.25, 0.05], { minP: 0.49 })).toEqual([1, 2, 3]);
    expect(kept([0.1, 0.4, 0.2, 0.25, 0.05], { minP: 1 })).toEqual([1]);
  });

  it('top-p counts what top-k left: 0.4 of 0.65 reaches 0.6', () => {
    expect(kept([0.1, 0.4, 0.2, 0.25, 0.05], { topK: 2, topP: 0.6 })).toEqual([1]);
  });

  describe('of many tokens, as sorting finds them', () => {
    const random = new Random(5, 'testing');
    const weights = Array.from({ length: 999 }, (_, i) => Math.exp(2 * random.normal(0, i)));
    const total = weights.reduce((a, b) => a + b);
    const probabilities = weights.map((weight) => weight / total);
    const byWeight = [...weights.keys()].sort((a, b) => weights[b] - weights[a]);
    const first = (count: number) => byWeight.slice(0, count).sort((a, b) => a - b);

    it.each([1, 2, 50, 500, 998])('top-k %d', (topK) => {
      expect(kept(probabilities, { topK })).toEqual(first(topK));
    });

    it.each([0.01, 0.3, 0.5, 0.9, 0.999])('top-p %d', (topP) => {
      let count = 0;
      for (let reached = 0; reached < topP; count++) reached += probabilities[byWeight[count]];
      expect(kept(probabilities, { topP })).toEqual(first(count));
    });
  });
});

describe('a draw', () => {
  it('has the log-probability of the renormalised distribution, and the raw one', () => {
    const draw = drawToken(
      scoresFor([0.1, 0.4, 0.2, 0.25, 0.05]),
      { temperature: 1, topK: 2 },
      [],
      0.7, // 0.4 / 0.65 = 0.615 lies below
    );
    expect(draw.id).toBe(3);
    expect(draw.logProb).toBeCloseTo(Math.log(0.25 / 0.65), 6);
    expect(draw.rawLogProb).toBeCloseTo(Math.log(0.25), 6);
  });

  it('divides positive and multiplies negative logits of seen tokens by the penalty', () => {
    const logits = Float32Array.of(2, 1, -1, 0.5);
    const scores = { logits, probabilities: new Float32Array(4), logNormaliser: 0 };
    const weights = samplingWeights(scores, { temperature: 0.5, repetitionPenalty: 2 }, [0, 2]);
    // Logits 1, 1, −2, 0.5; halving the temperature doubles them.
    const expected = [2, 2, -4, 1].map((x) => Math.exp(x - 2));
    expected.forEach((weight, id) => {
      expect(weights[id] / weights[0]).toBeCloseTo(weight, 12);
    });
  });

  it('takes the largest logit at temperature 0, after the penalty, with certainty', () => {
    const scores = {
      logits: Float32Array.of(2, 1.5, 1.5, -3),
      probabilities: new Float32Array(4),
      logNormaliser: 3,
    };
    expect(drawToken(scores, { temperature: 0 }, [0], 0.99)).toEqual({ id: 0, logProb: 0, rawLogProb: -1 });
    const penalised = drawToken(scores, { temperature: 0, repetitionPenalty: 2 }, [0], 0.99);
    expect(penalised).toEqual({ id: 1, logProb: 0, rawLogProb: -1.5 });
  });

  it('never takes a token of probability 0', () => {
    const scores = scoresFor([0.5, 0.2, 0.3]);
    scores.probabilities[0] = 0;
    scores.probabilities[2] = 0;
    for (const uniform of [0, 0.5, 1 - 2 ** -53]) {
      expect(drawToken(scores, { temperature: 1 }, [], uniform).id).toBe(1);
    }
  });
});

describe('frequencies of 20,000 draws fit the distribution (chi-square, 0.1%)', () => {
  const probabilities = [0.1, 0.4, 0.2, 0.25, 0.05];
  const normalised = (weights: number[]) => weights.map((w) => w / weights.reduce((a, b) => a + b));
  const cases: { title: string; sampling: SamplingOptions; expected: number[] }[] = [
    { title: 'temperature 1', sampling: { temperature: 1 }, expected: probabilities },
    {
      title: 'temperature 2',
      sampling: { temperature: 2 },
      expected: normalised(probabilities.map(Math.sqrt)),
    },
    {
      title: 'top-k 3',
      sampling: { temperature: 1, topK: 3 },
      expected: normalised([0, 0.4, 0.2, 0.25, 0]),
    },
    {
      title: 'top-p 0.9',
      sampling: { temperature: 1, topP: 0.9 },
      expected: normalised([0.1, 0.4, 0.2, 0.25, 0]),
    },
    {
      title: 'min-p 0.2',
      sampling: { temperature: 1, minP: 0.2 },
      expected: normalised([0.1, 0.4, 0.2, 0.25, 0]),
    },
  ];
  /** 99.9% points of the chi-square distribution by degrees of freedom. */
  const critical = [0, 10.83, 13.82, 16.27, 18.47];

  it.each(cases)('$title', ({ sampling, expected }) => {
    const random = new Random(11, 'testing');
    const draws = 20_000;
    const scores = scoresFor(probabilities, sampling.temperature);
    const counts = new Array<number>(5).fill(0);
    for (let i = 0; i < draws; i++) counts[drawToken(scores, sampling, [], random.uniform(0, i)).id]++;
    const possible = expected.flatMap((p, id) => (p > 0 ? [{ p, count: counts[id] }] : []));
    const chiSquare = possible.reduce((sum, { p, count }) => sum + (count - draws * p) ** 2 / (draws * p), 0);
    expect(possible.reduce((sum, { count }) => sum + count, 0)).toBe(draws);
    expect(chiSquare).toBeLessThan(critical[possible.length - 1]);
  });
});
