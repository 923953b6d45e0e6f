// Keys and values of the tokens that rows have been through, in a device's own memory. A row's places lie in one block,
// per layer [rows, K, places, dh]; programs move rows, widen the block and write new tokens into it, and nothing comes
// back. Places behind a row's length hold anything.

import {
  concat,
  constant,
  equal,
  expand,
  gatherRows,
  input,
  reshape,
  select,
  slice,
} from '../../engine/graph/build.ts';
import type { Outputs } from '../../engine/graph/simplify.ts';
import { type Shape, sizeOf, type Tensor } from '../../engine/graph/tensor.ts';
import { type Backend, type Feeds, joined } from '../../engine/runtime/backend.ts';
import type { ProgramCache } from '../../engine/runtime/program-cache.ts';
import { cachedNames, newNames } from '../model/cached-pass.ts';
import type { ModelConfig } from '../model/config.ts';
import type { RowCache } from './key-value-cache.ts';

const leastPlaces = 64;

/** Keys of layer 0, values of layer 0, keys of layer 1, … of some rows; the arrays only name what the device holds. */
interface Stacks {
  rows: number;
  places: number;
  arrays: readonly Float32Array[];
}

export class DeviceCache implements RowCache {
  readonly rows: number;
  readonly lengths: Int32Array;
  private readonly config: ModelConfig;
  private readonly backend: Backend;
  private readonly programs: ProgramCache;
  private block: Stacks | undefined;
  /** What the next pass leaves its new keys and values in. */
  private fresh: Stacks | undefined;
  /** Where each row lies as yet; `settle` brings them together. */
  private readonly origins: { cache: DeviceCache; row: number }[];

  constructor(config: ModelConfig, rows: number, backend: Backend, programs: ProgramCache) {
    this.config = config;
    this.rows = rows;
    this.backend = backend;
    this.programs = programs;
    this.lengths = new Int32Array(rows);
    this.origins = Array.from({ length: rows }, (_, row) => ({ cache: this, row }));
  }

  readonly isAppending = false;

  get filledBlocks(): number[] {
    return this.block ? [this.block.places] : [];
  }

  feeds(rows: number): Feeds {
    const lengths = { cachedLengths: this.lengths.subarray(0, rows) };
    return this.block
      ? joined(
          lengths,
          this.named(this.block, (layer) => cachedNames(layer, 0)),
        )
      : lengths;
  }

  targets(rows: number, length: number): Feeds {
    if (this.fresh?.rows !== rows || this.fresh.places !== length) {
      this.free(this.fresh);
      this.fresh = this.stacks(rows, length);
    }
    return this.named(this.fresh, newNames);
  }

  async append(_outputs: Feeds, length: number, counts: readonly number[]): Promise<void> {
    if (this.block && length === 1) await this.write(this.block, this.fresh!);
    else await this.extend(this.fresh!, counts);
    counts.forEach((count, row) => {
      this.lengths[row] += count;
    });
  }

  copyRow(source: DeviceCache, from: number, to: number): void {
    this.origins[to] = source === this ? this.origins[from] : { cache: source, row: from };
    this.lengths[to] = source.lengths[from];
  }

  clearRow(row: number): void {
    this.lengths[row] = 0;
    this.origins[row] = { cache: this, row };
  }

  async settle(rows: number): Promise<void> {
    const longest = Math.max(...this.lengths.subarray(0, rows));
    let places = Math.max(leastPlaces, this.block?.places ?? 0);
    while (places <= longest) places *= 2;
    const own = this.origins.slice(0, rows);
    const sources = new Set(own.map(({ cache }) => cache).filter((cache) => cache !== this));
    for (const source of sources) await this.gather(rows, places, source);
    if (!this.block) return;
    const isInPlace = own.every((_, row) => this.origins[row].row === row);
    if (!isInPlace || this.block.rows !== rows || this.block.places !== places) {
      await this.gather(rows, places);
    }
  }

  release(): void {
    this.free(this.block);
    this.free(this.fresh);
    [this.block, this.fresh] = [undefined, undefined];
  }

  /** Puts the new token of each row behind its filled places. */
  private async write(block: Stacks, fresh: Stacks): Promise<void> {
    const { rows, places } = block;
    const program = await this.program(`write ${rows} ${places}`, () => {
      const ends = reshape(input('lengths', [rows], 'int'), [rows, 1, 1, 1]);
      const isNew = equal(constant([...Array(places).keys()], [1, 1, places, 1], 'int'), ends);
      return this.outputs((i) =>
        select(isNew, input(`new ${i}`, this.shape(fresh)), input(`block ${i}`, this.shape(block))),
      );
    });
    const feeds = joined(
      { lengths: this.lengths.subarray(0, rows) },
      listed('block', block),
      listed('new', fresh),
    );
    await program.run(feeds, listed('stack', block));
  }

  /** Puts the new tokens behind the block. Rows that have any fill it, as prompts do that come in equal chunks. */
  private async extend(fresh: Stacks, counts: readonly number[]): Promise<void> {
    const { block } = this;
    this.fresh = undefined;
    if (!block) {
      this.block = fresh;
      return;
    }
    if (counts.some((count, row) => count > 0 && this.lengths[row] !== block.places)) {
      throw new Error('a chunk of a prompt does not begin where its row ends');
    }
    const whole = this.stacks(block.rows, block.places + fresh.places);
    const program = await this.program(`extend ${block.rows} ${block.places} ${fresh.places}`, () =>
      this.outputs((i) =>
        concat([input(`block ${i}`, this.shape(block)), input(`new ${i}`, this.shape(fresh))], 2),
      ),
    );
    await program.run(joined(listed('block', block), listed('new', fresh)), listed('stack', whole));
    this.free(block);
    this.free(fresh);
    this.block = whole;
  }

  /** Makes a block of these rows and places from the rows that lie in the present one and in one other cache's. */
  private async gather(rows: number, places: number, source?: DeviceCache): Promise<void> {
    const parts = [this.block, source?.block].filter((part) => part !== undefined);
    const before = this.block?.rows ?? 0;
    const indices = Int32Array.from({ length: rows }, (_, row) => {
      const { cache, row: at } = this.origins[row];
      if (cache === source) return before + at;
      // An empty row takes any; so does one whose turn comes with its own source.
      return cache === this && at < before ? at : 0;
    });
    const sizes = parts.map((part) => `${part.rows}×${part.places}`);
    const program = await this.program(`gather ${sizes.join('+')} ${rows}×${places}`, () => {
      const ids = input('indices', [rows], 'int');
      const width = this.shape({ rows: 1, places });
      return this.outputs((i) => {
        const padded = parts.map((part, p) => withPlaces(input(`part ${p} ${i}`, this.shape(part)), places));
        const table = reshape(concat(padded, 0), [padded.reduce((n, t) => n + t.shape[0], 0), sizeOf(width)]);
        return reshape(gatherRows(table, ids), this.shape({ rows, places }));
      });
    });
    const whole = this.stacks(rows, places);
    const feeds = joined({ indices }, ...parts.map((part, p) => listed(`part ${p}`, part)));
    await program.run(feeds, listed('stack', whole));
    this.free(this.block);
    this.block = whole;
    for (let row = 0; row < rows; row++) {
      const { cache } = this.origins[row];
      if (cache === this || cache === source) this.origins[row] = { cache: this, row };
    }
  }

  private program(key: string, graph: () => Outputs) {
    const names = Array.from({ length: 2 * this.config.layers }, (_, i) => `stack ${i}`);
    return this.programs.get(key, graph, names);
  }

  private outputs(stack: (i: number) => Tensor): Outputs {
    const named = Array.from({ length: 2 * this.config.layers }, (_, i) => [`stack ${i}`, stack(i)]);
    return Object.fromEntries(named);
  }

  private shape({ rows, places }: { rows: number; places: number }): Shape {
    return [rows, this.config.keyValueHeads, places, this.config.headSize];
  }

  /** Names for tensors that are still to be computed: all in one piece of memory, which nothing is ever written to. */
  private stacks(rows: number, places: number): Stacks {
    const size = sizeOf(this.shape({ rows, places }));
    const memory = new ArrayBuffer(size * Float32Array.BYTES_PER_ELEMENT);
    return {
      ...{ rows, places },
      arrays: Array.from({ length: 2 * this.config.layers }, () => new Float32Array(memory)),
    };
  }

  private named(
    { arrays }: Stacks,
    namesOf: (layer: number) => { keys: string; values: string },
  ): Record<string, Float32Array> {
    const entries = arrays.map((array, i) => {
      const { keys, values } = namesOf(i >> 1);
      return [i % 2 === 0 ? keys : values, array];
    });
    return Object.fromEntries(entries);
  }

  private free(stacks: Stacks | undefined): void {
    if (stacks) this.backend.drop(stacks.arrays);
  }
}

const listed = (name: string, { arrays }: Stacks): Feeds =>
  Object.fromEntries(arrays.map((array, i) => [`${name} ${i}`, array]));

/** Cut or filled up to this many places. */
function withPlaces(x: Tensor, places: number): Tensor {
  const [rows, K, own, dh] = x.shape;
  if (own >= places) return slice(x, 2, 0, places);
  return concat([x, expand(constant(0), [rows, K, places - own, dh])], 2);
}
