import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { input } from '../../engine/graph/build.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { loadModel } from '../checkpoint/checkpoint.ts';
import type { ModelConfig } from '../model/config.ts';
import { targetStatistics, windowInputs, windowStates } from '../model/full-pass.ts';
import { baseInputs } from '../model/testing/base-inputs.ts';
import { tinyConfigs, tinyParameters, tinyPrompt } from '../model/testing/tiny-models.ts';
import { trainTokenizer } from '../text/train.ts';
import {
  type Completion,
  type GenerationRequest,
  Generator,
  type GeneratorOptions,
  type TokenEvent,
} from './generate.ts';

const golden = process.env.HEED_GOLDEN ?? '../shared/golden';
const plain = { temperature: 1 };

let backend: Backend;
const generators: Generator[] = [];
beforeAll(async () => {
  backend = await openBackend({ threads: 2 });
});
afterAll(async () => {
  await Promise.all(generators.map((generator) => generator.close()));
});

function generatorOf(config: ModelConfig, options: GeneratorOptions = {}): Generator {
  const generator = new Generator(backend, { config, parameters: tinyParameters(config) }, options);
  generators.push(generator);
  return generator;
}

function requestOf(config: ModelConfig, length: number, seed: number, maxTokens = 12): GenerationRequest {
  return { promptIds: tinyPrompt(config, length, seed), maxTokens, seed, sampling: plain };
}

/** log softmax of each completion token by the whole-row pass over prompt and completion. */
async function fullPassLogProbs(config: ModelConfig, promptIds: readonly number[], ids: readonly number[]) {
  const row = [...promptIds, ...ids];
  const parameters = baseInputs(config);
  const hidden = windowStates(
    config,
    parameters,
    windowInputs({ windows: 1, length: row.length }),
    input('sources', [ids.length], 'int'),
  );
  const { logProbs } = targetStatistics(config, parameters, hidden, input('targets', [ids.length], 'int'));
  const program = await backend.compile({ logProbs });
  const outputs = await program.run({
    ...Object.fromEntries(tinyParameters(config)),
    tokens: Int32Array.from(row),
    positions: Int32Array.from(row.keys()),
    segments: new Int32Array(row.length),
    sources: Int32Array.from(ids, (_, i) => promptIds.length + i - 1),
    targets: Int32Array.from(ids),
  });
  await program.release();
  return outputs.logProbs as Float32Array;
}

function expectNear(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length).toBe(expected.length);
  const largest = Math.max(...Array.from(expected, Math.abs));
  const difference = Math.max(...Array.from(expected, (value, i) => Math.abs(value - actual[i])));
  expect(difference / largest).toBeLessThan(1e-5);
}

/** The same tokens, with log-probabilities equal to rounding. */
function expectSameCompletions(actual: readonly Completion[], expected: readonly Completion[]): void {
  expect(actual.map(({ ids, finish }) => ({ ids, finish }))).toEqual(
    expected.map(({ ids, finish }) => ({ ids, finish })),
  );
  actual.forEach((completion, i) => {
    expectNear(completion.logProbs, expected[i].logProbs);
    expectNear(completion.rawLogProbs, expected[i].rawLogProbs);
  });
}

const hasGolden = existsSync(join(golden, 'models.json'));
describe.skipIf(!hasGolden)(`golden continuations (${golden}${hasGolden ? '' : ' is missing'})`, () => {
  const families = ['llama', 'llama_untied', 'qwen2', 'qwen3', 'gpt2'];
  it.each(families)("%s: greedy tokens are Transformers'", async (family) => {
    const { examples, families } = JSON.parse(readFileSync(join(golden, 'models.json'), 'utf8'));
    const { config, parameters } = await loadModel(join(golden, 'models', family));
    const generator = new Generator(backend, { config, parameters });
    generators.push(generator);
    const requests = examples.map(({ prompt }: { prompt: number[] }) => {
      return { promptIds: prompt, maxTokens: 12, seed: 0, sampling: { temperature: 0 }, stopIds: [] };
    });
    const completions = await generator.generate(requests);
    expect(completions.map(({ ids }) => ids)).toEqual(families[family].greedy);
  });
});

describe.each(Object.entries(tinyConfigs))('%s', (_family, config: ModelConfig) => {
  it('cached decoding has the log-probabilities of the whole-row pass', async () => {
    const requests = [requestOf(config, 5, 1, 80), requestOf(config, 70, 2, 20)];
    for (const { request, ids, rawLogProbs } of await generatorOf(config).generate(requests)) {
      expectNear(rawLogProbs, await fullPassLogProbs(config, requests[request].promptIds, ids));
    }
  });

  it('a batch of 8 prompts of different lengths equals each alone', async () => {
    const requests = Array.from({ length: 8 }, (_, i) => requestOf(config, 3 + 7 * i, i));
    const generator = generatorOf(config);
    const alone: Completion[] = [];
    for (const request of requests) alone.push(...(await generator.generate([request])));
    expectSameCompletions(await generator.generate(requests), alone);
  });
});

const config = tinyConfigs.llama;

describe('rows', () => {
  it('a prompt longer than a chunk equals the whole-row pass', async () => {
    const requests = [requestOf(config, 300, 1, 4), requestOf(config, 10, 2, 4)];
    const [first, second] = await generatorOf(config).generate(requests);
    expectNear(first.rawLogProbs, await fullPassLogProbs(config, requests[0].promptIds, first.ids));
    expectNear(second.rawLogProbs, await fullPassLogProbs(config, requests[1].promptIds, second.ids));
  });

  it('n samples of a prompt equal n-fold requests, sample by sample', async () => {
    const request = requestOf(config, 9, 4);
    const few = await generatorOf(config).generate([{ ...request, samples: 3 }]);
    // Through two slots, so that later samples start after earlier ones have ended.
    const many = await generatorOf(config, { batchSize: 2 }).generate([
      { ...request, samples: 5 },
      requestOf(config, 6, 8),
    ]);
    expect(many.map(({ request, sample }) => [request, sample])).toEqual([
      [0, 0],
      [0, 1],
      [0, 2],
      [0, 3],
      [0, 4],
      [1, 0],
    ]);
    expectSameCompletions(many.slice(0, 3), few);
    expect(new Set(many.slice(0, 5).map(({ ids }) => ids.join())).size).toBe(5);
  });

  it('rows that replace finished ones equal separate runs', async () => {
    const requests = Array.from({ length: 13 }, (_, i) =>
      requestOf(config, 2 + 5 * (i % 4), i, 3 + 5 * (i % 5)),
    );
    const generator = generatorOf(config, { batchSize: 4 });
    const alone: Completion[] = [];
    for (const request of requests) alone.push(...(await generator.generate([request])));
    expectSameCompletions(await generator.generate(requests), alone);
    expect(alone.map(({ ids }) => ids.length)).toEqual(requests.map(({ maxTokens }) => maxTokens));
  });

  it('caches that fit little memory change nothing', async () => {
    const requests = Array.from({ length: 5 }, (_, i) => requestOf(config, 4 + i, i));
    const roomy = await generatorOf(config).generate(requests);
    expectSameCompletions(await generatorOf(config, { cacheBytes: 1 }).generate(requests), roomy);
  });

  it('a continuation of a completion is the rest of it', async () => {
    const request = requestOf(config, 6, 5);
    const [{ ids }] = await generatorOf(config).generate([request]);
    const promptIds = [...request.promptIds, ...ids.slice(0, 4)];
    const [rest] = await generatorOf(config).generate([{ ...request, promptIds, maxTokens: 8 }]);
    expect(rest.ids).toEqual(ids.slice(4));
  });

  it('gives the same ids for the same seed and others for another', async () => {
    const request = requestOf(config, 6, 5);
    const generator = generatorOf(config);
    const [first] = await generator.generate([request]);
    const [again] = await generator.generate([request]);
    const [other] = await generator.generate([{ ...request, seed: 6 }]);
    expect(again).toEqual(first);
    expect(other.ids).not.toEqual(first.ids);
  });
});

describe('log-probabilities', () => {
  it('are the same under both distributions at temperature 1 without filters', async () => {
    const [{ logProbs, rawLogProbs }] = await generatorOf(config).generate([requestOf(config, 6, 5)]);
    expectNear(logProbs, rawLogProbs);
  });

  it('at temperature 0.5 are those of the sharpened distribution', async () => {
    // Both tokens of a vocabulary of two: log p and log(1 − p) give the odds, which temperature 0.5 squares.
    const two: ModelConfig = { ...config, vocabularySize: 2 };
    const request = { promptIds: [0, 1, 1], maxTokens: 20, seed: 2, sampling: { temperature: 0.5 } };
    const [{ logProbs, rawLogProbs }] = await generatorOf(two).generate([request]);
    const expected = Array.from(rawLogProbs, (raw) => {
      const odds = Math.exp(raw) / (1 - Math.exp(raw));
      return Math.log(odds ** 2 / (1 + odds ** 2));
    });
    expectNear(logProbs, expected);
  });

  it('with top-k 1 are 0, and the tokens greedy', async () => {
    const request = requestOf(config, 6, 5);
    const generator = generatorOf(config);
    const [first] = await generator.generate([{ ...request, sampling: { temperature: 3, topK: 1 } }]);
    const [greedy] = await generator.generate([{ ...request, sampling: { temperature: 0 } }]);
    expect(first.ids).toEqual(greedy.ids);
    expect([...first.logProbs]).toEqual(new Array(12).fill(0));
  });

  it('a high repetition penalty leaves no token twice', async () => {
    const sampling = { temperature: 0, repetitionPenalty: 1e6 };
    const [{ ids }] = await generatorOf(config).generate([{ ...requestOf(config, 1, 1), sampling }]);
    expect(new Set(ids).size).toBe(12);
  });
});

describe('ends', () => {
  it('stops at a stop token, which it keeps', async () => {
    const request = requestOf(config, 6, 5);
    const generator = generatorOf(config);
    const [{ ids }] = await generator.generate([request]);
    const end = ids.findIndex((id, i) => i >= 3 && ids.indexOf(id) === i);
    const [stopped] = await generator.generate([{ ...request, stopIds: [ids[end]] }]);
    expect(stopped.ids).toEqual(ids.slice(0, end + 1));
    expect(stopped.finish).toBe('stop');
    const [atFirst] = await generator.generate([{ ...request, stopIds: [ids[0]] }]);
    expect([atFirst.ids, atFirst.finish]).toEqual([[ids[0]], 'stop']);
  });

  it("stops at the model's end-of-text unless told not to", async () => {
    const request = requestOf(config, 6, 5, 40);
    const [{ ids }] = await generatorOf(config).generate([request]);
    const withEnd = generatorOf({ ...config, tokens: { eos: [ids[4]] } });
    const [stopped] = await withEnd.generate([request]);
    expect(stopped.ids).toEqual(ids.slice(0, ids.indexOf(ids[4]) + 1));
    const [whole] = await withEnd.generate([{ ...request, stopIds: [] }]);
    expect(whole.ids).toEqual(ids);
  });

  it("ends where the model's context does", async () => {
    const [{ ids, finish }] = await generatorOf(config).generate([requestOf(config, 505, 5, 40)]);
    expect([ids.length, finish]).toEqual([7, 'length']);
  });

  it('ends between two tokens when aborted, with the reason', async () => {
    const controller = new AbortController();
    const events: TokenEvent[] = [];
    const onToken = (event: TokenEvent) => {
      events.push(event);
      if (events.length === 3) controller.abort(new Error('enough'));
    };
    const generation = generatorOf(config).generate([requestOf(config, 6, 5)], {
      onToken,
      signal: controller.signal,
    });
    await expect(generation).rejects.toThrow('enough');
    expect(events.length).toBe(3);
  });
});

describe('text', () => {
  const tokenizer = trainTokenizer(
    ['the cat sat on the mat and the dog sat on the log', 'hot hats and cold dogs, then odd cats'],
    { vocabularySize: 60, initialAlphabet: 'seen', eos: '<end>' },
  );
  const spoken: ModelConfig = { ...config, vocabularySize: tokenizer.vocabularySize };
  const request: GenerationRequest = {
    promptIds: tokenizer.encode('the cat'),
    maxTokens: 20,
    seed: 1,
    sampling: plain,
    stopIds: [],
  };

  it('is cut before a stop string that crosses a token border; ids hold all of it', async () => {
    const generator = generatorOf(spoken, { tokenizer });
    const [whole] = await generator.generate([request]);
    const pieces = whole.ids.map((id) => tokenizer.decode([id]));
    const border = pieces.findIndex((piece, i) => i >= 4 && piece.length > 1 && pieces[i + 1]?.length > 1);
    const stop = pieces[border].slice(-1) + pieces[border + 1].slice(0, 1);
    const first = pieces.join('').indexOf(stop);
    const [stopped] = await generator.generate([{ ...request, stopStrings: ['never', stop] }]);
    expect(stopped.finish).toBe('stop-string');
    expect(stopped.text).toBe(pieces.join('').slice(0, first));
    const ids = whole.ids.slice(0, stopped.ids.length);
    expect(stopped.ids).toEqual(ids);
    expect(tokenizer.decode(ids)).toContain(stop);
    expect(tokenizer.decode(ids.slice(0, -1))).not.toContain(stop);
  });

  it('comes piece by piece with the tokens, and leaves the stop token out', async () => {
    const generator = generatorOf(spoken, { tokenizer });
    const [whole] = await generator.generate([request]);
    const stopIds = [whole.ids[7]];
    const end = whole.ids.indexOf(stopIds[0]);
    let streamed = '';
    const onToken = ({ text }: TokenEvent) => {
      streamed += text;
    };
    const [{ text, finish }] = await generator.generate([{ ...request, stopIds }], { onToken });
    expect([text, finish]).toEqual([tokenizer.decode(whole.ids.slice(0, end)), 'stop']);
    expect(streamed).toBe(text);
  });
});

describe('events', () => {
  it('tell every token and completion as it is made', async () => {
    const tokens = new Map<number, number[]>();
    const finished: Completion[] = [];
    const requests = [requestOf(config, 6, 5, 9), requestOf(config, 3, 6, 2)];
    const completions = await generatorOf(config).generate(requests, {
      onToken: ({ request, id }) => tokens.set(request, [...(tokens.get(request) ?? []), id]),
      onCompletion: (completion) => finished.push(completion),
    });
    expect(completions.map(({ ids }) => ids)).toEqual([tokens.get(0), tokens.get(1)]);
    expect(finished).toEqual([completions[1], completions[0]]);
  });
});

describe('refuses', () => {
  const good = requestOf(config, 6, 5);
  const sampling = (options: object) => ({ sampling: { ...plain, ...options } });
  const cases: [string, Partial<GenerationRequest>, string][] = [
    ['an empty prompt', { promptIds: [] }, 'promptIds of request 1: expected at least one token, got none. '],
    [
      'a prompt that fills the context',
      { promptIds: tinyPrompt(config, 512, 1) },
      'promptIds of request 1: expected at most 511 tokens (the context is 512), got 512. Try a shorter prompt.',
    ],
    [
      'ids beyond the vocabulary',
      { promptIds: [1, 40] },
      "promptIds of request 1: expected token ids from 0 to 39, got 40 at place 1. Try the model's own tokenizer.",
    ],
    ['negative ids', { promptIds: [-1] }, 'expected token ids from 0 to 39, got -1 at place 0'],
    ['no tokens', { maxTokens: 0 }, 'maxTokens of request 1: expected a whole number ≥ 1, got 0.'],
    ['half a token', { maxTokens: 1.5 }, 'maxTokens of request 1: expected a whole number ≥ 1, got 1.5.'],
    ['no samples', { samples: 0 }, 'samples of request 1: expected a whole number ≥ 1, got 0.'],
    [
      'a negative seed',
      { seed: -1 },
      'seed of request 1: expected a whole number from 0 to 2^53 − 1, got -1.',
    ],
    [
      'a negative temperature',
      sampling({ temperature: -0.1 }),
      'temperature of request 1: expected a number ≥ 0, got -0.1. Try 0 for greedy decoding.',
    ],
    [
      'no temperature',
      sampling({ temperature: Number.NaN }),
      'temperature of request 1: expected a number ≥ 0, got NaN.',
    ],
    ['top-k 0', sampling({ topK: 0 }), 'topK of request 1: expected a whole number ≥ 1, got 0.'],
    ['top-p 0', sampling({ topP: 0 }), 'topP of request 1: expected a number above 0 and at most 1, got 0.'],
    [
      'top-p 1.1',
      sampling({ topP: 1.1 }),
      'topP of request 1: expected a number above 0 and at most 1, got 1.1.',
    ],
    ['min-p 2', sampling({ minP: 2 }), 'minP of request 1: expected a number from 0 to 1, got 2.'],
    [
      'a penalty of 0',
      sampling({ repetitionPenalty: 0 }),
      'repetitionPenalty of request 1: expected a number > 0, got 0.',
    ],
    [
      'stop ids beyond the vocabulary',
      { stopIds: [99] },
      'stopIds of request 1: expected token ids from 0 to 39, got 99',
    ],
    [
      'an empty stop string',
      { stopStrings: [''] },
      'stopStrings of request 1: expected texts of at least one character',
    ],
    [
      'stop strings without a tokenizer',
      { stopStrings: ['x'] },
      'stopStrings of request 1: expected none without a tokenizer, got 1. Try creating the generator with one.',
    ],
  ];

  it.each(cases)('%s', async (_title, change, message) => {
    const generation = generatorOf(config).generate([good, { ...good, ...change }]);
    await expect(generation).rejects.toThrow(message);
  });

  it('a model whose parameters hold NaN', async () => {
    const parameters = tinyParameters(config);
    parameters.get('model.norm.weight')![0] = Number.NaN;
    const generator = new Generator(backend, { config, parameters });
    generators.push(generator);
    await expect(generator.generate([good])).rejects.toThrow(
      'logits of request 0: expected finite numbers, got a normaliser of NaN.',
    );
  });
});
