import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseModelConfig } from './config-json.ts';
import { countParameters, initialParameter, parameterSpecs } from './parameters.ts';

const golden = join(process.env.HEED_GOLDEN ?? '../shared/golden', 'models');

const smollm = parseModelConfig(
  {
    model_type: 'llama',
    vocab_size: 49152,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    max_position_embeddings: 2048,
    tie_word_embeddings: true,
  },
  'config.json',
);
const gpt2Small = parseModelConfig(
  { model_type: 'gpt2', vocab_size: 50257, n_embd: 768, n_layer: 12, n_head: 12, n_positions: 1024 },
  'config.json',
);

test('counts the published sizes of SmolLM-135M and GPT-2', () => {
  expect(countParameters(smollm)).toBe(134_515_008);
  expect(countParameters(gpt2Small)).toBe(124_439_808);
});

test('adds an output matrix only where the output is not tied', () => {
  const untied = parameterSpecs({ ...smollm, tiedOutput: false });
  expect(untied.at(-1)).toEqual({ name: 'lm_head.weight', shape: [49152, 576], role: 'matrix' });
  expect(untied.slice(0, -1)).toEqual(parameterSpecs(smollm));
});

test('draws weights with the deviation asked for, residual outputs narrower by √(2·layers)', () => {
  const config = { ...smollm, layers: 8, hiddenSize: 64, intermediateSize: 512, initializerRange: 0.02 };
  const specs = parameterSpecs(config);
  const deviation = (name: string) => {
    const index = specs.findIndex((spec) => spec.name.endsWith(name));
    const values = initialParameter(specs[index], config, 1, index);
    return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
  };
  expect(deviation('0.mlp.up_proj.weight') / 0.02).toBeCloseTo(1, 1);
  expect(deviation('0.mlp.down_proj.weight') / 0.005).toBeCloseTo(1, 1);
  expect(deviation('1.self_attn.o_proj.weight') / 0.005).toBeCloseTo(1, 1);
});

test('draws other numbers for another seed or parameter, and the same again', () => {
  const [spec] = parameterSpecs({ ...smollm, vocabularySize: 4 });
  const draw = (seed: number, index: number) => initialParameter(spec, smollm, seed, index);
  expect(draw(1, 0)).toEqual(draw(1, 0));
  expect(draw(1, 0)).not.toEqual(draw(2, 0));
  expect(draw(1, 0)).not.toEqual(draw(1, 1));
});

test('starts norms at 1 and biases, those of LayerNorm too, at 0', () => {
  const specs = parameterSpecs(gpt2Small);
  for (const [name, value] of [
    ['h.3.ln_1.weight', 1],
    ['h.3.ln_1.bias', 0],
    ['h.3.attn.c_attn.bias', 0],
  ] as const) {
    const spec = specs.find((candidate) => candidate.name.endsWith(name))!;
    expect(new Set(initialParameter(spec, gpt2Small, 1, 0))).toEqual(new Set([value]));
    expect(spec.layer).toBe(3);
  }
});

describe.skipIf(!existsSync(golden))('reference models (skipped where shared/golden is missing)', () => {
  test.each(['llama', 'llama_untied', 'qwen2', 'qwen3', 'gpt2'])(
    '%s has exactly the names and shapes of its file',
    (family) => {
      const json = JSON.parse(readFileSync(join(golden, family, 'config.json'), 'utf8'));
      const specs = parameterSpecs(parseModelConfig(json, 'config.json'));
      const ours = Object.fromEntries(specs.map(({ name, shape }) => [name, shape]));
      expect(ours).toEqual(shapesOf(join(golden, family, 'model.safetensors')));
    },
  );
});

/** The header read by hand: this folder may not import the reader. */
function shapesOf(path: string): Record<string, number[]> {
  const file = openSync(path, 'r');
  const length = Buffer.alloc(8);
  readSync(file, length, 0, 8, 0);
  const header = Buffer.alloc(Number(length.readBigUInt64LE()));
  readSync(file, header, 0, header.length, 8);
  closeSync(file);
  const { __metadata__: _, ...tensors } = JSON.parse(header.toString());
  return Object.fromEntries(
    Object.entries(tensors).map(([name, value]) => [name, (value as { shape: number[] }).shape]),
  );
}
