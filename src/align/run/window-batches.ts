// Windows to micro-batches of the next-token objective. Only positions that have a target reach the output head.

import { input, multiply, total } from '../../engine/graph/build.ts';
import type { MicroBatch, Objective } from '../../engine/optimizer/update-step.ts';
import { joined } from '../../engine/runtime/backend.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import type { Parameters } from '../../language/model/forward.ts';
import { judgeTargets, windowInputs, windowStates } from '../../language/model/full-pass.ts';
import { joinWindows, roomFor } from '../data/packed-sequences.ts';
import type { Window } from '../data/packing.ts';
import { negativeLogLikelihood } from '../objectives/likelihood.ts';

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
): MicroBatch[] {
  const trained = windows.reduce((count, { weights }) => count + countTargets(weights), 0);
  if (trained === 0) return [];
  const length = windows[0].ids.length;
  const perBatch = Math.max(1, Math.floor(microBatchTokens / length));
  const batches: MicroBatch[] = [];
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
): MicroBatch {
  const length = windows[0].ids.length;
  const shape = { windows: windows.length, length };
  const places = placesOfTargets(windows);
  const M = roomFor(places.length);
  return {
    key: `${shape.windows}×${length}, ${M} targets`,
    graph: (parameters) => nextTokenObjective(config, parameters, shape, M),
    feeds() {
      const [sources, targets, weights] = [new Int32Array(M), new Int32Array(M), new Float32Array(M)];
      places.forEach(({ window, position }, i) => {
        sources[i] = window * length + position;
        targets[i] = windows[window].targets[position];
        weights[i] = weight * windows[window].weights[position];
      });
      return joined(joinWindows(windows), { sources, targets, weights });
    },
    describe,
  };
}

function placesOfTargets(windows: readonly Window[]): { window: number; position: number }[] {
  return windows.flatMap(({ weights }, window) =>
    Array.from(weights.keys())
      .filter((position) => weights[position] > 0)
      .map((position) => ({ window, position })),
  );
}

/** Loss, and the means over trained tokens of accuracy and entropy, from inputs named as a window's arrays. */
function nextTokenObjective(
  config: ModelConfig,
  parameters: Parameters,
  shape: { windows: number; length: number },
  targetCount: number,
): Objective {
  const sources = input('sources', [targetCount], 'int');
  const hidden = windowStates(config, parameters, windowInputs(shape), sources);
  const targets = input('targets', [targetCount], 'int');
  const weights = input('weights', [targetCount]);
  const { logProbs, isFirstChoice, entropy } = judgeTargets(config, parameters, hidden, targets);
  return {
    loss: negativeLogLikelihood(logProbs, weights),
    measures: {
      tokenAccuracy: total(multiply(isFirstChoice, weights)),
      entropy: total(multiply(entropy, weights)),
    },
  };
}
