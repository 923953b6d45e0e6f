// What models say of every trained token of packed sequences. The batches are laid out once and passed through policy,
// reference and critic alike, before training and in it: the same shapes, so the same bits.

import { input } from '../../engine/graph/build.ts';
import { type Backend, type Feeds, joined, type TensorData } from '../../engine/runtime/backend.ts';
import { ProgramCache } from '../../engine/runtime/program-cache.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import type { Parameters } from '../../language/model/forward.ts';
import {
  judgeTargets,
  type TargetStatistics,
  windowInputs,
  windowStates,
} from '../../language/model/full-pass.ts';
import { scalarHead } from '../../language/model/scalar-head.ts';
import { structureOf, type Weights, weightFeeds, weightInputs } from '../../language/model/weights.ts';
import { type PackedSequences, packSequences, padded, roomFor, targetsOf } from '../data/packed-sequences.ts';
import { type BatchLimits, batchesWithin } from '../data/packing.ts';
import type { TokenRow } from '../data/token-row.ts';

export interface TokenBatch {
  rows: readonly TokenRow[];
  packed: PackedSequences;
  /** Trained tokens, and the number that their arrays are filled up to (M). */
  count: number;
  size: number;
  /** Batches of one key have the same shapes. */
  key: string;
  /** tokens, positions, segments [windows, length]; sources, targets [M] */
  feeds: Record<'tokens' | 'positions' | 'segments' | 'sources' | 'targets', Int32Array>;
}

/** Rows in order, laid out in batches within the limits. */
export function tokenBatches(rows: readonly TokenRow[], limits: BatchLimits): TokenBatch[] {
  const batches = batchesWithin(rows, ({ ids }) => [ids.length], limits);
  return Array.from(batches, (own) => tokenBatch(own, limits.mostLength));
}

function tokenBatch(rows: readonly TokenRow[], mostLength: number): TokenBatch {
  const packed = packSequences(rows, mostLength);
  const { sources, targets } = targetsOf(rows, packed.starts);
  const size = roomFor(sources.length);
  return {
    rows,
    packed,
    count: sources.length,
    size,
    key: `${packed.windows}×${packed.length}, ${size} targets`,
    feeds: { ...packed.feeds, sources: padded(sources, size), targets: padded(targets, size) },
  };
}

/** Values of the batch's trained tokens, cut up by row. */
export function byRow({ rows }: TokenBatch, values: ArrayLike<number>): Float64Array[] {
  let start = 0;
  return rows.map(({ isTrained }) => {
    const count = isTrained.reduce((sum, counts, i) => sum + (i > 0 && counts ? 1 : 0), 0);
    start += count;
    return Float64Array.from({ length: count }, (_, i) => values[start - count + i]);
  });
}

/** The reverse of `byRow`, zeros up to M. */
export function joinRows({ size }: TokenBatch, rows: readonly ArrayLike<number>[]): Float32Array {
  const joined = new Float32Array(size);
  let start = 0;
  for (const row of rows) {
    joined.set(Array.from(row), start);
    start += row.length;
  }
  return joined;
}

/** Final states before each trained token, [M, D]. */
function trainedStates(config: ModelConfig, parameters: Parameters, packed: PackedSequences, size: number) {
  return windowStates(config, parameters, windowInputs(packed), input('sources', [size], 'int'));
}

/** What the policy says of each trained token, every tensor [M]. */
export function tokenStatistics(
  config: ModelConfig,
  parameters: Parameters,
  { packed, size }: TokenBatch,
  temperature: number,
): TargetStatistics {
  const hidden = trainedStates(config, parameters, packed, size);
  return judgeTargets(config, parameters, hidden, input('targets', [size], 'int'), temperature);
}

/** What the critic expects before each trained token, [M]. */
export function tokenValues(config: ModelConfig, parameters: Parameters, { packed, size }: TokenBatch) {
  return scalarHead(parameters, trainedStates(config, parameters, packed, size));
}

/** Passes without gradients, of models of one configuration. */
export class TokenPasses {
  private readonly backend: Backend;
  private readonly held = new Map<Weights, Feeds>();
  private readonly programs: ProgramCache;

  constructor(backend: Backend) {
    this.backend = backend;
    this.programs = new ProgramCache(backend);
  }

  /** nats, [M] each */
  async logProbs(
    batch: TokenBatch,
    model: Weights,
    temperature: number,
  ): Promise<{ logProbs: TensorData; entropy: TensorData }> {
    const key = `log-probabilities at ${temperature}, ${structureOf(model)}, ${batch.key}`;
    const program = await this.programs.get(key, () => {
      const { logProbs, entropy } = tokenStatistics(model.config, weightInputs(model), batch, temperature);
      return { logProbs, entropy };
    });
    const { logProbs, entropy } = await program.run(await this.feedsOf(batch, model));
    return { logProbs, entropy };
  }

  /** [M] */
  async values(batch: TokenBatch, model: Weights): Promise<TensorData> {
    const key = `values, ${structureOf(model)}, ${batch.key}`;
    const program = await this.programs.get(key, () => {
      return { values: tokenValues(model.config, weightInputs(model), batch) };
    });
    return (await program.run(await this.feedsOf(batch, model))).values;
  }

  async release(): Promise<void> {
    for (const weights of this.held.values()) this.backend.drop(Object.values(weights));
    this.held.clear();
    await this.programs.release();
  }

  /** A model is held by the backend from its first pass on. */
  private async feedsOf({ feeds }: TokenBatch, model: Weights): Promise<Feeds> {
    const weights = this.held.get(model) ?? weightFeeds(model);
    if (!this.held.has(model)) await this.backend.hold(Object.values(weights));
    this.held.set(model, weights);
    return joined(weights, feeds);
  }
}
