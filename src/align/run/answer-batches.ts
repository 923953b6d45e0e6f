// Micro-batches of answers that are compared with each other: both of a pair, all of a ranking. The answers of a row
// stay in one micro-batch, packed into windows with those of other rows; what belongs to an answer or a row is fed by
// slots, of which a run has always as many, so that fewer sizes vary.

import { input, matmul, reshape } from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import type { Feeds } from '../../engine/runtime/backend.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import type { Parameters } from '../../language/model/forward.ts';
import { judgeTargets, windowInputs, windowStates } from '../../language/model/full-pass.ts';
import { scalarHead } from '../../language/model/scalar-head.ts';
import {
  lastPlaces,
  type PackedSequences,
  packSequences,
  padded,
  roomFor,
  targetsOf,
} from '../data/packed-sequences.ts';
import { type BatchLimits, batchesWithin } from '../data/packing.ts';
import type { TokenRow } from '../data/token-row.ts';

/** Answers to one prompt. */
export interface AnswerRow {
  answers: readonly TokenRow[];
}

export interface AnswerBatch<Row extends AnswerRow> {
  rows: readonly Row[];
  /** Rows that there is room for (B) and answers of each (K); answer k of row i has the slot k·B + i. */
  shape: { B: number; K: number };
  sequences: readonly TokenRow[];
  packed: PackedSequences;
  /** Of the windows; batches of one key have windows of the same shape. */
  key: string;
}

export interface AnswerLimits extends BatchLimits {
  /** Rows of a step (B). */
  slots: number;
}

/** Rows of a step, those of as many answers together, in micro-batches. */
export function answerBatches<Row extends AnswerRow>(
  rows: readonly Row[],
  limits: AnswerLimits,
): AnswerBatch<Row>[] {
  const counts = [...new Set(rows.map(({ answers }) => answers.length))].sort((a, b) => a - b);
  return counts.flatMap((count) =>
    Array.from(
      batchesWithin(
        rows.filter(({ answers }) => answers.length === count),
        ({ answers }) => answers.map(({ ids }) => ids.length),
        limits,
      ),
      (own) => layOutRows(own, limits),
    ),
  );
}

function layOutRows<Row extends AnswerRow>(rows: readonly Row[], limits: AnswerLimits): AnswerBatch<Row> {
  const [B, K] = [limits.slots, rows[0].answers.length];
  const sequences = Array.from({ length: K }, (_, k) => rows.map(({ answers }) => answers[k])).flat();
  const packed = packSequences(sequences, limits.mostLength);
  return { rows, shape: { B, K }, sequences, packed, key: `${packed.windows}×${packed.length}, ${K}×${B}` };
}

/** A number of each answer, [K·B]; `otherwise` in the slots that stay empty. */
export function answerFeed<Row extends AnswerRow>(
  { rows, shape: { B, K } }: AnswerBatch<Row>,
  numberOf: (row: Row, k: number) => number,
  otherwise = 0,
): Float32Array {
  const values = new Float32Array(K * B).fill(otherwise);
  rows.forEach((row, i) => {
    for (let k = 0; k < K; k++) values[k * B + i] = numberOf(row, k);
  });
  return values;
}

/** A number of each row, [B]; 0 in the slots that stay empty. */
export function rowFeed<Row extends AnswerRow>(
  { rows, shape: { B } }: AnswerBatch<Row>,
  numberOf: (row: Row) => number,
): Float32Array {
  const values = new Float32Array(B);
  rows.forEach((row, i) => {
    values[i] = numberOf(row);
  });
  return values;
}

/** What a graph is asked of the answers of a batch. */
export interface AnswerQuestion {
  key: string;
  feeds: () => Feeds;
  /** @returns [K·B]; whatever in empty slots, but finite */
  answer: (config: ModelConfig, parameters: Parameters) => Tensor;
}

/** Σ log π of each answer's trained tokens, nats; 0 in empty slots. */
export function askLogProbs<Row extends AnswerRow>(batch: AnswerBatch<Row>): AnswerQuestion {
  const { sequences, packed, rows, shape } = batch;
  const { sources, targets, owners } = targetsOf(sequences, packed.starts);
  const [S, M] = [shape.K * shape.B, roomFor(sources.length)];
  return {
    key: `${batch.key}, ${M} targets`,
    feeds() {
      const membership = new Float32Array(S * M);
      owners.forEach((owner, target) => {
        membership[slotOf(owner, rows.length, shape.B) * M + target] = 1;
      });
      return { ...packed.feeds, sources: padded(sources, M), targets: padded(targets, M), membership };
    },
    answer(config, parameters) {
      const sources = input('sources', [M], 'int');
      const hidden = windowStates(config, parameters, windowInputs(packed), sources);
      const { logProbs } = judgeTargets(config, parameters, hidden, input('targets', [M], 'int'));
      return reshape(matmul(input('membership', [S, M]), reshape(logProbs, [M, 1])), [S]);
    },
  };
}

/** The scalar head at each answer's last token; that of the first token of all in empty slots. */
export function askScores<Row extends AnswerRow>(batch: AnswerBatch<Row>): AnswerQuestion {
  const { sequences, packed, rows, shape } = batch;
  const S = shape.K * shape.B;
  return {
    key: batch.key,
    feeds() {
      const places = new Int32Array(S);
      lastPlaces(sequences, packed.starts).forEach((place, i) => {
        places[slotOf(i, rows.length, shape.B)] = place;
      });
      return { ...packed.feeds, places };
    },
    answer(config, parameters) {
      const last = input('places', [S], 'int');
      return scalarHead(parameters, windowStates(config, parameters, windowInputs(packed), last));
    },
  };
}

/** Sequences stand without gaps, slots with room for rows that are not there. */
const slotOf = (sequence: number, rows: number, B: number): number =>
  Math.floor(sequence / rows) * B + (sequence % rows);

/** Tokens of rows, padding not counted. */
export function countTokens(rows: readonly AnswerRow[]): number {
  return rows.reduce((sum, { answers }) => sum + answers.reduce((own, { ids }) => own + ids.length, 0), 0);
}
