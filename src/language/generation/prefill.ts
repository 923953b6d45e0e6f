// Prompts through the model: several a run, padded behind, long ones in chunks. What comes out is kept until every
// sample of the prompt has started from it.

import type { ModelConfig } from '../model/config.ts';
import type { RowCache } from './key-value-cache.ts';
import { bucketOf, type PassRunner, scoresOf } from './passes.ts';
import type { GenerationRequest } from './request.ts';
import type { NextTokenScores } from './sampling.ts';

/** A prompt that has been computed: a row of a cache, and the scores of the first token of its completions. */
export interface Prefilled {
  cache: RowCache;
  row: number;
  scores: NextTokenScores;
}

const chunkLength = 256;
/** At most this many tokens go through the model in one run. */
const tokensPerRun = 2048;

/** Computes the prompts of these requests, in the same order. */
export async function prefill(
  requests: readonly GenerationRequest[],
  config: ModelConfig,
  runner: PassRunner,
): Promise<Prefilled[]> {
  const results: Prefilled[] = new Array(requests.length);
  const byLength = requests
    .map((_, i) => i)
    .sort((a, b) => requests[a].promptIds.length - requests[b].promptIds.length);
  while (byLength.length > 0) {
    const group = byLength.splice(-groupSize(byLength.length, requests[byLength.at(-1)!].promptIds.length));
    const computed = await prefillTogether(
      group.map((i) => requests[i]),
      config,
      runner,
    );
    group.forEach((i, row) => {
      results[i] = computed[row];
    });
  }
  return results;
}

/** As many prompts as fill a run: at least half of a bucket, so that padding rows stay few. */
function groupSize(waiting: number, longest: number): number {
  const length = lengthBucket(Math.min(longest, chunkLength));
  let most = 1;
  while (4 * most * length <= tokensPerRun) most *= 4;
  if (waiting >= most) return most;
  const rows = rowBucket(waiting);
  return waiting > rows / 2 ? waiting : rows / 4;
}

/** Few sizes, as each is compiled: 1, 4, 16, … */
function rowBucket(rows: number): number {
  let bucket = 1;
  while (bucket < rows) bucket *= 4;
  return bucket;
}
/** 16, 32, 64, then in steps of 32: prompts are much alike, and padding is what costs. */
const lengthBucket = (length: number): number =>
  length <= 64 ? bucketOf(length, 16) : Math.ceil(length / 32) * 32;

async function prefillTogether(
  requests: readonly GenerationRequest[],
  config: ModelConfig,
  runner: PassRunner,
): Promise<Prefilled[]> {
  const longest = Math.max(...requests.map(({ promptIds }) => promptIds.length));
  const cache = runner.newCache(rowBucket(requests.length));
  const scores: NextTokenScores[] = [];
  for (let start = 0; start < longest; start += chunkLength) {
    const length = lengthBucket(Math.min(chunkLength, longest - start));
    const chunks = requests.map(({ promptIds }) => promptIds.slice(start, start + length));
    const outputs = await runner.run(
      { rows: cache.rows, length, blocks: cache.filledBlocks },
      { ...cache.feeds(cache.rows), ...promptFeeds(requests, chunks, cache.rows, length) },
      cache.targets(cache.rows, length),
    );
    await cache.append(
      outputs,
      length,
      chunks.map((chunk) => chunk.length),
    );
    chunks.forEach((chunk, row) => {
      if (chunk.length === 0) return;
      scores[row] = copyScores(scoresOf(outputs, row, config.vocabularySize));
    });
  }
  return requests.map((_, row) => ({ cache, row, scores: scores[row] }));
}

function promptFeeds(
  requests: readonly GenerationRequest[],
  chunks: readonly (readonly number[])[],
  rows: number,
  length: number,
) {
  const tokens = new Int32Array(rows * length);
  const lastTokens = new Int32Array(rows);
  const inverseTemperature = new Float32Array(rows).fill(1);
  chunks.forEach((chunk, row) => {
    tokens.set(chunk, row * length);
    lastTokens[row] = row * length + Math.max(0, chunk.length - 1);
    inverseTemperature[row] = inverseTemperatureOf(requests[row]);
  });
  return { tokens, lastTokens, inverseTemperature };
}

/** At temperature 0 the tempered probabilities are not read, and any factor will do. */
export const inverseTemperatureOf = ({ sampling: { temperature } }: GenerationRequest): number =>
  temperature === 0 ? 1 : 1 / temperature;

function copyScores({ logits, probabilities, logNormaliser }: NextTokenScores): NextTokenScores {
  return { logits: logits.slice(), probabilities: probabilities.slice(), logNormaliser };
}
