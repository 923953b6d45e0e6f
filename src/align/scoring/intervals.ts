// 95% confidence intervals of what an evaluation reports: shares, means, correlations, and the paired changes of shares
// and means between two models that answered the same requests.

import { ShapeError } from '../../engine/errors.ts';
import { studentQuantile95 } from '../objectives/overoptimisation.ts';

export interface Interval {
  value: number;
  low: number;
  high: number;
  /** Observations; of paired changes, the pairs. */
  n: number;
}

/** z with P(|Z| ≤ z) = 0.95. */
const z = 1.959963984540054;

/**
 * A share, with Wilson's interval: Wilson 1927; its first form in Brown, Cai and DasGupta 2001, Eq. 4.
 * @param successes 0 … n
 * @returns nothing when there are no trials
 */
export function shareInterval(successes: number, n: number): Interval | undefined {
  if (n === 0) return undefined;
  const value = successes / n;
  const centre = (successes + z ** 2 / 2) / (n + z ** 2);
  const half = ((z * Math.sqrt(n)) / (n + z ** 2)) * Math.sqrt(value * (1 - value) + z ** 2 / (4 * n));
  // At 0 and n successes one bound is the value itself, which rounding may miss.
  return {
    value,
    low: successes === 0 ? 0 : centre - half,
    high: successes === n ? 1 : centre + half,
    n,
  };
}

/**
 * A mean, with Student's t interval: mean ± t(n − 1)·s/√n. Values that are all equal have one without width.
 * @param range what no mean can leave; the interval is cut to it
 * @returns nothing without values; for a single one the bounds of `range`, by default infinite
 */
export function meanInterval(
  values: readonly number[],
  range: readonly [number, number] = [-Infinity, Infinity],
): Interval | undefined {
  const n = values.length;
  if (n === 0) return undefined;
  const value = sum(values) / n;
  const variance = sum(values.map((x) => (x - value) ** 2)) / (n - 1);
  const half = n === 1 ? Infinity : studentQuantile95(n - 1) * Math.sqrt(variance / n);
  return { value, low: Math.max(range[0], value - half), high: Math.min(range[1], value + half), n };
}

/**
 * Pearson's correlation, with Fisher's interval: tanh(artanh r ± z/√(n − 3)). Fisher 1921 (Metron 1:3).
 * @returns nothing where either does not vary; below four pairs the whole range as bounds
 */
export function correlationInterval(pairs: readonly (readonly [number, number])[]): Interval | undefined {
  const n = pairs.length;
  const { xx, xy, yy } = comoments(pairs);
  if (!(xx > 0 && yy > 0)) return undefined;
  const value = Math.max(-1, Math.min(1, xy / Math.sqrt(xx * yy)));
  if (n < 4) return { value, low: -1, high: 1, n };
  const half = z / Math.sqrt(n - 3);
  return { value, low: Math.tanh(Math.atanh(value) - half), high: Math.tanh(Math.atanh(value) + half), n };
}

/** Σ(x − x̄)², Σ(x − x̄)(y − ȳ), Σ(y − ȳ)². */
export function comoments(pairs: readonly (readonly [number, number])[]) {
  const [meanX, meanY] = [0, 1].map((i) => pairs.reduce((total, pair) => total + pair[i], 0) / pairs.length);
  let [xx, xy, yy] = [0, 0, 0];
  for (const [x, y] of pairs) {
    xx += (x - meanX) ** 2;
    xy += (x - meanX) * (y - meanY);
    yy += (y - meanY) ** 2;
  }
  return { xx, xy, yy };
}

/** The mean of after − before, pair by pair, with Student's t interval. @throws ShapeError unless as many of both */
export function meanChange(after: readonly number[], before: readonly number[]): Interval | undefined {
  requirePairs(after, before);
  return meanInterval(after.map((x, i) => x - before[i]));
}

/**
 * The change of a share of the same cases, with the adjusted Wald interval of Bonett and Price 2012 (J. Educ. Behav.
 * Stat. 37:479), which Fagerland, Lydersen and Laake 2014 (Stat. Med. 33:2850) recommend: one pseudo-case is added to
 * each kind of discordant pair, so that the interval keeps a width when no pair is discordant.
 * @param after  0 or 1 of each case
 * @param before same, of the same cases
 * @throws ShapeError unless as many of both
 */
export function shareChange(after: readonly number[], before: readonly number[]): Interval | undefined {
  requirePairs(after, before);
  return excess(after.map((x, i) => Math.sign(x - before[i])));
}

/**
 * The share of pairs in which `after` is higher, ties counted half: ½ + (wins − losses)/2n, with the interval of
 * `shareChange` over wins and losses.
 * @throws ShapeError unless as many of both
 */
export function winRate(after: readonly number[], before: readonly number[]): Interval | undefined {
  requirePairs(after, before);
  const change = excess(after.map((x, i) => Math.sign(x - before[i])));
  if (!change) return undefined;
  const rate = (x: number) => 0.5 + x / 2;
  return { value: rate(change.value), low: rate(change.low), high: rate(change.high), n: change.n };
}

/** (number of 1 − number of −1)/n among signs, by Bonett and Price. */
function excess(signs: readonly number[]): Interval | undefined {
  const n = signs.length;
  if (n === 0) return undefined;
  const [ups, downs] = [1, -1].map((sign) => signs.filter((x) => x === sign).length);
  const [up, down] = [(ups + 1) / (n + 2), (downs + 1) / (n + 2)];
  const centre = up - down;
  const half = z * Math.sqrt((up + down - centre ** 2) / (n + 2));
  return { value: (ups - downs) / n, low: Math.max(-1, centre - half), high: Math.min(1, centre + half), n };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, x) => total + x, 0);
}

function requirePairs(after: readonly number[], before: readonly number[]): void {
  if (after.length === before.length) return;
  throw new ShapeError({
    where: 'paired change',
    expected: `${before.length} values, one a pair`,
    found: `${after.length}`,
  });
}
