// Generation on a device with a memory of its own, held to the same on the CPU.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../engine/runtime/backend.ts';
import { openBackend } from '../../../engine/runtime/onnx-backend.ts';
import type { ModelConfig } from '../../model/config.ts';
import { tinyConfigs, tinyParameters, tinyPrompt } from '../../model/testing/tiny-models.ts';
import { type Completion, type GenerationRequest, Generator } from '../generate.ts';

/** Rows that leave early and are replaced, samples that share a prompt, and a batch that shrinks. */
function unevenRequests(config: ModelConfig): GenerationRequest[] {
  const lengths = [3, 70, 1, 20, 9];
  return lengths.map((length, i) => ({
    promptIds: tinyPrompt(config, length, i),
    samples: i === 1 ? 3 : 1,
    maxTokens: [1, 9, 4, 12, 6][i],
    seed: 20 + i,
    sampling: { temperature: 0.8 },
  }));
}

function expectSame(found: readonly Completion[], expected: readonly Completion[]): void {
  expect(found.map(({ ids, finish }) => ({ ids, finish }))).toEqual(
    expected.map(({ ids, finish }) => ({ ids, finish })),
  );
  found.forEach(({ logProbs }, i) => {
    for (const [token, value] of logProbs.entries()) {
      expect(Math.abs(value - expected[i].logProbs[token])).toBeLessThan(1e-4);
    }
  });
}

export function describeGenerationOnDevice(open: () => Promise<Backend>): void {
  let device: Backend;
  let cpu: Backend;
  beforeAll(async () => {
    [device, cpu] = [await open(), await openBackend({ threads: 2 })];
  });
  const generators: Generator[] = [];
  afterAll(async () => {
    for (const generator of generators) await generator.close();
  });
  function generatorOn(backend: Backend, config: ModelConfig, batchSize: number): Generator {
    const generator = new Generator(
      backend,
      { config: config, parameters: tinyParameters(config) },
      { batchSize },
    );
    generators.push(generator);
    return generator;
  }

  it.each(Object.entries(tinyConfigs))("gives the CPU's tokens for uneven rows of %s", async (_, config) => {
    const requests = unevenRequests(config);
    const expected = await generatorOn(cpu, config, 4).generate(requests);
    expectSame(await generatorOn(device, config, 4).generate(requests), expected);
  });

  it("gives the CPU's tokens for prompts of several chunks, as long as the context is", async () => {
    const narrow = { hiddenSize: 8, heads: 2, keyValueHeads: 1, intermediateSize: 8, layers: 1 };
    const config = { ...tinyConfigs.llama, ...narrow, maxPositions: 530 };
    const requests = [300, 5, 528].map((length, seed): GenerationRequest => {
      const promptIds = tinyPrompt(config, length, seed);
      return { promptIds, maxTokens: 4, seed, sampling: { temperature: 1 } };
    });
    const expected = await generatorOn(cpu, config, 4).generate(requests);
    expectSame(await generatorOn(device, config, 4).generate(requests), expected);
  });

  it('reads weights where another keeps them newer than the arrays', async () => {
    const config = tinyConfigs.llama;
    const [parameters, others] = [tinyParameters(config), tinyParameters(config, 4)];
    const requests = unevenRequests(config).slice(2, 4);
    const expected = await generatorOn(cpu, config, 4).generate(requests);
    const arrays = [...parameters.values()];
    await device.hold(arrays);
    for (const [name, values] of parameters) values.set(others.get(name)!);
    const generator = new Generator(device, { config, parameters });
    expectSame(await generator.generate(requests), expected);
    await generator.close();
    device.drop(arrays);
  });

  describe('of a model whose weights are many', () => {
    const config = { ...tinyConfigs.llama, hiddenSize: 192, headSize: 48, intermediateSize: 384, layers: 1 };
    it('moves tokens in and their scores out, and neither weights nor cache', async () => {
      const parameters = tinyParameters(config);
      const weightBytes = [...parameters.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
      expect(weightBytes).toBeGreaterThan(4 * 300_000);
      const generator = new Generator(device, { config, parameters });
      const requests = [0, 1].map((seed): GenerationRequest => {
        return { promptIds: tinyPrompt(config, 12, seed), maxTokens: 5, seed, sampling: { temperature: 1 } };
      });
      await generator.generate(requests);
      const before = device.traffic();
      await generator.generate(requests);
      const { toDevice, fromDevice } = device.traffic();
      // Of each token logits, probabilities and their normaliser; neither prompts nor rows are padded here.
      const tokens = 2 * 5;
      expect(fromDevice - before.fromDevice).toBe(4 * tokens * (2 * config.vocabularySize + 1));
      expect(toDevice - before.toDevice).toBeLessThan(weightBytes / 100);
      await generator.close();
    });
  });
}
