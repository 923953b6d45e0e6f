import { describe, expect, it } from 'vitest';
import { plain } from '../bilingual.ts';
import { forestChart } from './forest-chart.ts';
import { type Point, thinned, trend } from './line-chart.ts';
import { planeChart } from './plane-chart.ts';
import { linearScale, rootScale } from './scale.ts';

const pixels = { from: 0, to: 100 };

describe('linearScale', () => {
  it.each([
    [
      [0, 1],
      ['0.0', '0.5', '1.0'],
    ],
    [
      [0, 80],
      ['0', '20', '40', '60', '80'],
    ],
    [
      [-0.3, 0.35],
      ['−0.4', '−0.2', '0.0', '0.2', '0.4'],
    ],
    [
      [0, 41_000],
      ['0', '20k', '40k', '60k'],
    ],
  ])('puts round ticks around %j', (values, labels) => {
    const scale = linearScale(values, pixels);
    expect(scale.ticks.map((tick) => scale.label(tick))).toEqual(labels);
  });

  it('gives a value that never changes room on both sides', () => {
    const scale = linearScale([2, 2, 2], pixels);
    expect(scale.low).toBeLessThan(2);
    expect(scale.high).toBeGreaterThan(2);
  });
});

describe('rootScale', () => {
  it('spaces KL by its root', () => {
    const scale = rootScale([0, 60], pixels);
    expect(scale.ticks).toEqual([0, 4, 16, 36, 64]);
    expect(scale.place(16)).toBeCloseTo(50, 9);
    expect(scale.place(-0.5)).toBe(0);
  });
});

describe('trend', () => {
  it('leaves a straight line where it is, to its very ends', () => {
    const line = Array.from({ length: 200 }, (_, i): Point => [i, 3 * i - 7]);
    for (const [x, y] of trend(line)) expect(y).toBeCloseTo(3 * x - 7, 9);
  });

  it('takes out an alternation', () => {
    const zigzag = Array.from({ length: 200 }, (_, i): Point => [i, i % 2 === 0 ? 1 : -1]);
    const middle = trend(zigzag).slice(20, 180);
    expect(Math.max(...middle.map(([, y]) => Math.abs(y)))).toBeLessThan(0.1);
  });
});

describe('thinned', () => {
  it('keeps the mean and the count asked for', () => {
    const points = Array.from({ length: 1000 }, (_, i): Point => [i, i * i]);
    const few = thinned(points, 100);
    const mean = (list: readonly Point[]) => list.reduce((sum, [, y]) => sum + y, 0) / list.length;
    expect(few).toHaveLength(100);
    expect(mean(few)).toBeCloseTo(mean(points), 6);
  });
});

describe('forestChart', () => {
  it('puts an interval on the side of the neutral line where it lies', () => {
    const interval = { value: 0.1, low: 0.05, high: 0.15, n: 5 };
    const rows = [{ name: plain('a'), hue: 'violet' as const, interval }];
    const svg = forestChart({ rows, form: String, neutral: 0, axisForm: String });
    const neutral = Number(/class="neutral" d="M([\d.]+)/.exec(svg)![1]);
    const [, low, high] = /class="whisker" d="M([\d.]+) [\d.]+H([\d.]+)/.exec(svg)!.map(Number);
    expect(neutral).toBeLessThan(low);
    expect(low).toBeLessThan(high);
  });

  it('keeps a bound that is infinite within the picture', () => {
    const interval = { value: 0.1, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY, n: 1 };
    const svg = forestChart({
      rows: [{ name: plain('a'), hue: 'violet', interval }],
      ...{ form: String, neutral: 0, axisForm: String },
    });
    expect(svg).not.toMatch(/NaN|Infinity/);
  });
});

describe('planeChart', () => {
  const interval = (value: number) => ({ value, low: value - 0.02, high: value + 0.02, n: 9 });
  const point = (name: string, x: number, y: number, letter?: string) => ({
    ...{ name: plain(name), detail: plain('passes 70.0%'), hue: 'blue' as const, letter },
    ...{ x: interval(x), y: interval(y) },
  });

  it('ties a label that lies apart to its point', () => {
    const close = [4, 4.2, 4.4, 4.6, 4.8, 5, 5.2].map((kl, i) => point(`model ${i}`, kl, 0.9));
    const apart = [point('alone', 50, 0.5)];
    const names = { x: plain('x'), y: plain('y') };
    expect(planeChart([...close, ...apart], names)).toContain('class="leader');
    expect(planeChart(apart, names)).not.toContain('class="leader');
  });
});
