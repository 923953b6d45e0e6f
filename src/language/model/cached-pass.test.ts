// The cached pass against the whole-row pass, both in float64: what stays is the order of summation.

import { describe, expect, it } from 'vitest';
import { type Feeds, interpret } from '../../engine/runtime/reference.ts';
import { cachedNames, cachedPass, newNames } from './cached-pass.ts';
import type { ModelConfig } from './config.ts';
import { outputLogits } from './forward.ts';
import { windowInputs, windowStates } from './full-pass.ts';
import { baseInputs } from './testing/base-inputs.ts';
import { tinyConfigs, tinyParameters, tinyPrompt } from './testing/tiny-models.ts';

/** Two blocks: five places and three. */
const blocks = [5, 3];

function logitsOfFullPass(config: ModelConfig, weights: Feeds, ids: readonly number[]): Float64Array[] {
  const length = ids.length;
  const parameters = baseInputs(config);
  const hidden = windowStates(config, parameters, windowInputs({ windows: 1, length }));
  const { logits } = interpret(
    { logits: outputLogits(config, parameters, hidden) },
    { ...weights, tokens: ids, positions: ids.map((_, i) => i), segments: ids.map(() => 0) },
  );
  const V = config.vocabularySize;
  return ids.map((_, i) => logits.slice(i * V, (i + 1) * V));
}

/** Two rows advance together, each with its own number of cached tokens. */
class TwoRows {
  private readonly config: ModelConfig;
  private readonly weights: Feeds;
  private readonly lengths = [0, 0];
  private readonly caches: Record<string, Float64Array> = {};

  constructor(config: ModelConfig, weights: Feeds) {
    this.config = config;
    this.weights = weights;
    for (let layer = 0; layer < config.layers; layer++) {
      blocks.forEach((places, block) => {
        const size = 2 * config.keyValueHeads * places * config.headSize;
        // What lies in unfilled places must not matter.
        for (const name of Object.values(cachedNames(layer, block))) {
          this.caches[name] = new Float64Array(size).fill(7);
        }
      });
    }
  }

  advance(chunks: readonly (readonly number[])[], blocks: readonly number[]): Record<string, Float64Array> {
    const length = Math.max(...chunks.map((chunk) => chunk.length));
    const outputs = interpret(
      cachedPass({ config: this.config, parameters: new Map() }, { rows: 2, length, blocks }),
      {
        ...this.weights,
        ...this.caches,
        tokens: chunks.flatMap((chunk) => [...chunk, ...new Array(length - chunk.length).fill(0)]),
        cachedLengths: this.lengths,
        lastTokens: chunks.map((chunk, row) => row * length + chunk.length - 1),
        inverseTemperature: [2, 0.5],
      },
    );
    chunks.forEach((chunk, row) => {
      for (let i = 0; i < chunk.length; i++) this.append(outputs, row, i, length);
      this.lengths[row] += chunk.length;
    });
    return outputs;
  }

  private append(outputs: Record<string, Float64Array>, row: number, token: number, length: number): void {
    const { layers, keyValueHeads, headSize } = this.config;
    const at = this.lengths[row] + token;
    const [block, place] = at < blocks[0] ? [0, at] : [1, at - blocks[0]];
    for (let layer = 0; layer < layers; layer++) {
      const [from, to] = [newNames(layer), cachedNames(layer, block)];
      for (let head = 0; head < keyValueHeads; head++) {
        const stack = row * keyValueHeads + head;
        const source = (stack * length + token) * headSize;
        const target = (stack * blocks[block] + place) * headSize;
        for (const kind of ['keys', 'values'] as const) {
          this.caches[to[kind]].set(outputs[from[kind]].subarray(source, source + headSize), target);
        }
      }
    }
  }
}

function expectClose(actual: Float64Array, expected: Float64Array): void {
  actual.forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i], 10);
  });
}

describe.each(Object.entries(tinyConfigs))('%s', (_family, config: ModelConfig) => {
  const weights = Object.fromEntries(tinyParameters(config));
  const ids = [tinyPrompt(config, 7, 1), tinyPrompt(config, 6, 2)];
  const expected = ids.map((row) => logitsOfFullPass(config, weights, row));
  const rows = new TwoRows(config, weights);
  const V = config.vocabularySize;
  const passes = [
    { title: 'first tokens of rows of different length', ends: [4, 2], cached: [] },
    { title: 'a chunk behind cached tokens', ends: [6, 5], cached: blocks.slice(0, 1) },
    { title: 'one token behind cached tokens', ends: [7, 6], cached: blocks },
  ];
  const starts = [0, 0];

  it.each(passes)('gives the whole-row logits for $title', ({ ends, cached }) => {
    const { logits, probabilities, logNormaliser } = rows.advance(
      ids.map((row, r) => row.slice(starts[r], ends[r])),
      cached,
    );
    ends.forEach((end, r) => {
      starts[r] = end;
      const full = expected[r][end - 1];
      expectClose(logits.slice(r * V, (r + 1) * V), full);
      expect(logNormaliser[r]).toBeCloseTo(Math.log(full.reduce((sum, x) => sum + Math.exp(x), 0)), 10);
      const odds = Math.exp((full[3] - full[8]) * [2, 0.5][r]);
      expect(probabilities[r * V + 3] / probabilities[r * V + 8]).toBeCloseTo(odds, 8);
    });
  });
});

it('gives the same when the pass appends its tokens to the cache', () => {
  const config = tinyConfigs.qwen3;
  const weights = { config, parameters: tinyParameters(config) };
  const { keyValueHeads, headSize, layers } = config;
  const [shape, lengths] = [{ rows: 2, length: 1, blocks: [8] }, [5, 0]];
  const names = Array.from({ length: layers }, (_, layer) => Object.values(cachedNames(layer, 0))).flat();
  const size = 2 * keyValueHeads * 8 * headSize;
  const feeds = {
    ...Object.fromEntries(tinyParameters(config)),
    ...Object.fromEntries(
      names.map((name, n) => [name, Array.from({ length: size }, (_, i) => Math.sin(i + n))]),
    ),
    tokens: [3, 4],
    cachedLengths: lengths,
    inverseTemperature: [1, 1],
  };
  const joined = interpret(cachedPass(weights, shape), feeds);
  const appended = interpret(cachedPass(weights, { ...shape, isAppending: true }), feeds);
  expectClose(appended.logits, joined.logits);
  for (const name of Object.values(newNames(0))) {
    for (let stack = 0; stack < 2 * keyValueHeads; stack++) {
      const at = (stack * 8 + lengths[Math.floor(stack / keyValueHeads)]) * headSize;
      const token = joined[name].slice(stack * headSize, (stack + 1) * headSize);
      expectClose(appended[name].slice(at, at + headSize), token);
    }
  }
});
