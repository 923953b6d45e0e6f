// An interval as people read it: 0.512 [0.480, 0.544].

import type { Interval } from '../../align/scoring/intervals.ts';

/** @param sign `always` for changes: +0.102 [−0.012, +0.216] */
export function showInterval({ value, low, high }: Interval, sign: 'auto' | 'always' = 'auto'): string {
  const text = (x: number | null) => (x === null || !Number.isFinite(x) ? '?' : shortNumber(x, sign));
  return `${text(value)} [${text(low)}, ${text(high)}]`;
}

/** Three decimals, one from 100 on. */
function shortNumber(x: number, sign: 'auto' | 'always'): string {
  const digits = x.toFixed(Math.abs(x) >= 100 ? 1 : 3);
  const isZero = Number(digits) === 0;
  const plain = isZero ? digits.replace('-', '') : digits;
  return sign === 'always' && x > 0 && !isZero ? `+${plain}` : plain;
}
