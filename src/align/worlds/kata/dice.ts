// Draws in sequence from one place of a random stream: a thing that is generated gets dice of its own,
// so that it depends on (seed, stream, place) alone and on nothing generated before it.

import { Random, type Stream } from '../../../engine/random.ts';

export class Dice {
  private readonly random: Random;
  private readonly place: number;
  private drawn = 0;

  /** @param place number of the generated thing, a non-negative integer below 2^32 */
  constructor(seed: number, stream: Stream, place: number) {
    this.random = new Random(seed, stream);
    this.place = place;
  }

  /** In [0, 1). */
  uniform(): number {
    return this.random.uniform(this.place, this.drawn++);
  }

  chance(probability: number): boolean {
    return this.uniform() < probability;
  }

  /** An integer in [least, most]. */
  between(least: number, most: number): number {
    return least + Math.floor(this.uniform() * (most - least + 1));
  }

  pick<T>(options: readonly T[]): T {
    return options[this.between(0, options.length - 1)];
  }

  /** One of the keys, as often as its weight says. */
  weighted<Key extends string>(weights: Readonly<Record<Key, number>>): Key {
    const keys = Object.keys(weights) as Key[];
    let rest = this.uniform() * keys.reduce((sum, key) => sum + weights[key], 0);
    for (const key of keys) {
      rest -= weights[key];
      if (rest < 0) return key;
    }
    return keys[keys.length - 1];
  }

  shuffled<T>(items: readonly T[]): T[] {
    const order = [...items];
    for (let i = order.length - 1; i > 0; i--) {
      const j = this.between(0, i);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}
