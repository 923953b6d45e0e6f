import { describe, expect, it } from 'vitest';
import {
  correlationInterval,
  meanChange,
  meanInterval,
  shareChange,
  shareInterval,
  winRate,
} from './intervals.ts';

describe('the interval of a share', () => {
  // Newcombe 1998 (Stat. Med. 17:857), Table I, method 3; more digits from scipy 1.17's binomtest with 'wilson'.
  it.each([
    [81, 263, 0.2552885198782742, 0.36620957698280004],
    [15, 148, 0.06238639953073629, 0.16048724172330803],
    [0, 20, 0, 0.16112515805281935],
    [1, 29, 0.006113214292762667, 0.17175521879320282],
    [7, 7, 0.6456695649333126, 1],
  ])("is Wilson's for %i of %i", (successes, n, low, high) => {
    const interval = shareInterval(successes, n)!;
    expect(interval).toMatchObject({ value: successes / n, n });
    expect(interval.low).toBeCloseTo(low, 12);
    expect(interval.high).toBeCloseTo(high, 12);
  });

  it('is none without trials', () => {
    expect(shareInterval(0, 0)).toBeUndefined();
  });
});

// Hours of sleep gained with two drugs: Student 1908 (Biometrika 6:20), the data set `sleep` of R.
const first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0, 2];
const second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];

describe('the interval of a mean', () => {
  it("is Student's t, as scipy's ttest_1samp has it", () => {
    const { value, low, high, n } = meanInterval(second)!;
    expect([value, low, high]).toEqual([
      expect.closeTo(2.33, 12),
      expect.closeTo(0.8976775393767051, 9),
      expect.closeTo(3.7623224606232943, 9),
    ]);
    expect(n).toBe(10);
  });

  it('of a change goes by pairs, as R prints it for the sleep data', () => {
    const { value, low, high } = meanChange(second, first)!;
    expect([value, low, high]).toEqual([
      expect.closeTo(1.58, 12),
      expect.closeTo(0.7001142, 7),
      expect.closeTo(2.4598858, 7),
    ]);
  });

  it('stays in its range, and is the whole range for a single value', () => {
    expect(meanInterval([0, 1], [0, 1])).toEqual({ value: 0.5, low: 0, high: 1, n: 2 });
    expect(meanInterval([0.3], [0, 1])).toEqual({ value: 0.3, low: 0, high: 1, n: 1 });
    expect(meanInterval([3])).toEqual({ value: 3, low: -Infinity, high: Infinity, n: 1 });
    expect(meanInterval([])).toBeUndefined();
  });

  it('refuses values without a partner', () => {
    expect(() => meanChange([1, 2], [1])).toThrow('paired change: expected 1 values, one a pair, got 2.');
  });
});

describe('the interval of a correlation', () => {
  const pairsOf = (x: readonly number[], y: readonly number[]) => x.map((value, i) => [value, y[i]] as const);

  it("is Fisher's, as scipy's pearsonr has it for the sleep data", () => {
    expect(correlationInterval(pairsOf(first, second))).toEqual({
      value: expect.closeTo(0.7951702058335778, 12),
      low: expect.closeTo(0.3315254741643372, 12),
      high: expect.closeTo(0.9494465336113636, 12),
      n: 10,
    });
  });

  it('has no width on a line, is anything for three pairs, and none where nothing varies', () => {
    const falling = pairsOf([1, 2, 3, 4], [4, 3, 2, 1]);
    expect(correlationInterval(falling)).toEqual({ value: -1, low: -1, high: -1, n: 4 });
    expect(correlationInterval(falling.slice(1))).toEqual({ value: -1, low: -1, high: 1, n: 3 });
    expect(correlationInterval(pairsOf([1, 2], [5, 5]))).toBeUndefined();
    expect(correlationInterval([])).toBeUndefined();
  });
});

/** Cases with both, only the later, only the earlier and none. */
function cases(both: number, gained: number, lost: number, none: number): [number[], number[]] {
  const repeat = (count: number, x: number) => Array<number>(count).fill(x);
  return [
    [...repeat(both, 1), ...repeat(gained, 1), ...repeat(lost, 0), ...repeat(none, 0)],
    [...repeat(both, 1), ...repeat(gained, 0), ...repeat(lost, 1), ...repeat(none, 0)],
  ];
}

describe('the interval of the change of a share', () => {
  it('is that of Fagerland et al. 2014, Table V, for 21 children before and after a transplantation', () => {
    const { value, low, high, n } = shareChange(...cases(1, 1, 7, 12))!;
    expect([value.toFixed(3), low.toFixed(3), high.toFixed(3), n]).toEqual([
      '-0.286',
      '-0.508',
      '-0.013',
      21,
    ]);
  });

  // Every outcome of 40 pairs, weighed by its probability.
  it.each([
    [0.1, 0.3],
    [0.02, 0.05],
    [0.4, 0.4],
    [0.01, 0.01],
  ])('holds the true change about 95%% of the time (gained %f, lost %f)', (gain, loss) => {
    const n = 40;
    const logFactorials = Array.from({ length: n + 1 }, (_, k) =>
      Array.from({ length: k }, (_, i) => Math.log(i + 1)).reduce((a, b) => a + b, 0),
    );
    let covered = 0;
    for (let gained = 0; gained <= n; gained++) {
      for (let lost = 0; gained + lost <= n; lost++) {
        const rest = n - gained - lost;
        const ways = logFactorials[n] - logFactorials[gained] - logFactorials[lost] - logFactorials[rest];
        const probability = Math.exp(ways) * gain ** gained * loss ** lost * (1 - gain - loss) ** rest;
        const { low, high } = shareChange(...cases(0, gained, lost, rest))!;
        if (low <= gain - loss && gain - loss <= high) covered += probability;
      }
    }
    expect(covered).toBeGreaterThan(0.93);
    expect(covered).toBeLessThan(gain + loss > 0.1 ? 0.98 : 1);
  });

  it('has a width where nothing changed, and stays within −1 and 1', () => {
    const same = shareChange(...cases(3, 0, 0, 7))!;
    expect([same.value, same.low < 0, same.high > 0]).toEqual([0, true, true]);
    expect(shareChange(...cases(0, 10, 0, 0))).toMatchObject({ value: 1, high: 1 });
  });
});

describe('the win rate', () => {
  it('counts ties half', () => {
    const { value, low, high, n } = winRate([3, 1, 2, 5], [2, 1, 2, 9])!;
    expect([value, n]).toEqual([0.5, 4]);
    expect(low + high).toBeCloseTo(1, 12);
    expect(winRate([3, 1, 2], [2, 1, 2])!.value).toBeCloseTo(2 / 3, 12);
  });

  it('is even against itself, and 1 with all won', () => {
    expect(winRate(first, first)!.value).toBe(0.5);
    expect(winRate([1, 1], [0, 0])).toMatchObject({ value: 1, high: 1 });
    expect(winRate([], [])).toBeUndefined();
  });
});
