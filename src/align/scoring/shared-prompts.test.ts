import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { input, multiply, total } from '../../engine/graph/build.ts';
import { gradients } from '../../engine/graph/gradients.ts';
import type { Outputs } from '../../engine/graph/simplify.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import type { Feeds } from '../../engine/runtime/backend.ts';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { interpret } from '../../engine/runtime/reference.ts';
import { loadModel } from '../../language/checkpoint/checkpoint.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import type { Parameters } from '../../language/model/forward.ts';
import { initialHeadWeight } from '../../language/model/scalar-head.ts';
import {
  expectGradient,
  expectLoss,
  expectNear,
  goldenFolder,
  hasGolden,
  readGolden,
} from '../../language/model/testing/golden.ts';
import { type Weights, weightFeeds, weightInputs } from '../../language/model/weights.ts';
import type { TokenRow } from '../data/token-row.ts';
import { randomParameters, tinyConfig } from '../run/testing/tiny-run.ts';
import { completionLogProbs, completionScores, TokenPasses, tokenStatistics, tokenValues } from './heads.ts';
import {
  byRow,
  type CompletionGroup,
  completionBatches,
  completionFeed,
  joinRows,
  type TokenBatch,
  tokenBatches,
} from './layout.ts';
import { sequenceLogProbs, sequenceScores } from './sequences.ts';

function row(prompt: readonly number[], completion: readonly number[]): TokenRow {
  const ids = Int32Array.from([...prompt, ...completion]);
  const isTrained = Uint8Array.from(ids, (_, i) => Number(i >= prompt.length));
  return { ids, isTrained, source: { file: '', line: 0 } };
}

/** Ids of a plain pattern, different for each seed. */
const ids = (seed: number, length: number): number[] =>
  Array.from({ length }, (_, i) => 3 + ((seed * 61 + i * i * 13 + i * seed * 7) % 280));

/** Completions of the given lengths to one prompt. */
const group = (seed: number, prompt: number, lengths: readonly number[]): TokenRow[] =>
  lengths.map((length, k) => row(ids(seed, prompt), ids(100 + seed * 10 + k, length)));

async function compute(outputs: Outputs, feeds: Feeds, isReference: boolean) {
  if (isReference) return interpret(outputs, feeds);
  const program = await (await openBackend({ threads: 1 })).compile(outputs);
  const results = await program.run(feeds);
  await program.release();
  return results;
}

function withSlopes(loss: Tensor, parameters: Parameters): Outputs {
  const slopes = gradients(loss, Object.values(parameters));
  const names = Object.keys(parameters).map((name) => `d ${name}`);
  return { loss, ...Object.fromEntries(names.map((name, i) => [name, slopes[i]])) };
}

const roomy = { mostLength: 64, batchTokens: 1e6 };

describe.skipIf(!hasGolden)(
  'three completions that share a prompt equal PyTorch, each alone (golden)',
  () => {
    it.each([true, false])(
      'in log-probabilities and gradients, through the reference: %s',
      async (isReference) => {
        const golden = readGolden('shared_prompt.json');
        const model = await loadModel(join(goldenFolder, 'models', 'llama'));
        const rows = golden.completions.map((completion: number[]) => row(golden.prompt, completion));
        const [batch, ...others] = tokenBatches(rows, { ...roomy, sharePrompts: true });
        expect([others.length, batch.windows, batch.length]).toEqual([0, 1, 32]);

        const parameters = weightInputs(model);
        const { logProbs } = tokenStatistics(model.config, parameters, batch);
        const weights = joinRows(
          batch,
          rows.map(({ ids }: TokenRow, i: number) =>
            new Array(ids.length - golden.prompt.length).fill(golden.weights[i]),
          ),
        );
        const loss = total(multiply(logProbs, input('weights', [batch.size])));
        const outputs = { ...withSlopes(loss, parameters), logProbs };
        const found = await compute(outputs, { ...weightFeeds(model), ...batch.feeds, weights }, isReference);

        const tolerance = isReference ? 1e-7 : 1e-5;
        const sums = byRow(batch, found.logProbs).map((own) => own.reduce((sum, x) => sum + x, 0));
        golden.completion_logp_sum.forEach((expected: number, i: number) => {
          expectLoss(sums[i], expected, tolerance);
        });
        // The weights were rounded to float32.
        expectLoss(found.loss[0], golden.weighted_sum, 1e-6);
        expect(Object.keys(golden.grads).sort()).toEqual(Object.keys(parameters).sort());
        for (const [name, expected] of Object.entries(golden.grads)) {
          const near = isReference ? { norm: 1e-6, entry: 1e-6 } : { norm: 1e-4, entry: 1e-5 };
          expectGradient(found[`d ${name}`], expected as never, near);
        }
      },
    );
  },
);

/** Weights larger than a fresh model's, so that attention is far from uniform. */
function headed(config: ModelConfig): Weights {
  const parameters = randomParameters(config, 3).set('score.weight', initialHeadWeight(config, 3));
  return { config, parameters };
}

const groups: CompletionGroup[] = [
  [3, 9],
  [1, 5],
  [6, 1],
  [8, 8],
].map((lengths, i) => ({ completions: group(i, 3 + 5 * i, lengths) }));
/** A row whose prompt is nobody else's, and one without any. */
const mixed = [...group(7, 12, [4, 7, 2]), ...group(8, 5, [6]), row([], ids(9, 7)), ...group(10, 20, [3, 3])];

describe.each(['llama', 'qwen2', 'qwen3', 'gpt2'] as const)('shared prompts of %s', (family) => {
  const config = tinyConfig(family, { initializerRange: 0.15 });
  const model = headed(config);
  const language: Weights = { config, parameters: randomParameters(config, 3) };

  /** Loss and gradients of a weighted sum over the completions of all groups. */
  async function lossOf(head: typeof completionLogProbs, sharePrompts: boolean, isReference: boolean) {
    const own = head === completionScores ? model : language;
    const [batch, ...others] = completionBatches(groups, { ...roomy, slots: 5, sharePrompts });
    expect(others).toEqual([]);
    expect(batch.tokens.sharesPrompts).toBe(sharePrompts);
    const { graph, feeds } = head(batch);
    const parameters = weightInputs(own);
    const values = graph(config, parameters);
    const loss = total(multiply(values, input('weights', values.shape)));
    const weights = completionFeed(
      batch,
      ({ completions }, k) => (k === 0 ? 1 : -1.5) / completions[k].ids.length,
    );
    const outputs = { ...withSlopes(loss, parameters), values };
    return compute(outputs, { ...weightFeeds(own), ...feeds(), weights }, isReference);
  }

  it.each([
    ['log-probabilities', completionLogProbs, true],
    ['log-probabilities', completionLogProbs, false],
    ['scores', completionScores, true],
    ['scores', completionScores, false],
  ] as const)('give the %s of completions alone, and every gradient', async (_, head, isReference) => {
    const [shared, alone] = [await lossOf(head, true, isReference), await lossOf(head, false, isReference)];
    // Empty slots differ in scores, where they read the first token, and have no weight.
    const slots = [0, 1, 2, 3, 5, 6, 7, 8];
    const of = (values: ArrayLike<number>) => slots.map((slot) => values[slot]);
    expectNear(of(shared.values), of(alone.values), isReference ? 1e-10 : 1e-5);
    const names = Object.keys(alone).filter((name) => name.startsWith('d '));
    expect(names.length).toBeGreaterThan(15);
    const largest = Math.max(...names.flatMap((name) => Array.from(alone[name], Math.abs)));
    for (const name of names) {
      const most = Array.from(alone[name]).reduce(
        (far, value, i) => Math.max(far, Math.abs(value - shared[name][i])),
        0,
      );
      expect(most, name).toBeLessThanOrEqual((isReference ? 1e-10 : 1e-5) * largest);
    }
  });

  it('give the values, log-probabilities and entropies of every token alone', () => {
    const tell = (batch: TokenBatch) => {
      const values = tokenValues(config, weightInputs(model), batch);
      const { logProbs, entropy } = tokenStatistics(config, weightInputs(language), batch, 0.7);
      const feeds = { ...weightFeeds(model), ...weightFeeds(language), ...batch.feeds };
      const found = interpret({ values, logProbs, entropy }, feeds);
      return (['values', 'logProbs', 'entropy'] as const).map((name) => byRow(batch, found[name]));
    };
    const [shared] = tokenBatches(mixed, { ...roomy, sharePrompts: true });
    const alone = mixed.map((own) => tell(tokenBatches([own], roomy)[0]));
    expect(shared.sharesPrompts).toBe(true);
    tell(shared).forEach((rows, what) => {
      rows.forEach((values, i) => {
        expectNear(values, [...alone[i][what][0]], 1e-10);
      });
    });
  });

  it('score sequences as they are scored alone, in their order', async () => {
    const backend = await openBackend({ threads: 1 });
    const passes = new TokenPasses(backend);
    const scored = async (sharePrompts: boolean, batchTokens: number) => {
      const options = { batchTokens, sharePrompts, passes };
      return [
        await sequenceLogProbs(backend, language, mixed, { ...options, temperature: 1.3 }),
        await sequenceLogProbs(backend, language, mixed, options),
        await sequenceScores(backend, model, mixed, options),
      ];
    };
    const alone = await scored(false, 1);
    for (const batchTokens of [1, 64, 1e6]) {
      (await scored(true, batchTokens)).forEach((values, i) => {
        expectNear(values, [...alone[i]], 1e-5);
      });
    }
    await passes.release();
  });
});

describe('a layout with shared prompts', () => {
  it('lays a prompt and its completions out by hand', () => {
    const rows = [row([11, 12], [13]), row([11, 12], [14, 15]), row([21], [22, 23])];
    const [{ feeds, lastPlaces, owners, count }] = tokenBatches(rows, {
      ...{ mostLength: 8, batchTokens: 64, sharePrompts: true },
    });
    expect([...feeds.tokens]).toEqual([11, 12, 13, 14, 15, 21, 22, 23]);
    expect([...feeds.positions]).toEqual([0, 1, 2, 2, 3, 0, 1, 2]);
    expect([...feeds.segments]).toEqual([0, 0, 1, 2, 2, 3, 3, 3]);
    expect([...feeds.parents!]).toEqual([0, 0, 0, 0, 0, 3, 3, 3]);
    expect([...feeds.sources.subarray(0, count)]).toEqual([1, 1, 3, 5, 6]);
    expect([...feeds.targets.subarray(0, count)]).toEqual([13, 14, 15, 22, 23]);
    expect(owners).toEqual([0, 1, 1, 2, 2]);
    expect(lastPlaces).toEqual([2, 4, 7]);
  });

  it('is the layout without them where no two rows share one', () => {
    const rows = [...group(1, 5, [4]), ...group(2, 5, [4]), ...group(3, 9, [2])];
    expect(tokenBatches(rows, { ...roomy, sharePrompts: true })).toEqual(tokenBatches(rows, roomy));
  });

  it('computes at least 35 % fewer positions for pairs of 64 tokens to prompts of 256', () => {
    const pairs = Array.from({ length: 8 }, (_, i) => ({ completions: group(i, 256, [64, 64]) }));
    const positions = (sharePrompts: boolean) =>
      completionBatches(pairs, { mostLength: 512, batchTokens: 2048, slots: 8, sharePrompts }).reduce(
        (sum, { tokens: { windows, length } }) => sum + windows * length,
        0,
      );
    expect(positions(false)).toBe(8 * 640);
    expect(positions(true)).toBeLessThanOrEqual(0.65 * positions(false));
  });

  it('keeps every row, in batches within the limit, whatever does not fit together', () => {
    const family = fc.record({
      prompt: fc.integer({ min: 0, max: 40 }),
      lengths: fc.array(fc.integer({ min: 1, max: 24 }), { minLength: 1, maxLength: 12 }),
    });
    fc.assert(
      fc.property(fc.array(family, { minLength: 1, maxLength: 8 }), (families) => {
        const rows = families.flatMap(({ prompt, lengths }, i) => group(i, prompt, lengths));
        const batches = tokenBatches(rows, { mostLength: 64, batchTokens: 160, sharePrompts: true });
        expect(batches.flatMap((batch) => batch.rows)).toEqual(rows);
        for (const batch of batches) {
          if (batch.rows.length > 1) expect(batch.windows * batch.length).toBeLessThanOrEqual(160);
          batch.rows.forEach((own, i) => {
            expect(seenFrom(batch, batch.lastPlaces[i])).toEqual([...own.ids]);
          });
        }
      }),
      { numRuns: 60, seed: 4 },
    );
  });
});

/** The ids that the token at a place attends to, by position: a row as the model sees it. */
function seenFrom({ feeds, length }: TokenBatch, place: number): number[] {
  const { tokens, positions, segments, parents = segments } = feeds;
  const start = Math.floor(place / length) * length;
  const seen: number[] = [];
  for (let key = start; key <= place; key++) {
    if (segments[key] !== segments[place] && segments[key] !== parents[place]) continue;
    expect(positions[key]).toBe(seen.length);
    seen.push(tokens[key]);
  }
  return seen;
}
