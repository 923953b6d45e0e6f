// Keys and values of the tokens that rows have been through, per layer [rows, K, places, dh]. The arrays are fed to
// the runtime where they lie; the first rows of an array are themselves an array of fewer rows.

import type { Feeds } from '../../engine/runtime/backend.ts';
import { cacheNames } from '../model/cached-pass.ts';
import type { ModelConfig } from '../model/config.ts';

/** One layer's keys or values, [rows, K, places, dh]. */
interface Stack {
  data: Float32Array;
  places: number;
}

export class KeyValueCache {
  readonly rows: number;
  /** How many tokens of each row are in the cache. */
  readonly lengths: Int32Array;
  private readonly config: ModelConfig;
  /** Keys and values of layer 0, of layer 1, … */
  private readonly stacks: Stack[];

  constructor(config: ModelConfig, rows: number, capacity: number) {
    this.config = config;
    this.rows = rows;
    this.lengths = new Int32Array(rows);
    this.stacks = Array.from({ length: 2 * config.layers }, () => this.allocate(capacity));
  }

  /** Bytes of one place of one row. */
  static bytesPerPlace({ layers, keyValueHeads, headSize }: ModelConfig): number {
    return 2 * layers * keyValueHeads * headSize * Float32Array.BYTES_PER_ELEMENT;
  }

  get capacity(): number {
    return this.stacks[0].places;
  }

  /** The inputs of a pass over the first `rows` rows. */
  feeds(rows: number): Feeds {
    const { keyValueHeads, headSize, layers } = this.config;
    const size = rows * keyValueHeads * this.capacity * headSize;
    const feeds: Record<string, Float32Array | Int32Array> = {
      cachedLengths: this.lengths.subarray(0, rows),
    };
    for (let layer = 0; layer < layers; layer++) {
      const { cachedKeys, cachedValues } = cacheNames(layer);
      feeds[cachedKeys] = this.stacks[2 * layer].data.subarray(0, size);
      feeds[cachedValues] = this.stacks[2 * layer + 1].data.subarray(0, size);
    }
    return feeds;
  }

  /** Appends the first `count` of the `length` new tokens that a pass gave the row. */
  append(row: number, outputs: Feeds, length: number, count: number): void {
    const at = this.lengths[row];
    this.stacks.forEach((stack, i) => {
      const { newKeys, newValues } = cacheNames(i >> 1);
      const data = outputs[i % 2 === 0 ? newKeys : newValues] as Float32Array;
      this.copy({ stack: { data, places: length }, row, at: 0 }, { stack, row, at }, count);
    });
    this.lengths[row] += count;
  }

  /** Makes row `to` a copy of another cache's row (or of this one's). */
  copyRow(source: KeyValueCache, from: number, to: number): void {
    this.lengths[to] = source.lengths[from];
    this.stacks.forEach((stack, i) => {
      this.copy({ stack: source.stacks[i], row: from, at: 0 }, { stack, row: to, at: 0 }, this.lengths[to]);
    });
  }

  clearRow(row: number): void {
    this.lengths[row] = 0;
  }

  /** Gives every row another number of places, at least its length. */
  resize(capacity: number): void {
    for (const stack of this.stacks) {
      const resized = this.allocate(capacity);
      this.lengths.forEach((length, row) => {
        this.copy({ stack, row, at: 0 }, { stack: resized, row, at: 0 }, length);
      });
      Object.assign(stack, resized);
    }
  }

  private allocate(places: number): Stack {
    const { keyValueHeads, headSize } = this.config;
    return { data: new Float32Array(this.rows * keyValueHeads * places * headSize), places };
  }

  private copy(from: Place, to: Place, count: number): void {
    const { keyValueHeads, headSize } = this.config;
    for (let head = 0; head < keyValueHeads; head++) {
      const source = ((from.row * keyValueHeads + head) * from.stack.places + from.at) * headSize;
      const target = ((to.row * keyValueHeads + head) * to.stack.places + to.at) * headSize;
      copyNumbers(from.stack.data, source, to.stack.data, target, count * headSize);
    }
  }
}

interface Place {
  stack: Stack;
  row: number;
  at: number;
}

/** A plain loop: for one token's few numbers it is faster than `set` on views. */
function copyNumbers(
  from: Float32Array,
  source: number,
  to: Float32Array,
  target: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) to[target + i] = from[source + i];
}
