// Compiled passes. Rows, lengths and capacities come in few sizes, and each combination is compiled when first needed.
// Also the arrays that a pass writes to.

import { sizeOf } from '../../engine/graph/tensor.ts';
import {
  allocate,
  type Backend,
  type Feeds,
  joined,
  type Port,
  type Program,
  type TensorData,
} from '../../engine/runtime/backend.ts';
import { ProgramCache } from '../../engine/runtime/program-cache.ts';
import { type CachedShape, cachedPass, newNames } from '../model/cached-pass.ts';
import { type Weights, weightFeeds } from '../model/weights.ts';
import { DeviceCache } from './device-cache.ts';
import { KeyValueCache, type RowCache } from './key-value-cache.ts';
import type { NextTokenScores } from './sampling.ts';

/** The smallest power of two that is at least `size` and `least`. */
export function bucketOf(size: number, least = 1): number {
  let bucket = least;
  while (bucket < size) bucket *= 2;
  return bucket;
}

export class Passes {
  private readonly backend: Backend;
  private readonly model: Weights;
  private readonly programs: ProgramCache;

  constructor(backend: Backend, model: Weights) {
    this.backend = backend;
    this.programs = new ProgramCache(backend);
    this.model = model;
  }

  /** Whether the backend puts a step's keys and values into the cache itself. */
  private get appendsInPlace(): boolean {
    // The kernel takes whole vectors of 8.
    return this.backend.appendsInPlace && this.model.config.headSize % 8 === 0;
  }

  compiled(shape: CachedShape): Promise<Program> {
    const { layers } = this.model.config;
    const names = Array.from({ length: layers }, (_, layer) => Object.values(newNames(layer)));
    const resident = this.backend.hasOwnMemory ? names.flat() : [];
    return this.programs.get(JSON.stringify(shape), () => cachedPass(this.model, shape), resident);
  }

  /** The weights' arrays as they are now. */
  feeds(): Feeds {
    return weightFeeds(this.model);
  }

  /**
   * An empty cache, where the passes read it.
   * @param mostTokens the longest that a row can become, for a cache that is decoded from
   */
  newCache(rows: number, mostTokens?: number): RowCache {
    const { config } = this.model;
    if (this.backend.hasOwnMemory) return new DeviceCache(config, rows, this.backend, this.programs);
    return new KeyValueCache(config, rows, this.appendsInPlace ? mostTokens : undefined);
  }

  async release(): Promise<void> {
    await this.programs.release();
  }
}

/** Runs passes into arrays of its own, which the next run overwrites. */
export class PassRunner {
  private readonly passes: Passes;
  private readonly weights: Feeds;
  private readonly arrays = new Map<string, TensorData>();

  constructor(passes: Passes) {
    this.passes = passes;
    this.weights = passes.feeds();
  }

  newCache(rows: number, mostTokens?: number): RowCache {
    return this.passes.newCache(rows, mostTokens);
  }

  /** @param given arrays for outputs of these names, instead of the runner's own */
  async run(shape: CachedShape, feeds: Feeds, given: Feeds = {}): Promise<Feeds> {
    const program = await this.passes.compiled(shape);
    const into = Object.fromEntries(
      program.outputs.map((port) => [port.name, given[port.name] ?? this.arrayFor(port)]),
    );
    return await program.run(joined(this.weights, feeds), into);
  }

  /** The largest array that the port's name has needed so far, cut to the port. */
  private arrayFor(port: Port): TensorData {
    const size = sizeOf(port.shape);
    let array = this.arrays.get(port.name);
    if (!array || array.length < size) {
      array = allocate(port);
      this.arrays.set(port.name, array);
    }
    return array.subarray(0, size);
  }
}

/** A row's part of a pass's outputs. */
export function scoresOf(outputs: Feeds, row: number, vocabularySize: number): NextTokenScores {
  const own = (name: string) =>
    (outputs[name] as Float32Array).subarray(row * vocabularySize, (row + 1) * vocabularySize);
  return {
    logits: own('logits'),
    probabilities: own('probabilities'),
    logNormaliser: outputs.logNormaliser[row],
  };
}
