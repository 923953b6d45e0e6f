import { describe, expect, it } from 'vitest';
import { Random } from '../../engine/random.ts';
import {
  explainedVariance,
  generalisedAdvantages,
  groupRelativeAdvantages,
  leaveOneOutAdvantages,
  scoresWithEosRule,
  tokenRewards,
  whiten,
} from './advantages.ts';

const lists = (rows: Float64Array[]) => rows.map((row) => [...row]);
const closeTo = (rows: number[][], digits = 12) =>
  rows.map((row) => row.map((x) => expect.closeTo(x, digits)));

describe('rewards of tokens', () => {
  it('are −β·kl, with the score on the last token', () => {
    const rewards = tokenRewards(
      {
        klPerToken: [
          [1, 2],
          [4, 1, 0],
        ],
        scores: [1.5, -3],
      },
      0.5,
    );
    expect(lists(rewards)).toEqual([
      [-0.5, 0.5],
      [-2, -0.5, -3],
    ]);
  });

  it('refuse a completion with no token to put the score on', () => {
    const rollouts = { klPerToken: [[1], []], scores: [1, 1] };
    expect(() => tokenRewards(rollouts, 0.1)).toThrow('rewards, row 1: expected at least one token');
  });

  it('refuse scores that are not one per completion', () => {
    const rollouts = { klPerToken: [[1]], scores: [1, 1] };
    expect(() => tokenRewards(rollouts, 0.1)).toThrow('rewards: scores: expected 1 numbers');
  });
});

describe('completions without EOS', () => {
  it('have their score replaced by one rule', () => {
    expect([...scoresWithEosRule([3, 4, -7], [1, 0, 0], { kind: 'replace', score: -1 })]).toEqual([
      3, -1, -1,
    ]);
  });

  it('have a penalty taken off by the other', () => {
    expect([...scoresWithEosRule([3, 4, -7], [1, 0, 0], { kind: 'subtract', penalty: 1 })]).toEqual([
      3, 3, -8,
    ]);
  });

  it('are never paid for it', () => {
    expect(() => scoresWithEosRule([1], [0], { kind: 'subtract', penalty: -1 })).toThrow('penalty');
  });
});

describe('generalised advantages', () => {
  const rollouts = { rewards: [[1, 0, 2]], values: [[0.5, 1, 0.25]] };

  it('follow the recursion, by hand', () => {
    // δ = 1 + .5·1 − .5, 0 + .5·.25 − 1, 2 − .25; γλ = ¼.
    const { advantages, returns } = generalisedAdvantages(rollouts, { gamma: 0.5, lambda: 0.5 });
    expect(lists(advantages)).toEqual(closeTo([[0.890625, -0.4375, 1.75]]));
    expect(lists(returns)).toEqual(closeTo([[1.390625, 0.5625, 2]]));
  });

  it('with λ = 1 are the discounted rewards to come less the value', () => {
    const { returns } = generalisedAdvantages(rollouts, { gamma: 0.9, lambda: 1 });
    expect(lists(returns)).toEqual(closeTo([[1 + 0.81 * 2, 0.9 * 2, 2]]));
  });

  it('with λ = 0 are the errors of one step', () => {
    const { advantages } = generalisedAdvantages(rollouts, { gamma: 1, lambda: 0 });
    expect(lists(advantages)).toEqual(closeTo([[1.5, -0.75, 1.75]]));
  });

  it('refuse a discount above 1', () => {
    expect(() => generalisedAdvantages(rollouts, { gamma: 1.1, lambda: 1 })).toThrow('gamma');
  });
});

describe('whitening', () => {
  const random = new Random(5, 'testing');
  const rows = [30, 17, 44].map((length, b) =>
    Float64Array.from({ length }, (_, t) => 3 + 2 * random.normal(b, t)),
  );
  const counted = (values: Float64Array[]) => values.flatMap((row) => [...row]);
  const meanOf = (values: number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

  it('leaves mean 0 and biased variance 1 over all tokens', () => {
    const white = whiten(rows);
    const values = counted(white);
    expect(meanOf(values)).toBeCloseTo(0, 12);
    expect(meanOf(values.map((x) => x * x))).toBeCloseTo(1, 7);
  });

  it('that keeps the mean leaves it where it was', () => {
    const values = counted(whiten(rows, { keepMean: true }));
    const mean = meanOf(counted(rows));
    expect(meanOf(values)).toBeCloseTo(mean, 12);
    expect(meanOf(values.map((x) => (x - mean) ** 2))).toBeCloseTo(1, 7);
  });

  it('of two numbers, by hand: 1 and 3 become −1 and 1, or 1 and 3 about their mean', () => {
    expect(lists(whiten([[1, 3]]))).toEqual(closeTo([[-1, 1]], 7));
    expect(lists(whiten([[1, 3]], { keepMean: true }))).toEqual(closeTo([[1, 3]], 7));
  });

  it('of equal numbers is 0, not NaN', () => {
    expect(lists(whiten([[4, 4]]))).toEqual([[0, 0]]);
  });

  it('refuses a batch without a token', () => {
    expect(() => whiten([[]])).toThrow('whitening: expected at least one token');
  });
});

describe('explained variance', () => {
  const returns = [[1, 2], [3]];

  it('is 1 for a perfect value model, also when it is off by a constant', () => {
    expect(explainedVariance(returns, returns)).toBe(1);
    expect(explainedVariance([[6, 7], [8]], returns)).toBe(1);
  });

  it('is 0 for a constant value model and negative for an inverted one', () => {
    expect(explainedVariance([[5, 5], [5]], returns)).toBe(0);
    expect(explainedVariance([[3, 2], [1]], returns)).toBe(-3);
  });

  it('is unknown when all returns are equal', () => {
    expect(explainedVariance([[1, 2]], [[3, 3]])).toBeNaN();
  });
});

describe('advantages without a value model', () => {
  it('GRPO: scores of each prompt in standard deviations from their mean', () => {
    // Means 2 and 10; deviations √(4/3) and 0; TRL adds 1e-4.
    const d = 1 / (Math.sqrt(4 / 3) + 1e-4);
    const advantages = groupRelativeAdvantages([
      [1, 3, 1, 3],
      [10, 10],
    ]);
    expect(lists(advantages)).toEqual(
      closeTo([
        [-d, d, -d, d],
        [0, 0],
      ]),
    );
  });

  it('GRPO without the division: distances from the mean', () => {
    expect(lists(groupRelativeAdvantages([[0, 6, 3]], 'none'))).toEqual([[-3, 3, 0]]);
  });

  it('of equal scores are exactly 0, whatever rounding makes of their mean', () => {
    for (const rows of [groupRelativeAdvantages([[0.1, 0.1, 0.1]]), leaveOneOutAdvantages([[0.1, 0.1, 0.1]])])
      expect(lists(rows)).toEqual([[0, 0, 0]]);
  });

  it('RLOO: each score less the mean of the others', () => {
    expect(
      lists(
        leaveOneOutAdvantages([
          [1, 2, 6],
          [5, 1],
        ]),
      ),
    ).toEqual([
      [-3, -1.5, 4.5],
      [4, -4],
    ]);
  });

  it('add up to 0 for each prompt', () => {
    const groups = [
      [0.3, -2, 1.7, 4],
      [5, 5.5],
    ];
    for (const rows of [groupRelativeAdvantages(groups), leaveOneOutAdvantages(groups)])
      for (const row of rows) expect(row.reduce((sum, x) => sum + x, 0)).toBeCloseTo(0, 12);
  });

  it('refuse a prompt with a single completion, naming it', () => {
    for (const advantages of [groupRelativeAdvantages, leaveOneOutAdvantages])
      expect(() => advantages([[1, 2], [1]])).toThrow(
        'advantages: prompt 1: expected two completions or more',
      );
  });
});
