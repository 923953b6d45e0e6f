// Keys and values of the tokens that rows have been through. Places come in blocks, so that rows may grow without
// their past being copied; a block's arrays, per layer [rows, K, places, dh], are fed to the runtime where they lie.

import type { Feeds } from '../../engine/runtime/backend.ts';
import { cachedNames, newNames } from '../model/cached-pass.ts';
import type { ModelConfig } from '../model/config.ts';

/** The cache of a batch of rows, as what uses it sees it. */
export interface RowCache {
  readonly rows: number;
  /** How many tokens of each row are in the cache. */
  readonly lengths: Int32Array;
  /** Whether a pass puts its new token into the only block itself. */
  readonly isAppending: boolean;
  /** Places of the blocks that hold all tokens so far. */
  readonly filledBlocks: number[];
  /** The inputs of a pass over the first `rows` rows and their filled blocks. */
  feeds(rows: number): Feeds;
  /** Arrays of the cache's own for the new keys and values of such a pass. */
  targets(rows: number, length: number): Feeds;
  /** Takes in the first `counts[row]` of the `length` new tokens that the pass gave each row. */
  append(outputs: Feeds, length: number, counts: readonly number[]): void | Promise<void>;
  /** Makes row `to` a copy of the row `from` of a cache of the same kind, which lasts at least until `settle`. */
  copyRow(source: RowCache, from: number, to: number): void;
  clearRow(row: number): void;
  /** To be called between copies and a pass over the first `rows` rows. */
  settle(rows: number): void | Promise<void>;
  release(): void;
}

/** Some places of every row. */
interface Block {
  /** Position of the token in the block's first place. */
  start: number;
  places: number;
  /** Keys of layer 0, values of layer 0, keys of layer 1, … */
  stacks: readonly Float32Array[];
}

const firstPlaces = 64;

/** Places of the blocks that hold rows of this length: 64, 64, 128, 256, …, each as many as all before it. */
function blocksFor(length: number, first = firstPlaces): number[] {
  const blocks: number[] = [];
  for (let places = 0; places < length; places += blocks.at(-1)!) blocks.push(Math.max(first, places));
  return blocks;
}

/** Few different numbers, so that few programs are compiled. */
const rounded = (length: number): number => Math.ceil(length / firstPlaces) * firstPlaces;

export class KeyValueCache implements RowCache {
  readonly rows: number;
  readonly isAppending: boolean;
  readonly lengths: Int32Array;
  private readonly config: ModelConfig;
  private readonly blocks: Block[] = [];
  private readonly firstPlaces: number;

  /** @param mostTokens of a row, when all its places are to lie in one block that passes append to in place */
  constructor(config: ModelConfig, rows: number, mostTokens?: number) {
    this.config = config;
    this.isAppending = mostTokens !== undefined;
    this.rows = rows;
    this.firstPlaces = rounded(mostTokens ?? firstPlaces);
    this.lengths = new Int32Array(rows);
  }

  /** Bytes of one row's cache at this length. */
  static bytesPerRow({ layers, keyValueHeads, headSize }: ModelConfig, length: number): number {
    const places = blocksFor(length).reduce((sum, size) => sum + size, 0);
    return 2 * layers * keyValueHeads * headSize * places * Float32Array.BYTES_PER_ELEMENT;
  }

  get filledBlocks(): number[] {
    return blocksFor(Math.max(...this.lengths), this.firstPlaces);
  }

  feeds(rows: number): Feeds {
    const blocks = this.filledBlocks.map((_, block) =>
      this.arrays(block, rows, (layer) => cachedNames(layer, block)),
    );
    return Object.assign({ cachedLengths: this.lengths.subarray(0, rows) }, ...blocks);
  }

  /** The arrays of the only block, where a pass appends to it. */
  targets(rows: number): Feeds {
    return this.isAppending ? this.arrays(0, rows, newNames) : {};
  }

  /** A block of the first `rows` rows, under the names of its keys and values in each layer. */
  private arrays(
    block: number,
    rows: number,
    namesOf: (layer: number) => { keys: string; values: string },
  ): Record<string, Float32Array> {
    const { keyValueHeads, headSize, layers } = this.config;
    const { places, stacks } = this.blocks[block];
    const size = rows * keyValueHeads * places * headSize;
    const arrays: Record<string, Float32Array> = {};
    for (let layer = 0; layer < layers; layer++) {
      const names = namesOf(layer);
      arrays[names.keys] = stacks[2 * layer].subarray(0, size);
      arrays[names.values] = stacks[2 * layer + 1].subarray(0, size);
    }
    return arrays;
  }

  append(outputs: Feeds, length: number, counts: readonly number[]): void {
    if (this.isAppending) {
      counts.forEach((count, row) => {
        this.lengths[row] += count;
      });
      return;
    }
    const stacks = Array.from({ length: 2 * this.config.layers }, (_, i) => {
      const names = newNames(i >> 1);
      return outputs[i % 2 === 0 ? names.keys : names.values] as Float32Array;
    });
    counts.forEach((count, row) => {
      const start = this.lengths[row];
      if (count > 0) this.copy({ start, places: length, stacks }, row, row, [start, start + count]);
      this.lengths[row] += count;
    });
  }

  copyRow(source: KeyValueCache, from: number, to: number): void {
    const length = source.lengths[from];
    this.lengths[to] = length;
    for (const block of source.blocks) {
      this.copy(block, from, to, [block.start, Math.min(length, block.start + block.places)]);
    }
  }

  clearRow(row: number): void {
    this.lengths[row] = 0;
  }

  settle(): void {}

  release(): void {}

  /** Copies positions of the source's row `from` into row `to`, block by block. */
  private copy(source: Block, from: number, to: number, [start, end]: readonly [number, number]): void {
    this.makeRoom(end);
    for (const target of this.blocks) {
      const first = Math.max(start, target.start);
      const last = Math.min(end, target.start + target.places);
      if (first < last) copyPlaces(this.config, { source, from, target, to, first, last });
    }
  }

  private makeRoom(length: number): void {
    const last = this.blocks.at(-1);
    if (last && length <= last.start + last.places) return;
    const { keyValueHeads, headSize, layers } = this.config;
    const sizes = blocksFor(length, this.firstPlaces);
    for (let block = this.blocks.length; block < sizes.length; block++) {
      const size = this.rows * keyValueHeads * sizes[block] * headSize;
      const stacks = Array.from({ length: 2 * layers }, () => new Float32Array(size));
      const start = sizes.slice(0, block).reduce((sum, places) => sum + places, 0);
      this.blocks.push({ start, places: sizes[block], stacks });
    }
  }
}

interface Transfer {
  source: Block;
  from: number;
  target: Block;
  to: number;
  /** Positions first … last − 1, which both blocks have. */
  first: number;
  last: number;
}

function copyPlaces({ keyValueHeads, headSize }: ModelConfig, transfer: Transfer): void {
  const { source, from, target, to, first, last } = transfer;
  const count = (last - first) * headSize;
  for (let i = 0; i < source.stacks.length; i++) {
    const [read, write] = [source.stacks[i], target.stacks[i]];
    for (let head = 0; head < keyValueHeads; head++) {
      const readAt = ((from * keyValueHeads + head) * source.places + first - source.start) * headSize;
      const writeAt = ((to * keyValueHeads + head) * target.places + first - target.start) * headSize;
      copyNumbers(read, readAt, write, writeAt, count);
    }
  }
}

/** A plain loop: for one token's few numbers it is faster than `set` on views. */
function copyNumbers(from: Float32Array, read: number, to: Float32Array, write: number, count: number): void {
  for (let i = 0; i < count; i++) to[write + i] = from[read + i];
}
