// What a model says of many whole sequences: packed into windows, several windows a run, each head only where it is
// asked for.

import { input } from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import { type Backend, joined } from '../../engine/runtime/backend.ts';
import { ProgramCache } from '../../engine/runtime/program-cache.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import type { Parameters } from '../../language/model/forward.ts';
import { judgeTargets, windowInputs, windowStates } from '../../language/model/full-pass.ts';
import { scalarHead } from '../../language/model/scalar-head.ts';
import { structureOf, type Weights, weightFeeds, weightInputs } from '../../language/model/weights.ts';
import {
  lastPlaces,
  type PackedSequences,
  packSequences,
  padded,
  roomFor,
  targetsOf,
} from '../data/packed-sequences.ts';
import { type BatchLimits, batchesWithin, limitsFor } from '../data/packing.ts';
import type { TokenRow } from '../data/token-row.ts';

export interface ScoringOptions {
  /** Positions a run; a single sequence may have more. */
  batchTokens: number;
  /** Of the distribution that log-probabilities are taken under, > 0. Default 1. */
  temperature?: number;
  /** After each run: tokens done, padding not counted. */
  onProgress?: (tokens: number) => void;
  signal?: AbortSignal;
  /** Where compiled programs are kept from call to call, for a caller that releases them; of one model and one question. */
  programs?: ProgramCache;
}

/**
 * The log-probability of the targets (`isTrained`) of each sequence, summed in float64.
 * @param sequences none longer than the model's context
 * @returns nats, in the order of the sequences; 0 for one without a target
 * @throws the signal's reason when it aborts
 */
export async function sequenceLogProbs(
  backend: Backend,
  model: Weights,
  sequences: readonly TokenRow[],
  options: ScoringOptions,
): Promise<Float64Array> {
  const sums = new Float64Array(sequences.length);
  await score(backend, model, sequences, options, ({ rows, members, packed }) => {
    const { sources, targets, owners } = targetsOf(rows, packed.starts);
    const size = roomFor(sources.length);
    return {
      feeds: { sources: padded(sources, size), targets: padded(targets, size) },
      graph(config, states) {
        const parameters = weightInputs(model);
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
  model: Weights,
  sequences: readonly TokenRow[],
  options: ScoringOptions,
): Promise<Float64Array> {
  const scores = new Float64Array(sequences.length);
  await score(backend, model, sequences, options, ({ rows, members, packed }) => {
    const size = roomFor(rows.length);
    return {
      feeds: { places: padded([...lastPlaces(rows, packed.starts)], size) },
      graph(_config, states) {
        const parameters = weightInputs(model);
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
  model: Weights,
  sequences: readonly TokenRow[],
  { batchTokens, onProgress, signal, programs: kept }: ScoringOptions,
  ask: (batch: Batch) => Question,
): Promise<void> {
  const { config } = model;
  const weights = weightFeeds(model);
  await backend.hold(Object.values(weights));
  const programs = kept ?? new ProgramCache(backend);
  let tokens = 0;
  try {
    for (const batch of batchesByLength(sequences, limitsFor(config, batchTokens))) {
      signal?.throwIfAborted();
      const { feeds, graph, take } = ask(batch);
      const { windows, length } = batch.packed;
      const key = [
        structureOf(model),
        length,
        windows,
        ...Object.values(feeds).map((values) => values.length),
      ].join();
      const states = (own: Parameters, places: Tensor) =>
        windowStates(config, own, windowInputs({ windows, length }), places);
      const program = await programs.get(key, () => graph(config, states));
      const { answer } = await program.run(joined(weights, batch.packed.feeds, feeds));
      take(answer);
      tokens += batch.rows.reduce((count, { ids }) => count + ids.length, 0);
      onProgress?.(tokens);
    }
  } finally {
    backend.drop(Object.values(weights));
    if (!kept) await programs.release();
  }
}

/** Sequences of like lengths together, shortest first. */
function* batchesByLength(sequences: readonly TokenRow[], limits: BatchLimits): Generator<Batch> {
  const order = Array.from(sequences.keys()).sort(
    (a, b) => sequences[a].ids.length - sequences[b].ids.length || a - b,
  );
  for (const members of batchesWithin(order, (index) => [sequences[index].ids.length], limits)) {
    const rows = members.map((index) => sequences[index]);
    yield { members, rows, packed: packSequences(rows, limits.mostLength) };
  }
}
