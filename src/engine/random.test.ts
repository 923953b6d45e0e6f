// Philox against the known answers of its authors' Random123 distribution; the rest against what random numbers are.

import { describe, expect, it } from 'vitest';
import { philox4x32, Random, type Stream, streams } from './random.ts';

const answers: [counter: number[], key: number[], words: number[]][] = [
  [
    [0, 0, 0, 0],
    [0, 0],
    [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  ],
  [
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
];

describe('philox4x32', () => {
  it.each(answers)('gives the known answer of counter %j and key %j', (counter, key, words) => {
    const [c0, c1, c2, c3] = counter;
    expect(philox4x32([c0, c1, c2, c3], [key[0], key[1]])).toEqual(words);
  });
});

const draw = (length: number, one: (index: number) => number): number[] =>
  Array.from({ length }, (_, i) => one(i));
const meanOf = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

describe('Random', () => {
  const random = new Random(2026, 'testing');

  it('fills sixteen equal bins evenly (χ² below its 99.9% point)', () => {
    const bins = new Array<number>(16).fill(0);
    for (const x of draw(16_000, (i) => random.uniform(0, i))) bins[Math.floor(x * 16)]++;
    const chiSquared = bins.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(chiSquared).toBeLessThan(37.7);
  });

  it('stays in [0, 1) and uses more than 32 bits', () => {
    const values = draw(2000, (i) => random.uniform(1, i));
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
    expect(values.filter((x) => (x * 2 ** 32) % 1 !== 0).length).toBeGreaterThan(1990);
  });

  it('draws normals of mean 0, variance 1 and kurtosis 3', () => {
    const values = draw(20_000, (i) => random.normal(2, i));
    const moment = (power: number) => meanOf(values.map((x) => x ** power));
    expect(Math.abs(moment(1))).toBeLessThan(4 / Math.sqrt(20_000));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(4 * Math.sqrt(2 / 20_000));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(4 * Math.sqrt(96 / 20_000));
  });

  it('draws every integer below its bound and no other', () => {
    expect(new Set(draw(200, (i) => random.integer(5, 3, i)))).toEqual(new Set([0, 1, 2, 3, 4]));
  });

  it('permutes: every index once, in another order at another step', () => {
    const [first, second] = [random.permutation(1000, 0), random.permutation(1000, 1)];
    const inOrder = draw(1000, (i) => i);
    expect(Array.from(first).sort((a, b) => a - b)).toEqual(inOrder);
    expect(Array.from(second).sort((a, b) => a - b)).toEqual(inOrder);
    expect(first).not.toEqual(second);
    expect(Array.from(first)).not.toEqual(inOrder);
  });

  it('gives each of the six orders of three things equally often', () => {
    const counts = new Map<string, number>();
    for (let step = 0; step < 6000; step++) {
      const order = random.permutation(3, step).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    const chiSquared = [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(chiSquared).toBeLessThan(20.5);
  });

  it('gives the same number for the same seed, stream, step and index', () => {
    expect(new Random(2026, 'testing').normal(7, 9)).toBe(random.normal(7, 9));
  });

  it('gives uncorrelated numbers on other streams, seeds, steps and far indices', () => {
    const base = draw(4000, (i) => random.uniform(0, i) - 0.5);
    const others: ((index: number) => number)[] = [
      ...(Object.keys(streams) as Stream[])
        .filter((stream) => stream !== 'testing')
        .map((stream) => (i: number) => new Random(2026, stream).uniform(0, i)),
      (i) => new Random(2027, 'testing').uniform(0, i),
      (i) => new Random(2026 + 2 ** 32, 'testing').uniform(0, i),
      (i) => random.uniform(1, i),
      (i) => random.uniform(0, i + 2 ** 32),
    ];
    for (const other of others) {
      const products = draw(4000, (i) => base[i] * (other(i) - 0.5) * 12);
      expect(Math.abs(meanOf(products))).toBeLessThan(4 / Math.sqrt(4000));
    }
  });

  it('gives no two uses one stream', () => {
    expect(new Set(Object.values(streams)).size).toBe(Object.keys(streams).length);
  });
});
