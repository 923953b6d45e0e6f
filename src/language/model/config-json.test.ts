import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FormatError, UserError } from '../../engine/errors.ts';
import type { Node, Tensor } from '../../engine/graph/tensor.ts';
import type { ModelConfig } from './config.ts';
import { modelConfigToJson, parseModelConfig } from './config-json.ts';
import { rotaryTables } from './rotary.ts';

const golden = join(process.env.HEED_GOLDEN ?? '../shared/golden', 'models');
const families = ['llama', 'llama_untied', 'qwen2', 'qwen3', 'gpt2'];

const llama = {
  model_type: 'llama',
  vocab_size: 320,
  hidden_size: 32,
  intermediate_size: 56,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
  bos_token_id: 1,
  eos_token_id: 2,
};
const gpt2 = { model_type: 'gpt2', vocab_size: 320, n_embd: 32, n_layer: 2, n_head: 4, n_positions: 64 };

const parse = (json: unknown) => parseModelConfig(json, 'config.json');
const valuesAtPosition1 = ({ node, shape: [, width] }: Tensor) =>
  (node as Node<'constant'>).attributes.values.slice(width);
const rotaryOf = (changes: object) => parse({ ...llama, ...changes }).positions;

test('reads every size of a Llama', () => {
  expect(parse(llama)).toEqual({
    family: 'llama',
    vocabularySize: 320,
    hiddenSize: 32,
    layers: 2,
    heads: 4,
    keyValueHeads: 2,
    headSize: 8,
    intermediateSize: 56,
    maxPositions: 64,
    norm: { kind: 'rms', epsilon: 1e-5 },
    positions: { kind: 'rotary', theta: 10000, scaling: { kind: 'default' } },
    mlp: { kind: 'gated', activation: 'silu' },
    bias: { queryKeyValue: false, attentionOutput: false, mlp: false },
    queryKeyNorm: false,
    tiedOutput: true,
    initializerRange: 0.02,
    tokens: { bos: 1, eos: [2] },
  } satisfies ModelConfig);
});

test('gives each family its own biases, norms and head size', () => {
  const qwen = { ...llama, num_attention_heads: 2, hidden_size: 64, num_key_value_heads: null };
  const read = (changes: object) => {
    const { bias, queryKeyNorm, headSize, keyValueHeads } = parse({ ...qwen, ...changes });
    return [bias.queryKeyValue, bias.attentionOutput, bias.mlp, queryKeyNorm, headSize, keyValueHeads];
  };
  expect(read({})).toEqual([false, false, false, false, 32, 2]);
  expect(read({ attention_bias: true, mlp_bias: true })).toEqual([true, true, true, false, 32, 2]);
  expect(read({ model_type: 'qwen2' })).toEqual([true, false, false, false, 32, 2]);
  expect(read({ model_type: 'qwen3' })).toEqual([false, false, false, true, 128, 2]);
  expect(read({ model_type: 'qwen3', attention_bias: true, head_dim: 16 })).toEqual([
    true,
    true,
    false,
    true,
    16,
    2,
  ]);
});

// As Qwen2Config and LlamaConfig of Transformers 5.24 answer.
test('without num_key_value_heads a Qwen has 32 and a Llama as many as heads', () => {
  const { num_key_value_heads: _, ...without } = { ...llama, hidden_size: 512, num_attention_heads: 64 };
  const read = (changes: object) => parse({ ...without, ...changes }).keyValueHeads;
  expect(read({})).toBe(64);
  expect(read({ model_type: 'qwen2' })).toBe(32);
  expect(read({ model_type: 'qwen3' })).toBe(32);
  expect(read({ model_type: 'qwen2', num_key_value_heads: null })).toBe(64);
  expect(() => read({ model_type: 'qwen2', num_attention_heads: 4 })).toThrow(
    'config.json: num_key_value_heads: expected a divisor of num_attention_heads = 4 (without the key qwen2 has 32)',
  );
});

test('reads GPT-2 with its defaults: tied, 4·width, gelu_new', () => {
  const config = parse({ ...gpt2, n_inner: null, reorder_and_upcast_attn: false });
  expect(config).toMatchObject({ intermediateSize: 128, tiedOutput: true, positions: { kind: 'learned' } });
  expect(config.mlp).toEqual({ kind: 'plain', activation: 'gelu_tanh' });
  expect(config.norm).toEqual({ kind: 'layer', epsilon: 1e-5 });
});

test('takes several end tokens, and −1 for no padding', () => {
  const config = parse({ ...llama, eos_token_id: [2, 5], pad_token_id: -1, bos_token_id: null });
  expect(config.tokens).toEqual({ eos: [2, 5] });
});

describe('rotary positions', () => {
  const llama3 = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 32 };
  const spelt = (type: string, scaling: object) => [
    rotaryOf({ rope_theta: 5e5, rope_scaling: { rope_type: type, ...scaling } }),
    rotaryOf({ rope_theta: 5e5, rope_scaling: { type, ...scaling } }),
    rotaryOf({ rope_parameters: { rope_theta: 5e5, rope_type: type, ...scaling } }),
  ];

  test('reads the same from every spelling', () => {
    const scaling = {
      kind: 'llama3',
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalMaxPositions: 32,
    };
    for (const read of spelt('llama3', llama3)) expect(read).toEqual({ kind: 'rotary', theta: 5e5, scaling });
    for (const read of spelt('linear', { factor: 4 })) {
      expect(read).toEqual({ kind: 'rotary', theta: 5e5, scaling: { kind: 'linear', factor: 4 } });
    }
  });

  test("works out YaRN's attention factor: 0.1·ln 4 + 1 = 1.1386294…", () => {
    for (const read of spelt('yarn', { factor: 4, original_max_position_embeddings: 16 })) {
      expect(read).toMatchObject({ scaling: { kind: 'yarn', betaFast: 32, betaSlow: 1 } });
      expect(read).toHaveProperty('scaling.attentionFactor', expect.closeTo(1.1386294361, 9));
    }
  });

  test('takes YaRN’s attention factor as given, or from a pair of mscales', () => {
    const yarn = (more: object) =>
      rotaryOf({ rope_scaling: { type: 'yarn', factor: 40, original_max_position_embeddings: 16, ...more } });
    expect(yarn({ attention_factor: 1.5 })).toHaveProperty('scaling.attentionFactor', 1.5);
    expect(yarn({ mscale: 1, mscale_all_dim: 1 })).toHaveProperty('scaling.attentionFactor', 1);
    expect(yarn({ mscale: 0.75, mscale_all_dim: 1 })).toHaveProperty(
      'scaling.attentionFactor',
      expect.closeTo(1.2766659 / 1.3688879, 6),
    );
  });

  // inv_freq · attention_scaling of LlamaRotaryEmbedding in Transformers 5.24, for heads of 16, 64 positions, theta 10,000.
  const low = [0.003952847, 0.00125, 0.000395285, 0.000125, 3.9528e-5];
  test.each([
    [
      'YaRN',
      { rope_type: 'yarn', factor: 4 },
      16,
      [1, 0.079056941, 0.025, 0.007905695, 0.0025, 0.000790569, 0.00025, 7.9057e-5],
      1.138629436,
    ],
    ['Llama 3', { rope_type: 'llama3', ...llama3 }, 32, [1, 0.095839977, 0.0125, ...low], 1],
  ])('takes the original length of %s from the top level first', (_, scaling, original, expected, scale) => {
    const inside = { ...scaling, original_max_position_embeddings: undefined };
    const top = { original_max_position_embeddings: original, num_attention_heads: 2 };
    for (const rope of [inside, { ...scaling, original_max_position_embeddings: 48 }]) {
      const config = parse({ ...llama, ...top, rope_scaling: rope });
      const { cosine, sine } = rotaryTables(config, 2)!;
      const [cosines, sines] = [cosine, sine].map(valuesAtPosition1);
      expected.forEach((frequency, i) => {
        expect(cosines[i]).toBeCloseTo(scale * Math.cos(frequency), 7);
        expect(sines[i]).toBeCloseTo(scale * Math.sin(frequency), 7);
      });
      expect(parse(modelConfigToJson(config))).toEqual(config);
    }
  });

  test.each([
    ['an original length of text', { original_max_position_embeddings: '16' }, 'a whole number'],
    ['an unknown type', { rope_scaling: { type: 'dynamic', factor: 2 } }, 'default, linear, llama3, yarn'],
    ['longrope', { rope_parameters: { rope_type: 'longrope' } }, '"longrope"'],
    ['a type from the prototype', { rope_scaling: { type: 'toString' } }, '"toString"'],
    ['an unknown key', { rope_scaling: { type: 'linear', factor: 2, phase: 1 } }, 'phase'],
    ['two types', { rope_scaling: { type: 'linear', rope_type: 'yarn', factor: 2 } }, 'type'],
    ['no factor', { rope_scaling: { type: 'linear' } }, 'factor'],
    ['two thetas', { rope_theta: 1e4, rope_parameters: { rope_theta: 1e6 } }, 'rope_theta'],
    [
      'two scalings',
      { rope_scaling: { type: 'linear', factor: 2 }, rope_parameters: { rope_type: 'linear', factor: 4 } },
      'the same as rope_parameters',
    ],
    [
      'half-rotated heads',
      { rope_parameters: { rope_type: 'default', partial_rotary_factor: 0.5 } },
      'partial',
    ],
    ['untruncated YaRN', { rope_scaling: { type: 'yarn', factor: 2, truncate: false } }, 'truncate'],
    [
      'layers of two kinds',
      { rope_parameters: { full_attention: { rope_type: 'default' } } },
      'full_attention',
    ],
    ['a list', { rope_scaling: [] }, 'a JSON object'],
  ])('refuses %s', (_, changes, word) => {
    const read = () => rotaryOf(changes);
    expect(read).toThrow(FormatError);
    expect(read).toThrow(word);
  });
});

test.each([
  ['model_type', 'mistral'],
  ['quantization_config', { bits: 4 }],
  ['auto_map', { AutoModel: 'x' }],
  ['use_sliding_window', true],
  ['sliding_window', 4096],
  ['layer_types', ['sliding_attention', 'full_attention']],
  ['layer_types', 7],
  ['partial_rotary_factor', 0.5],
  ['pretraining_tp', 2],
  ['architectures', ['MistralForCausalLM']],
  ['architectures', ['LlamaForCausalLM', 'Qwen2ForCausalLM']],
  ['architectures', ['LlamaForTokenClassification']],
  ['architectures', 'LlamaForCausalLM'],
  ['dtype', 'float8_e4m3fn'],
  ['torch_dtype', 'int8'],
  ['attn_logit_softcapping', 50],
  ['final_logit_softcapping', 30],
  ['attention_multiplier', 0.0078125],
  ['embedding_multiplier', 12],
  ['residual_multiplier', 0.22],
  ['logits_scaling', 8],
  ['scale_emb', 12],
  ['no_rope_layers', [1, 1, 1, 0]],
  ['clip_qkv', 8],
  ['use_qk_norm', true],
  ['qk_norm', true],
  ['is_causal', false],
  ['use_bidirectional_attention', true],
  ['hidden_act', 'quick_gelu'],
  ['hidden_act', 'hasOwnProperty'],
  ['pruned_heads', { 0: [1] }],
  ['tie_word_embeddings', 'yes'],
  ['num_hidden_layers', 1e9],
  ['num_hidden_layers', 0],
  ['num_hidden_layers', 2.5],
  ['hidden_size', -1],
  ['hidden_size', '32'],
  ['vocab_size', 2 ** 40],
  ['num_attention_heads', 6],
  ['num_key_value_heads', 3],
  ['head_dim', 7],
  ['rms_norm_eps', 0],
  ['eos_token_id', 320],
  ['eos_token_id', [2, 'x']],
  ['pad_token_id', 400],
  ['max_position_embeddings', 1e300],
])('refuses a Llama whose %s is %j, naming the key', (key, value) => {
  const read = () => parse({ ...llama, [key]: value });
  expect(read).toThrow(FormatError);
  expect(read).toThrow(`config.json: ${key}`);
});

test.each([
  ['scale_attn_by_inverse_layer_idx', true],
  ['reorder_and_upcast_attn', true],
  ['scale_attn_weights', false],
  ['add_cross_attention', true],
  ['n_head', 5],
  ['rope_scaling', { type: 'linear', factor: 2 }],
  ['architectures', ['GPTNeoForCausalLM']],
])('refuses a GPT-2 whose %s is %j, naming the key', (key, value) => {
  expect(() => parse({ ...gpt2, [key]: value })).toThrow(`config.json: ${key}`);
});

test('takes keys that change nothing, and every name that Transformers gives the family', () => {
  const neutral = {
    attention_dropout: 0.1,
    attn_logit_softcapping: null,
    logits_scaling: 1,
    use_sliding_window: false,
    is_causal: true,
    qk_norm: false,
    max_window_layers: 21,
    unsloth_version: '2025.1',
    dtype: 'float16',
    torch_dtype: 'torch.bfloat16',
  };
  expect(parse({ ...llama, ...neutral })).toEqual(parse(llama));
  expect(parse({ ...gpt2, resid_pdrop: 0.1, embd_pdrop: 0.1, attn_pdrop: 0.1 })).toEqual(parse(gpt2));
  for (const head of ['ForCausalLM', 'ForSequenceClassification', 'Model']) {
    for (const [model_type, stem] of [
      ['llama', 'LLaMA'],
      ['llama', 'Llama'],
      ['qwen2', 'Qwen2'],
      ['qwen3', 'Qwen3'],
    ]) {
      expect(parse({ ...llama, model_type, architectures: [stem + head] }).family).toBe(model_type);
    }
  }
  for (const architectures of [
    ['GPT2LMHeadModel'],
    ['GPT2ForSequenceClassification'],
    ['GPT2Model'],
    [],
    null,
  ]) {
    expect(parse({ ...gpt2, architectures }).family).toBe('gpt2');
  }
});

test.each([[null], [[]], ['text'], [7]])('refuses %j in place of an object', (json) => {
  expect(() => parse(json)).toThrow('a JSON object');
});

describe('writing', () => {
  const scalings: Extract<ModelConfig['positions'], { kind: 'rotary' }>['scaling'][] = [
    { kind: 'linear', factor: 4 },
    { kind: 'llama3', factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxPositions: 16 },
    { kind: 'yarn', factor: 4, originalMaxPositions: 16, betaFast: 32, betaSlow: 1, attentionFactor: 1.25 },
  ];

  test.each(scalings)('says $kind rotary in both spellings, each enough alone', (scaling) => {
    const config = { ...parse(llama), positions: { kind: 'rotary' as const, theta: 5e5, scaling } };
    const { rope_parameters, rope_scaling, rope_theta, ...rest } = modelConfigToJson(config);
    expect(parse({ ...rest, rope_parameters })).toEqual(config);
    expect(parse({ ...rest, rope_scaling, rope_theta })).toEqual(config);
  });

  test('names the stored type under both keys', () => {
    expect(modelConfigToJson(parse(gpt2), 'bfloat16')).toMatchObject({
      torch_dtype: 'bfloat16',
      dtype: 'bfloat16',
      architectures: ['GPT2LMHeadModel'],
      activation_function: 'gelu_new',
    });
  });

  test('refuses what the family cannot say', () => {
    const config = parse({ ...llama, model_type: 'qwen2' });
    const impossible = { ...config, bias: { ...config.bias, attentionOutput: true } };
    expect(() => modelConfigToJson(impossible)).toThrow(UserError);
    expect(() => modelConfigToJson(impossible)).toThrow('bias');
    expect(() => modelConfigToJson({ ...parse(gpt2), keyValueHeads: 2 })).toThrow('keyValueHeads');
  });
});

describe.skipIf(!existsSync(golden))('reference models (skipped where shared/golden is missing)', () => {
  test.each(families)('%s keeps every value that Transformers wrote', (family) => {
    const theirs = JSON.parse(readFileSync(join(golden, family, 'config.json'), 'utf8'));
    const ours = modelConfigToJson(parse(theirs)) as Record<string, unknown>;
    const keysOfModel = Object.keys(theirs).filter((key) => key in ours && theirs[key] !== null);
    expect(keysOfModel.length).toBeGreaterThan(12);
    for (const key of keysOfModel) expect({ [key]: ours[key] }).toEqual({ [key]: theirs[key] });
  });
});
