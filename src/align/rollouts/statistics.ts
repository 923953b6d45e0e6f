// What the models say of every token of a step's completions, by the graphs that train and in the very batches that are
// trained on, so that before the first update every ratio is exactly 1 and a policy that is its own reference has KL 0.

import type { Weights } from '../../language/model/weights.ts';
import { limitsFor } from '../data/packing.ts';
import type { TokenRow } from '../data/token-row.ts';
import type { TokenPasses } from '../scoring/heads.ts';
import { byRow, type TokenBatch, tokenBatches } from '../scoring/layout.ts';
import { sum } from './metrics.ts';

/** Completions that share an update: those from `from` on. */
export interface MiniBatch {
  from: number;
  batches: TokenBatch[];
  /** Of the completions, prompts not counted. */
  tokens: number;
}

interface LayingOut {
  miniBatchSize: number;
  microBatchTokens: number;
  sharePrompts?: boolean;
}

export function layOut(
  rows: readonly TokenRow[],
  { config }: Weights,
  { miniBatchSize, microBatchTokens, sharePrompts }: LayingOut,
): MiniBatch[] {
  const limits = { ...limitsFor(config, microBatchTokens), sharePrompts };
  return Array.from({ length: Math.ceil(rows.length / miniBatchSize) }, (_, i) => {
    const from = i * miniBatchSize;
    const batches = tokenBatches(rows.slice(from, from + miniBatchSize), limits);
    return { from, batches, tokens: sum(batches.map(({ count }) => count)) };
  });
}

/** One row per completion, one number per token; no rows where its model is not asked. */
export interface Statistics {
  /** log π_old and entropy of the next-token distribution, nats. */
  oldLogProbs: Float64Array[];
  entropies: Float64Array[];
  /** log π_ref, nats. */
  referenceLogProbs: Float64Array[];
  /** V before each token. */
  values: Float64Array[];
}

/** @param models those that are asked */
export async function gatherStatistics(
  passes: TokenPasses,
  miniBatches: readonly MiniBatch[],
  { policy, reference, valueModel }: { policy?: Weights; reference?: Weights; valueModel?: Weights },
  temperature: number,
): Promise<Statistics> {
  const found: Statistics = { oldLogProbs: [], entropies: [], referenceLogProbs: [], values: [] };
  for (const batch of miniBatches.flatMap(({ batches }) => batches)) {
    if (policy) {
      const { logProbs, entropy } = await passes.logProbs(batch, policy, temperature);
      found.oldLogProbs.push(...byRow(batch, logProbs));
      found.entropies.push(...byRow(batch, entropy));
    }
    if (reference) {
      const { logProbs } = await passes.logProbs(batch, reference, temperature);
      found.referenceLogProbs.push(...byRow(batch, logProbs));
    }
    if (valueModel) found.values.push(...byRow(batch, await passes.values(batch, valueModel)));
  }
  return found;
}
