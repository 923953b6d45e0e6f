// An update from rollouts: the batches that were laid out when the statistics were computed, and numbers of their tokens
// and completions beside them.

import { input } from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import type { MicroBatch } from '../../engine/optimizer/update-step.ts';
import { Random } from '../../engine/random.ts';
import { joined } from '../../engine/runtime/backend.ts';
import { joinRows, type TokenBatch } from '../scoring/layout.ts';
import type { MiniBatch } from './statistics.ts';

/** The mini-batches in every pass over them, in an order that seed and step decide. */
export function* passesOver(
  miniBatches: readonly MiniBatch[],
  { seed, step, passes }: { seed: number; step: number; passes: number },
): Iterable<MiniBatch> {
  const random = new Random(seed, 'rollouts');
  for (let pass = 0; pass < passes; pass++) {
    for (const i of random.permutation(miniBatches.length, step * passes + pass)) yield miniBatches[i];
  }
}

/** The batches of a mini-batch with a function that cuts a list of all completions to a batch's own. */
export function eachBatch<Result>(
  { from, batches }: MiniBatch,
  make: (batch: TokenBatch, own: <T>(all: readonly T[]) => T[]) => Result,
): Result[] {
  let start = from;
  return batches.map((batch) => {
    const [first, end] = [start, start + batch.rows.length];
    start = end;
    return make(batch, (all) => all.slice(first, end));
  });
}

type PerToken = readonly ArrayLike<number>[];

/** @param numbers a row per completion of the batch; each that is given becomes an input [M], 0 on padding */
export function tokenMicroBatch<Numbers extends { [Name in keyof Numbers]?: PerToken }>(
  batch: TokenBatch,
  numbers: Numbers,
  graph: (
    parameters: Parameters<MicroBatch['graph']>[0],
    given: { [Name in keyof Numbers]: Tensor },
  ) => ReturnType<MicroBatch['graph']>,
): MicroBatch {
  const rows = Object.entries<PerToken>(numbers as Record<string, PerToken>);
  const names = rows.map(([name]) => name);
  return {
    key: `${batch.key}, ${names.join()}`,
    feeds: () =>
      joined(batch.feeds, Object.fromEntries(rows.map(([name, own]) => [name, joinRows(batch, own)]))),
    graph(parameters) {
      const inputs = Object.fromEntries(names.map((name) => [name, input(name, [batch.size])]));
      return graph(parameters, inputs as { [Name in keyof Numbers]: Tensor });
    },
    describe: () => batch.rows.map(({ source: { file, line } }) => `${file}:${line}`).join(', '),
  };
}

/** A row that says the same of each of a completion's tokens. */
export const onEveryToken = (values: readonly number[], like: PerToken): Float64Array[] =>
  like.map((row, i) => new Float64Array(row.length).fill(values[i]));

/** 1 where a token belongs to a completion, [B, M]. */
export function membershipOf({ rows, size }: TokenBatch): Float32Array {
  const membership = new Float32Array(rows.length * size);
  let token = 0;
  rows.forEach(({ isTrained }, b) => {
    for (let t = 1; t < isTrained.length; t++) if (isTrained[t]) membership[b * size + token++] = 1;
  });
  return membership;
}
