import { describe, expect, it } from 'vitest';
import { input } from '../../engine/graph/build.ts';
import { gradients } from '../../engine/graph/gradients.ts';
import type { MicroBatch } from '../../engine/optimizer/update-step.ts';
import type { Backend, Feeds, Program } from '../../engine/runtime/backend.ts';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { interpret } from '../../engine/runtime/reference.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import { outputLogits, type Parameters } from '../../language/model/forward.ts';
import { targetStatistics, windowInputs, windowStates } from '../../language/model/full-pass.ts';
import { baseInputs } from '../../language/model/testing/base-inputs.ts';
import { buildWindow, type Window } from '../data/packing.ts';
import type { TokenRow } from '../data/token-row.ts';
import { randomParameters, tinyConfig } from './testing/tiny-run.ts';
import { windowMicroBatches } from './window-batches.ts';

/** A prompt and a completion of given lengths, of tokens that no other row has in this order. */
function row(seed: number, prompt: number, completion: number): TokenRow {
  const length = prompt + completion;
  return {
    ids: Int32Array.from({ length }, (_, i) => 3 + ((seed * 37 + i * (11 + seed)) % 280)),
    isTrained: Uint8Array.from({ length }, (_, i) => Number(i >= prompt)),
    source: { file: 'rows', line: seed },
  };
}

// Eight rows of very different length and share of trained tokens.
const rows = [
  ...[row(1, 3, 20), row(2, 12, 1), row(3, 5, 5), row(4, 1, 9), row(5, 20, 2), row(6, 4, 17), row(7, 8, 8)],
  row(8, 2, 1),
];
const alone = (members: readonly TokenRow[], length = 24): Window[] =>
  members.map((member) => buildWindow([member], length));
const packed = [buildWindow(rows.slice(0, 4), 64), buildWindow(rows.slice(4), 64)];

interface Outcome {
  loss: number;
  measures: { tokenAccuracy: number; entropy: number };
  gradients: Record<string, Float64Array>;
}

/** What micro-batches give together, summed as a step sums them. */
async function outcomeOf(
  backend: Backend,
  config: ModelConfig,
  weights: Feeds,
  batches: readonly MicroBatch[],
): Promise<Outcome> {
  const inputs = baseInputs(config);
  const names = Object.keys(inputs);
  const outcome: Outcome = { loss: 0, measures: { tokenAccuracy: 0, entropy: 0 }, gradients: {} };
  const programs = new Map<string, Program>();
  for (const { key, graph, feeds } of batches) {
    const program = programs.get(key) ?? (await compileSlopes(backend, inputs, graph));
    programs.set(key, program);
    const results = await program.run({ ...weights, ...feeds() });
    outcome.loss += results.loss[0];
    outcome.measures.tokenAccuracy += results.tokenAccuracy[0];
    outcome.measures.entropy += results.entropy[0];
    for (const name of names) {
      const sum = outcome.gradients[name] ?? new Float64Array(weights[name].length);
      outcome.gradients[name] = sum;
      results[`d ${name}`].forEach((value, i) => {
        sum[i] += value;
      });
    }
  }
  for (const program of programs.values()) await program.release();
  return outcome;
}

function compileSlopes(backend: Backend, inputs: Parameters, graph: MicroBatch['graph']): Promise<Program> {
  const { loss, measures } = graph(inputs);
  const slopes = gradients(loss, Object.values(inputs));
  const named = Object.fromEntries(Object.keys(inputs).map((name, i) => [`d ${name}`, slopes[i]]));
  return backend.compile({ loss, ...measures, ...named });
}

/** Log-probability of every target by `row line, position`, windows all in one batch. */
async function logProbsOf(config: ModelConfig, weights: Feeds, windows: readonly Window[]) {
  const inputs = baseInputs(config);
  const [batch] = windowMicroBatches(config, windows, 1e6, String);
  const count = batch.feeds().sources.length;
  const hidden = windowStates(
    config,
    inputs,
    windowInputs({ windows: windows.length, length: windows[0].ids.length }),
    input('sources', [count], 'int'),
  );
  const { logProbs } = targetStatistics(config, inputs, hidden, input('targets', [count], 'int'));
  const program = await (await openBackend({ threads: 2 })).compile({ logProbs });
  const results = await program.run({ ...weights, ...batch.feeds() });
  await program.release();
  const ids = windows.flatMap((window) => [...window.ids]);
  const positions = windows.flatMap((window) => [...window.positions]);
  return Array.from(batch.feeds().sources, (place, i) => {
    const name = [ids[place], batch.feeds().targets[i], positions[place]].join(' ');
    return { name, logProb: results.logProbs[i], weight: batch.feeds().weights[i] };
  })
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function expectSame(found: Outcome, expected: Outcome): void {
  expect(Math.abs(found.loss - expected.loss)).toBeLessThan(1e-5 * expected.loss);
  expect(Math.abs(found.measures.entropy - expected.measures.entropy)).toBeLessThan(1e-4);
  expect(found.measures.tokenAccuracy).toBeCloseTo(expected.measures.tokenAccuracy, 6);
  for (const [name, gradient] of Object.entries(expected.gradients)) {
    const largest = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const worst = gradient.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - found.gradients[name][i])),
      0,
    );
    expect(worst, name).toBeLessThanOrEqual(1e-5 * largest);
  }
}

describe.each(['llama', 'qwen3', 'gpt2'] as const)('windows of %s in float32', (family) => {
  // Weights larger than a fresh model's, so that attention is far from uniform.
  const config = tinyConfig(family, { initializerRange: 0.15 });
  const weights = Object.fromEntries(randomParameters(config));
  const name = () => 'rows';
  const compute = async (windows: Window[], microBatchTokens = 1e6) =>
    outcomeOf(
      await openBackend({ threads: 2 }),
      config,
      weights,
      windowMicroBatches(config, windows, microBatchTokens, name),
    );

  it('packed give loss, measures and gradients of unpacked', async () => {
    expectSame(await compute(packed), await compute(alone(rows)));
  });

  it('longer than a stretch of queries give what rows give alone', async () => {
    const more = [...rows, row(9, 20, 40)];
    expectSame(await compute([buildWindow(more, 192)]), await compute(alone(more, 64)));
  });

  it('packed give the log-probability that each token has alone', async () => {
    const together = await logProbsOf(config, weights, packed);
    const unpacked = await logProbsOf(config, weights, alone(rows));
    expect(together.map(({ name }) => name)).toEqual(unpacked.map(({ name }) => name));
    expect(together).toHaveLength(63);
    const largest = Math.max(...unpacked.map(({ logProb }) => Math.abs(logProb)));
    const worst = Math.max(...together.map(({ logProb }, i) => Math.abs(logProb - unpacked[i].logProb)));
    expect(worst).toBeLessThan(1e-5 * largest);
  });

  it('8 in one batch give those of 8 × 1, however unequal their trained tokens', async () => {
    const windows = alone(rows);
    expect(windowMicroBatches(config, windows, 1, name)).toHaveLength(8);
    expectSame(await compute(windows, 1), await compute(windows));
  });

  it('give the same with whatever is in the padding', async () => {
    const dirty = packed.map((window) => ({
      ...window,
      ids: window.ids.map((id, i) => (window.segments[i] < 0 ? 200 + (i % 50) : id)),
      positions: window.positions.map((p, i) => (window.segments[i] < 0 ? i % 64 : p)),
      targets: window.targets.map((target, i) => (window.weights[i] === 0 ? 17 : target)),
    }));
    expectSame(await compute(dirty), await compute(packed));
  });
});

describe('the mean over trained tokens', () => {
  const config = tinyConfig();
  const weights = Object.fromEntries(randomParameters(config));

  it('counts a token of a long completion as much as one of a short', async () => {
    const backend = await openBackend({ threads: 1 });
    const own = (members: readonly TokenRow[]) =>
      outcomeOf(backend, config, weights, windowMicroBatches(config, alone(members), 1, String));
    const long = await own([rows[0]]);
    const short = await own([rows[7]]);
    const both = await own([rows[0], rows[7]]);
    expect(both.loss).toBeCloseTo((20 * long.loss + short.loss) / 21, 5);
    expect(Math.abs(both.loss - (long.loss + short.loss) / 2)).toBeGreaterThan(1e-3);
  });

  it('makes no batch of rows without a target, and skips windows without one', () => {
    const silent = alone([{ ...rows[1], isTrained: new Uint8Array(13) }]);
    expect(windowMicroBatches(config, silent, 1, String)).toEqual([]);
    expect(windowMicroBatches(config, [...silent, ...alone([rows[2]])], 1, String)).toHaveLength(1);
  });
});

describe('accuracy and entropy', () => {
  it("are those of the float64 reference's logits", () => {
    const config = tinyConfig('llama', { initializerRange: 0.3 });
    const weights = Object.fromEntries(randomParameters(config));
    const window = buildWindow(rows.slice(0, 3), 64);
    const inputs = baseInputs(config);
    const hidden = windowStates(config, inputs, windowInputs({ windows: 1, length: 64 }));
    const feeds = { ...weights, tokens: window.ids, positions: window.positions, segments: window.segments };
    const { logits } = interpret({ logits: outputLogits(config, inputs, hidden) }, feeds);
    const places = Array.from(window.weights.keys()).filter((i) => window.weights[i] > 0);
    const V = config.vocabularySize;
    const judged = places.map((place) => judge(logits.slice(place * V, (place + 1) * V) as Float64Array));
    const isFirst = judged.map(({ best }, i) => Number(best === window.targets[places[i]]));

    const [batch] = windowMicroBatches(config, [window], 1e6, String);
    const { measures } = batch.graph(inputs);
    const found = interpret({ ...measures }, { ...weights, ...batch.feeds() });
    expect(found.entropy[0]).toBeCloseTo(mean(judged.map(({ entropy }) => entropy)), 6);
    expect(found.tokenAccuracy[0]).toBeCloseTo(mean(isFirst), 6);
  });

  it('find the share of targets that are ranked first', () => {
    const config = tinyConfig('llama', { initializerRange: 0.3 });
    const weights = Object.fromEntries(randomParameters(config));
    const inputs = baseInputs(config);
    const shape = { windows: 1, length: 24 };
    const [window] = alone([rows[0]]);
    const hidden = windowStates(config, inputs, windowInputs(shape));
    const feeds = { ...weights, tokens: window.ids, positions: window.positions, segments: window.segments };
    const { logits } = interpret({ logits: outputLogits(config, inputs, hidden) }, feeds);
    // Make every second target the model's own first choice.
    const V = config.vocabularySize;
    window.targets.forEach((_, i) => {
      if (i % 2 === 0) window.targets[i] = judge(logits.slice(i * V, (i + 1) * V) as Float64Array).best;
    });
    const [batch] = windowMicroBatches(config, [window], 1e6, String);
    const { measures } = batch.graph(inputs);
    const { tokenAccuracy } = interpret({ ...measures }, { ...weights, ...batch.feeds() });
    expect(tokenAccuracy[0]).toBeCloseTo(0.5, 6);
  });
});

/** Entropy in nats and argmax of one row of logits, straight from the definitions. */
function judge(logits: Float64Array): { entropy: number; best: number } {
  const largest = Math.max(...logits);
  const masses = logits.map((z) => Math.exp(z - largest));
  const total = masses.reduce((sum, mass) => sum + mass, 0);
  const entropy = masses.reduce((sum, mass) => sum - (mass / total) * Math.log(mass / total), 0);
  return { entropy, best: logits.indexOf(largest) };
}

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
