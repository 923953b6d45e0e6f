// The rows that are being decoded: each has a slot, which is its row of the cache and of every step.

import type { ModelConfig } from '../model/config.ts';
import type { RowCache } from './key-value-cache.ts';
import { bucketOf, type PassRunner, scoresOf } from './passes.ts';
import { inverseTemperatureOf, type Prefilled } from './prefill.ts';
import type { TokenEvent } from './request.ts';
import type { Row } from './row.ts';

/** A row with the token that it has just drawn. */
export interface Advance {
  row: Row;
  event: TokenEvent;
}

export class Batch {
  /** Most rows at once. */
  readonly limit: number;
  private readonly config: ModelConfig;
  private readonly runner: PassRunner;
  private readonly cache: RowCache;
  private slots: (Row | undefined)[];

  /** @param mostTokens the longest that a row can become, with its prompt */
  constructor(config: ModelConfig, runner: PassRunner, limit: number, mostTokens: number) {
    this.config = config;
    this.runner = runner;
    this.limit = limit;
    this.slots = new Array(bucketOf(limit)).fill(undefined);
    this.cache = runner.newCache(this.slots.length, mostTokens);
  }

  get active(): number {
    return this.slots.reduce((count, row) => count + (row ? 1 : 0), 0);
  }

  /** Gives the row a slot, after its prompt was computed and its first token drawn. */
  add(row: Row, { cache, row: from }: Prefilled): void {
    const slot = this.slots.indexOf(undefined);
    this.cache.copyRow(cache, from, slot);
    this.slots[slot] = row;
  }

  /** After rows were added: what they were copied from is no longer read. */
  async settle(): Promise<void> {
    await this.cache.settle(this.slots.length);
  }

  release(): void {
    this.cache.release();
  }

  /** Moves rows together when they fit a smaller batch. */
  compact(): void {
    const size = bucketOf(this.active);
    for (let slot = size; slot < this.slots.length; slot++) {
      const row = this.slots[slot];
      if (!row) continue;
      const target = this.slots.indexOf(undefined);
      this.cache.copyRow(this.cache, slot, target);
      this.slots[target] = row;
      this.vacate(slot);
    }
    this.slots.length = Math.min(this.slots.length, size);
  }

  /** Every row's next token; rows that finish give their slots back. */
  async step(): Promise<Advance[]> {
    const rows = this.slots.length;
    const { isAppending } = this.cache;
    const counts = this.slots.map((row) => (row ? 1 : 0));
    await this.cache.settle(rows);
    const outputs = await this.runner.run(
      { rows, length: 1, blocks: this.cache.filledBlocks, isAppending },
      {
        ...this.cache.feeds(rows),
        tokens: Int32Array.from(this.slots, (row) => row?.lastId ?? 0),
        inverseTemperature: Float32Array.from(this.slots, (row) =>
          row ? inverseTemperatureOf(row.request) : 1,
        ),
      },
      this.cache.targets(rows, 1),
    );
    await this.cache.append(outputs, 1, counts);
    return this.slots.flatMap((row, slot) => {
      if (!row) return [];
      const event = row.advance(scoresOf(outputs, slot, this.config.vocabularySize));
      if (row.finish) this.vacate(slot);
      return [{ row, event }];
    });
  }

  private vacate(slot: number): void {
    this.slots[slot] = undefined;
    this.cache.clearRow(slot);
  }
}
