// What a model says of many whole sequences: packed into windows, several windows a run, each head only where it is
// asked for.

import { input } from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import type { Backend, Feeds, Program } from '../../engine/runtime/backend.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import { type Parameters, parameterInputs } from '../../language/model/forward.ts';
import { judgeTargets, windowInputs, windowStates } from '../../language/model/full-pass.ts';
import { headBias, scalarHead, scalarHeadInputs } from '../../language/model/scalar-head.ts';
import {
  lastPlaces,
  layOut,
  type PackedSequences,
  padded,
  roundUp,
  targetsOf,
} from '../data/packed-sequences.ts';
import { planWindows } from '../data/packing.ts';
import type { TokenRow } from '../data/token-row.ts';

export interface ScoringOptions {
  /** Positions a run, at least one window. */
  batchTokens: number;
  /** Of the distribution that log-probabilities are taken under, > 0. Default 1. */
  temperature?: number;
  /** After each run: tokens done, padding not counted. */
  onProgress?: (tokens: number) => void;
  signal?: AbortSignal;
  /** Where compiled programs are kept from call to call, for a caller that releases them; of one model and one question. */
  programs?: Map<string, Program>;
}

interface ScoredModel {
  config: ModelConfig;
  parameters: ReadonlyMap<string, Float32Array>;
}

/** Windows are powers of two from here on, or the context. */
const shortestWindow = 128;
/** At about this length the attention of a window costs as much as all else. */
const dearWindow = 2048;
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
  model: ScoredModel,
  sequences: readonly TokenRow[],
  options: ScoringOptions,
): Promise<Float64Array> {
  const sums = new Float64Array(sequences.length);
  await score(backend, model, sequences, options, ({ rows, members, packed }) => {
    const { sources, targets, owners } = targetsOf(rows, packed.starts);
    const size = roundUp(sources.length, Math.ceil((packed.windows * packed.length) / targetSizes));
    return {
      feeds: { sources: padded(sources, size), targets: padded(targets, size) },
      graph(config, states) {
        const parameters = parameterInputs(config);
        const hidden = states(parameters, input('sources', [size], 'int'));
        const targets = input('targets', [size], 'int');
        const { logProbs } = judgeTargets(config, parameters, hidden, targets, options.temperature);
        return { answer: logProbs };
      },
      take(logProbs) {
        owners.forEach((owner, i) => {
          sums[members[owner]] += logProbs[i];
        });
      },
    };
  });
  return sums;
}

/**
 * A reward model's raw score of each sequence, read at its last token.
 * @param model kind `reward` or `value`
 * @param sequences none longer than the model's context
 * @returns in the order of the sequences
 * @throws the signal's reason when it aborts
 */
export async function sequenceScores(
  backend: Backend,
  model: ScoredModel,
  sequences: readonly TokenRow[],
  options: ScoringOptions,
): Promise<Float64Array> {
  const scores = new Float64Array(sequences.length);
  const hasBias = model.parameters.has(headBias);
  await score(backend, model, sequences, options, ({ rows, members, packed }) => {
    const size = roundUp(rows.length, packed.windows);
    return {
      feeds: { places: padded([...lastPlaces(rows, packed.starts)], size) },
      graph(config, states) {
        const parameters = scalarHeadInputs(config, { hasBias });
        return { answer: scalarHead(parameters, states(parameters, input('places', [size], 'int'))) };
      },
      take(values) {
        members.forEach((member, i) => {
          scores[member] = values[i];
        });
      },
    };
  });
  return scores;
}

interface Batch {
  /** Places of the batch's sequences among all, and the sequences themselves. */
  members: readonly number[];
  rows: readonly TokenRow[];
  packed: PackedSequences;
}

interface Question {
  feeds: Readonly<Record<string, Int32Array>>;
  graph: (
    config: ModelConfig,
    states: (parameters: Parameters, places: Tensor) => Tensor,
  ) => { answer: Tensor };
  take: (answer: ArrayLike<number>) => void;
}

async function score(
  backend: Backend,
  { config, parameters }: ScoredModel,
  sequences: readonly TokenRow[],
  { batchTokens, onProgress, signal, programs: kept }: ScoringOptions,
  ask: (batch: Batch) => Question,
): Promise<void> {
  const weights: Feeds = Object.fromEntries(parameters);
  const programs = kept ?? new Map<string, Program>();
  let tokens = 0;
  for (const [length, members] of byWindowLength(sequences, config.maxPositions)) {
    try {
      for (const batch of batchesOf(sequences, members, length, batchTokens)) {
        signal?.throwIfAborted();
        const { feeds, graph, take } = ask(batch);
        const { windows } = batch.packed;
        const key = [length, windows, ...Object.values(feeds).map((values) => values.length)].join();
        const inputs = windowInputs({ windows, length });
        const states = (own: Parameters, places: Tensor) => windowStates(config, own, inputs, places);
        const compile = () => backend.compile(graph(config, states));
        const program = programs.get(key) ?? (await compile());
        programs.set(key, program);
        const { answer } = await program.run({ ...weights, ...batch.packed.feeds, ...feeds });
        take(answer);
        tokens += batch.rows.reduce((count, { ids }) => count + ids.length, 0);
        onProgress?.(tokens);
      }
    } finally {
      if (!kept) await releaseAll(programs);
    }
  }
}

export async function releaseAll(programs: Map<string, Program>): Promise<void> {
  for (const program of programs.values()) await program.release();
  programs.clear();
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
  return [...groups]
    .sort(([a], [b]) => a - b)
    .map(([length, members]) => [
      cheaperWindow(sequences, members, [length, Math.min(context, 2 * length)]),
      members,
    ]);
}

/** Rows little longer than half a window leave it half empty; in one of twice the length three find room. */
function cheaperWindow(
  sequences: readonly TokenRow[],
  members: readonly number[],
  [shorter, longer]: readonly [number, number],
): number {
  const lengths = members.map((index) => sequences[index].ids.length);
  const cost = (length: number) => planWindows(lengths, length).length * length * (1 + length / dearWindow);
  return cost(longer) < cost(shorter) ? longer : shorter;
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
  );
  for (let start = 0; start < plan.length; start += mostWindows) {
    const own = plan.slice(start, start + mostWindows);
    const windows = Math.min(mostWindows, 2 ** Math.ceil(Math.log2(own.length)));
    const places = own.flat();
    const rows = places.map((place) => sequences[members[place]]);
    let next = 0;
    const ownPlan = Array.from({ length: windows }, (_, w) => (own[w] ?? []).map(() => next++));
    yield { members: places.map((place) => members[place]), rows, packed: layOut(rows, ownPlan, length) };
  }
}
