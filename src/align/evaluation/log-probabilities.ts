// Log-probabilities of many sequences under one model: packed into windows, several windows a run, the output head
// only where there is a target.

import { input } from '../../engine/graph/build.ts';
import type { Backend, Feeds, Program } from '../../engine/runtime/backend.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import { parameterInputs } from '../../language/model/forward.ts';
import {
  judgeTargets,
  type WindowShape,
  windowInputs,
  windowStates,
} from '../../language/model/full-pass.ts';
import { buildWindow, planWindows, type Window } from '../data/packing.ts';
import type { TokenRow } from '../data/token-row.ts';

export interface ScoringOptions {
  /** Positions a run, at least one window. */
  batchTokens: number;
  /** After each run: tokens done, padding not counted. */
  onProgress?: (tokens: number) => void;
  signal?: AbortSignal;
}

/** Windows are powers of two from here on, or the context: short rows share one, long ones cost no more than theirs. */
const shortestWindow = 128;
/** Target counts of full runs are rounded up to so many parts, so that there are few shapes to compile. */
const targetSizes = 8;

/**
 * The log-probability of the targets (`isTrained`) of each sequence, summed in float64.
 * @param sequences none longer than the model's context
 * @returns nats, in the order of the sequences; 0 for one without a target
 * @throws the signal's reason when it aborts
 */
export async function sequenceLogProbs(
  backend: Backend,
  model: { config: ModelConfig; parameters: ReadonlyMap<string, Float32Array> },
  sequences: readonly TokenRow[],
  options: ScoringOptions,
): Promise<Float64Array> {
  const sums = new Float64Array(sequences.length);
  const weights: Feeds = Object.fromEntries(model.parameters);
  let tokens = 0;
  for (const [length, members] of byWindowLength(sequences, model.config.maxPositions)) {
    const programs = new Map<string, Program>();
    try {
      for (const batch of batchesOf(sequences, members, length, options.batchTokens)) {
        options.signal?.throwIfAborted();
        const key = `${batch.shape.windows}, ${batch.feeds.sources.length}`;
        const program = programs.get(key) ?? (await compile(backend, model.config, batch));
        programs.set(key, program);
        const { logProbs } = await program.run({ ...weights, ...batch.feeds });
        batch.owners.forEach((owner, i) => {
          sums[owner] += logProbs[i];
        });
        tokens += batch.tokens;
        options.onProgress?.(tokens);
      }
    } finally {
      for (const program of programs.values()) await program.release();
    }
  }
  return sums;
}

/** Indices of the sequences by the length of the window that they go into, shortest first. */
function byWindowLength(sequences: readonly TokenRow[], context: number): [number, number[]][] {
  const groups = new Map<number, number[]>();
  for (const [index, { ids }] of sequences.entries()) {
    const length = Math.min(context, Math.max(shortestWindow, 2 ** Math.ceil(Math.log2(ids.length))));
    const group = groups.get(length);
    if (group) group.push(index);
    else groups.set(length, [index]);
  }
  return [...groups].sort(([a], [b]) => a - b);
}

interface Batch {
  shape: WindowShape;
  feeds: Record<'tokens' | 'positions' | 'segments' | 'sources' | 'targets', Int32Array>;
  /** Of each target, which sequence it belongs to; the targets after these fill up the shape. */
  owners: number[];
  tokens: number;
}

function* batchesOf(
  sequences: readonly TokenRow[],
  members: readonly number[],
  length: number,
  batchTokens: number,
): Iterable<Batch> {
  const mostWindows = Math.max(1, Math.floor(batchTokens / length));
  const plan = planWindows(
    members.map((index) => sequences[index].ids.length),
    length,
  ).map((window) => window.map((place) => members[place]));
  for (let start = 0; start < plan.length; start += mostWindows) {
    const own = plan.slice(start, start + mostWindows);
    const windows = Math.min(mostWindows, 2 ** Math.ceil(Math.log2(own.length)));
    const padded = [...own, ...Array.from({ length: windows - own.length }, () => [])];
    yield batchOf(sequences, padded, length);
  }
}

function batchOf(sequences: readonly TokenRow[], plan: readonly number[][], length: number): Batch {
  const windows = plan.map((members) =>
    buildWindow(
      members.map((index) => sequences[index]),
      length,
    ),
  );
  const judged = windows.flatMap((window, w) =>
    targetsOf(window).map((place) => ({
      owner: plan[w][window.segments[place]],
      source: w * length + place,
      target: window.targets[place],
    })),
  );
  const part = Math.ceil((windows.length * length) / targetSizes);
  const size = Math.max(1, Math.ceil(judged.length / part)) * part;
  const filled = (values: number[]) => Int32Array.from({ length: size }, (_, i) => values[i] ?? 0);
  return {
    shape: { windows: windows.length, length },
    feeds: {
      tokens: joined(windows.map(({ ids }) => ids)),
      positions: joined(windows.map(({ positions }) => positions)),
      segments: joined(windows.map(({ segments }) => segments)),
      sources: filled(judged.map(({ source }) => source)),
      targets: filled(judged.map(({ target }) => target)),
    },
    owners: judged.map(({ owner }) => owner),
    tokens: plan.flat().reduce((count, index) => count + sequences[index].ids.length, 0),
  };
}

function joined(parts: readonly Int32Array[]): Int32Array {
  const whole = new Int32Array(parts.length * parts[0].length);
  parts.forEach((part, i) => {
    whole.set(part, i * part.length);
  });
  return whole;
}

function targetsOf({ weights }: Window): number[] {
  return Array.from(weights.keys()).filter((place) => weights[place] > 0);
}

function compile(backend: Backend, config: ModelConfig, { shape, feeds }: Batch): Promise<Program> {
  const parameters = parameterInputs(config);
  const hidden = windowStates(config, parameters, windowInputs(shape));
  const count = [feeds.sources.length];
  const places = { sources: input('sources', count, 'int'), targets: input('targets', count, 'int') };
  return backend.compile({ logProbs: judgeTargets(config, parameters, hidden, places).logProbs });
}
