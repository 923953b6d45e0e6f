// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
// A number is a pure function of (seed, stream, step, index): nothing has to be saved to resume,
// and rows may be drawn in any order by any worker.

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

/** Philox4x32-10: four 32-bit words from a counter of four words and a key of two. */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const cross = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000)) >>> 0;
}

/** What the numbers are for. Two uses never share a stream. */
export const streams = {
  initialisation: 0,
  shuffle: 1,
  sampling: 2,
  testing: 3,
  problems: 4,
  phrasings: 5,
  solutions: 6,
  corpora: 7,
  requests: 8,
  annotators: 9,
  head: 10,
  rollouts: 11,
  statistics: 12,
  reading: 13,
  adapter: 14,
  dropout: 15,
} as const;
export type Stream = keyof typeof streams;

export class Random {
  private readonly key: readonly [number, number];
  private readonly streamId: number;

  /** @param seed a non-negative integer up to 2^53 */
  constructor(seed: number, stream: Stream) {
    this.key = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
    this.streamId = streams[stream];
  }

  /** Uniform in [0, 1) with 53 random bits. `step` and `index` are non-negative integers below 2^32 and 2^48. */
  uniform(step: number, index: number): number {
    const [a, b] = this.words(step, index);
    return ((a >>> 5) * 67108864 + (b >>> 6)) / 2 ** 53;
  }

  /** Uniform integer in [0, bound); bound ≤ 2^32. */
  integer(bound: number, step: number, index: number): number {
    return Math.floor(this.uniform(step, index) * bound);
  }

  /** Standard normal (Box–Muller). */
  normal(step: number, index: number): number {
    const [a, b, c, d] = this.words(step, index);
    const radius = Math.sqrt(-2 * Math.log(1 - ((a >>> 5) * 67108864 + (b >>> 6)) / 2 ** 53));
    return radius * Math.cos(2 * Math.PI * (((c >>> 5) * 67108864 + (d >>> 6)) / 2 ** 53));
  }

  /** 0 … length−1 in random order (Fisher–Yates); `step` names the shuffle, such as the epoch. */
  permutation(length: number, step: number): Uint32Array {
    const order = Uint32Array.from({ length }, (_, i) => i);
    for (let i = length - 1; i > 0; i--) {
      const j = this.integer(i + 1, step, i);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  /**
   * A dropout mask: each element 0 with probability `rate`, to the nearest 1/65536, else 1 / (1 − rate). Element i depends
   * on (step, first + ⌊i / 8⌋) alone, so that a mask of 8·n elements takes the indices first … first + n − 1.
   */
  dropout(length: number, rate: number, step: number, first: number): Float32Array {
    const mask = new Float32Array(length);
    const dropped = Math.round(rate * 65536);
    const kept = 1 / (1 - rate);
    for (let start = 0; start < length; start += 8) {
      const words = this.words(step, first + start / 8);
      for (let i = 0; i < 8 && start + i < length; i++) {
        const bits = (words[i >> 1] >>> (16 * (i & 1))) & 0xffff;
        if (bits >= dropped) mask[start + i] = kept;
      }
    }
    return mask;
  }

  private words(step: number, index: number): [number, number, number, number] {
    return philox4x32([index >>> 0, Math.floor(index / 2 ** 32) >>> 0, step >>> 0, this.streamId], this.key);
  }
}
