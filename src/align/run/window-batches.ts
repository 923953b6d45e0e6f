// Windows to micro-batches of the next-token objective. Only positions that have a target reach the output head.

import { input, multiply, total } from '../../engine/graph/build.ts';
import type { Objective } from '../../engine/optimizer/update-step.ts';
import { joined } from '../../engine/runtime/backend.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import type { Parameters } from '../../language/model/forward.ts';
import type { Window } from '../data/packing.ts';
import { negativeLogLikelihood } from '../objectives/likelihood.ts';
import { tokenStatistics } from '../scoring/heads.ts';
import { type Layout, layOutWindows, passRows } from '../scoring/layout.ts';
import type { ModelBatch } from './gradient-learner.ts';

/**
 * The micro-batches of one step, each of at most `microBatchTokens` positions (one window at least).
 * @param describe names the rows of the step, for messages
 * @returns none when no position has a target
 */
export function windowMicroBatches(
  config: ModelConfig,
  windows: readonly Window[],
  microBatchTokens: number,
  describe: () => string,
): ModelBatch[] {
  const trained = windows.reduce((count, { weights }) => count + countTargets(weights), 0);
  if (trained === 0) return [];
  const length = windows[0].ids.length;
  const perBatch = Math.max(1, Math.floor(microBatchTokens / length));
  const batches: ModelBatch[] = [];
  for (let start = 0; start < windows.length; start += perBatch) {
    const own = windows.slice(start, start + perBatch);
    if (own.every(({ weights }) => countTargets(weights) === 0)) continue;
    batches.push(microBatch(config, own, 1 / trained, describe));
  }
  return batches;
}

const countTargets = (weights: Float32Array): number =>
  weights.reduce((count, w) => count + (w > 0 ? 1 : 0), 0);

function microBatch(
  config: ModelConfig,
  windows: readonly Window[],
  weight: number,
  describe: () => string,
): ModelBatch {
  const layout = layOutWindows(windows);
  return {
    key: layout.key,
    rows: passRows(layout, layout.size),
    graph: (parameters) => nextTokenObjective(config, parameters, layout),
    feeds() {
      const weights = new Float32Array(layout.size);
      weights.set(layout.weights.map((own) => weight * own));
      return joined(layout.feeds, { weights });
    },
    describe,
  };
}

/** Loss, and the means over trained tokens of accuracy and entropy. */
function nextTokenObjective(config: ModelConfig, parameters: Parameters, layout: Layout): Objective {
  const weights = input('weights', [layout.size]);
  const { logProbs, isFirstChoice, entropy } = tokenStatistics(config, parameters, layout);
  return {
    loss: negativeLogLikelihood(logProbs, weights),
    measures: {
      tokenAccuracy: total(multiply(isFirstChoice, weights)),
      entropy: total(multiply(entropy, weights)),
    },
  };
}
