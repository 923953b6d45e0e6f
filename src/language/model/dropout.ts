// LoRA's dropout: in training each module drops a share of what its A reads. Hu et al. 2021 use it so; the base is not
// touched. Masks are a pure function of (seed, step, micro-batch, module, element), made here and fed to the graph.

import { input } from '../../engine/graph/build.ts';
import { Random } from '../../engine/random.ts';
import type { Feeds } from '../../engine/runtime/backend.ts';
import { loraDropout, type Parameters } from './forward.ts';
import { linearLayers } from './parameters.ts';
import type { Weights } from './weights.ts';

/** Rows that the linear layers of a pass compute. */
export interface PassRows {
  /** Windows × length. */
  positions: number;
  /** After the last layer's attention only those that are read. */
  places: number;
}

/** One mask: of a module's inputs, [rows, width]. */
interface Mask {
  name: string;
  rows: number;
  width: number;
}

function masksOf({ config, adapter }: Weights, { positions, places }: PassRows): Mask[] {
  if (!adapter || adapter.dropout === 0) return [];
  return Array.from({ length: config.layers }, (_, layer) =>
    linearLayers(config, layer)
      .filter(({ name }) => adapter.modules.includes(name))
      .map(({ name, input: width, part, isResidualOutput }): Mask => {
        const isBeforeAttention = part === 'attention' && !isResidualOutput;
        const rows = layer === config.layers - 1 && !isBeforeAttention ? places : positions;
        return { name: loraDropout(name), rows, width };
      }),
  ).flat();
}

/** The parameters of a training graph, with the masks of the adapter's dropout among them. */
export function withDropout(parameters: Parameters, weights: Weights, rows: PassRows): Parameters {
  const masks = masksOf(weights, rows).map(({ name, rows, width }) => [name, input(name, [rows, width])]);
  return { ...parameters, ...Object.fromEntries(masks) };
}

/**
 * The masks that such a graph is fed.
 * @param microBatch its index in the whole step, whatever worker computes it
 */
export function dropoutFeeds(
  weights: Weights,
  rows: PassRows,
  { seed, step, microBatch }: { seed: number; step: number; microBatch: number },
): Feeds {
  const random = new Random(seed, 'dropout');
  // Indices are below 2^48: 2^12 micro-batches, 2^10 modules a step, 2^26 · 8 elements a mask.
  return Object.fromEntries(
    masksOf(weights, rows).map(({ name, rows, width }, module) => {
      const first = (microBatch * 2 ** 10 + module) * 2 ** 26;
      return [name, random.dropout(rows * width, weights.adapter!.dropout, step, first)];
    }),
  );
}
