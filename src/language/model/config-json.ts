// config.json ⇄ ModelConfig, in the old spelling (rope_theta + rope_scaling, torch_dtype) and the new (rope_parameters,
// dtype). The families are closed, so the keys that can change what such a model computes are known:
// each is either understood or refused by name. Dropout rates are accepted and unused; heed applies none.

import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../../engine/errors.ts';
import type { Activation, ModelConfig } from './config.ts';
import { Fields } from './config-fields.ts';
import { parseRotary, rotaryToJson } from './rotary-json.ts';

type Family = ModelConfig['family'];
export type TorchType = 'float32' | 'float16' | 'bfloat16';

const families: readonly Family[] = ['llama', 'qwen2', 'qwen3', 'gpt2'];

/** The largest sizes that are believed: well above any published model, far below what would exhaust memory. */
const limits = {
  vocabulary: { min: 1, max: 2 ** 22 },
  width: { min: 1, max: 2 ** 18 },
  layers: { min: 1, max: 1024 },
  heads: { min: 1, max: 4096 },
  positions: { min: 1, max: 2 ** 27 },
  epsilon: { min: 0, max: 1 },
} as const;

const activations: Record<string, Activation> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_python_tanh: 'gelu_tanh',
  relu: 'relu',
};

interface Restriction {
  key: string;
  /** The one value that heed's forward pass has; absent and null are fine too. */
  only?: unknown;
  families?: readonly Family[];
}

const notQwen3 = ['llama', 'qwen2', 'gpt2'] as const;

const restrictions: readonly Restriction[] = [
  { key: 'quantization_config' },
  { key: 'auto_map' },
  { key: 'use_sliding_window', only: false },
  { key: 'sliding_window', families: ['llama', 'gpt2'] },
  { key: 'partial_rotary_factor', only: 1 },
  { key: 'rope_interleaved', only: false },
  { key: 'use_mrope', only: false },
  { key: 'pretraining_tp', only: 1 },
  { key: 'pruned_heads', only: {} },
  { key: 'is_encoder_decoder', only: false },
  { key: 'add_cross_attention', only: false },
  { key: 'scale_attn_weights', only: true },
  { key: 'scale_attn_by_inverse_layer_idx', only: false },
  { key: 'reorder_and_upcast_attn', only: false },
  { key: 'mlp_bias', only: false, families: ['qwen2', 'qwen3'] },
  { key: 'attention_bias', only: true, families: ['qwen2'] },
  ...without('rope_theta', 'rope_scaling', 'rope_parameters').map((r) => ({
    ...r,
    families: ['gpt2'] as const,
  })),
  // Of relatives of these families (Gemma, Granite, MiniCPM, Falcon, OLMo, SmolLM 3, µP models): the same weights would
  // mean something else.
  ...without('attn_logit_softcapping', 'final_logit_softcapping', 'query_pre_attn_scalar', 'clip_qkv'),
  ...without('attention_multiplier', 'attention_chunk_size', 'no_rope_layers', 'no_rope_layer_interval'),
  ...without('dim_model_base', 'mlp_multipliers'),
  ...always(1, 'embedding_multiplier', 'residual_multiplier', 'logits_scaling', 'logit_scale'),
  ...always(1, 'lm_head_multiplier', 'key_multiplier', 'attention_in_multiplier', 'attention_out_multiplier'),
  ...always(1, 'scale_emb', 'embeddings_scale', 'width_scale', 'rotary_pct', 'rope_ratio'),
  ...always(1, 'mup_width_scale', 'mup_embeddings_scale', 'mup_output_alpha'),
  ...always(false, 'scale_qk_dot_by_d', 'mup_scale_qk_dot_by_d', 'rope_traditional', 'alibi', 'multi_query'),
  ...always(false, 'parallel_attn', 'use_parallel_residual', 'use_bidirectional_attention'),
  ...always(false, 'use_qk_norm', 'qk_norm').map((r) => ({ ...r, families: notQwen3 })),
  { key: 'is_causal', only: true },
];

function without(...keys: string[]): Restriction[] {
  return keys.map((key) => ({ key }));
}

function always(only: unknown, ...keys: string[]): Restriction[] {
  return keys.map((key) => ({ key, only }));
}

/**
 * The model that a Hugging Face config.json describes. Nothing is allocated; sizes are checked against `limits`.
 * @param json  the parsed file
 * @param where the file's name, for messages
 * @throws FormatError naming the key for a missing, absurd or unsupported value
 */
export function parseModelConfig(json: unknown, where: string): ModelConfig {
  const fields = new Fields(json, where);
  const family = parseFamily(fields);
  for (const restriction of restrictions) refuseUnless(fields, family, restriction);
  refuseOtherLayerTypes(fields);
  refuseOtherArchitectures(fields, family);
  for (const key of ['dtype', 'torch_dtype']) refuseQuantisedType(fields, key);
  const config = family === 'gpt2' ? parseGpt2(fields) : parseRotaryFamily(fields, family);
  return { ...config, tokens: parseTokens(fields, config) };
}

function parseFamily(fields: Fields): Family {
  const family = families.find((name) => name === fields.get('model_type'));
  if (!family) throw fields.fault('model_type', `one of ${families.join(', ')}`);
  return family;
}

function refuseUnless(fields: Fields, family: Family, { key, only, families: applies }: Restriction): void {
  if (!fields.has(key) || (applies && !applies.includes(family))) return;
  if (isDeepStrictEqual(fields.get(key), only)) return;
  const expected = only === undefined ? 'the key to be absent' : JSON.stringify(only);
  throw fields.fault(key, `${expected}, all that heed supports`);
}

function refuseOtherLayerTypes(fields: Fields): void {
  const types = fields.get('layer_types');
  if (types === undefined) return;
  if (Array.isArray(types) && types.every((type) => type === 'full_attention')) return;
  throw fields.fault('layer_types', 'full_attention everywhere, all that heed supports');
}

function refuseOtherArchitectures(fields: Fields, family: Family): void {
  const names = fields.get('architectures') ?? [];
  const known = Object.values(architectures[family]);
  // The first conversions say LLaMAForCausalLM.
  const isKnown = (name: unknown) => known.some((own) => own.toLowerCase() === String(name).toLowerCase());
  if (Array.isArray(names) && names.every(isKnown)) return;
  throw fields.fault('architectures', `for ${family} any of ${known.join(', ')}`);
}

/** heed computes in float32 whatever the type, but weights meant for eight bits or integers want scales with them. */
function refuseQuantisedType(fields: Fields, key: string): void {
  const floats = /^(?:torch\.)?(?:auto|half|float|double|bfloat16|float16|float32|float64)$/;
  if (!fields.has(key) || floats.test(String(fields.get(key)))) return;
  throw fields.fault(key, 'a float type of 16 bits or more');
}

type WithoutTokens = Omit<ModelConfig, 'tokens'>;

function parseRotaryFamily(fields: Fields, family: Exclude<Family, 'gpt2'>): WithoutTokens {
  const hiddenSize = fields.integer('hidden_size', limits.width);
  const heads = fields.integer('num_attention_heads', limits.heads);
  const keyValueHeads = parseKeyValueHeads(fields, family, heads);
  const headSize = parseHeadSize(fields, family, hiddenSize, heads);
  const maxPositions = fields.integer('max_position_embeddings', limits.positions);
  const attentionBias = fields.boolean('attention_bias', false) && family !== 'qwen2';
  return {
    family,
    vocabularySize: fields.integer('vocab_size', limits.vocabulary),
    hiddenSize,
    layers: fields.integer('num_hidden_layers', limits.layers),
    heads,
    keyValueHeads,
    headSize,
    intermediateSize: fields.integer('intermediate_size', limits.width),
    maxPositions,
    norm: { kind: 'rms', epsilon: fields.number('rms_norm_eps', limits.epsilon, 1e-6) },
    positions: { kind: 'rotary', ...parseRotary(fields, maxPositions) },
    mlp: { kind: 'gated', activation: parseActivation(fields, 'hidden_act', 'silu') },
    bias: {
      queryKeyValue: family === 'qwen2' || attentionBias,
      attentionOutput: attentionBias,
      mlp: fields.boolean('mlp_bias', false),
    },
    queryKeyNorm: family === 'qwen3',
    tiedOutput: fields.boolean('tie_word_embeddings', false),
    initializerRange: fields.number('initializer_range', limits.epsilon, 0.02),
  };
}

/** Qwen without the key means 32, as in Transformers; with null there, and for a Llama, all heads. */
function parseKeyValueHeads(fields: Fields, family: Family, heads: number): number {
  const key = 'num_key_value_heads';
  const isQwenWithout = family !== 'llama' && !fields.keys().includes(key);
  const keyValueHeads = fields.integer(key, limits.heads, isQwenWithout ? 32 : heads);
  if (heads % keyValueHeads === 0) return keyValueHeads;
  const meaning = isQwenWithout ? ` (without the key ${family} has 32)` : '';
  throw fields.fault(key, `a divisor of num_attention_heads = ${heads}${meaning}`);
}

/** Qwen3 without the key means 128, as in Transformers; the others divide the hidden size. */
function parseHeadSize(fields: Fields, family: Family, hiddenSize: number, heads: number): number {
  const fallback = family === 'qwen3' ? 128 : hiddenSize / heads;
  // Transformers wants this of a Llama even where head_dim is given.
  const mustDivide = family === 'llama' || !fields.has('head_dim');
  if (mustDivide && !Number.isInteger(fallback)) {
    throw fields.fault('num_attention_heads', `a divisor of the hidden size ${hiddenSize}`);
  }
  const headSize = fields.integer('head_dim', limits.width, fallback);
  if (headSize % 2 !== 0) throw fields.fault('head_dim', 'an even size, since rotary turns pairs');
  return headSize;
}

function parseGpt2(fields: Fields): WithoutTokens {
  const hiddenSize = fields.integer('n_embd', limits.width);
  const heads = fields.integer('n_head', limits.heads);
  if (hiddenSize % heads !== 0) throw fields.fault('n_head', `a divisor of n_embd = ${hiddenSize}`);
  return {
    family: 'gpt2',
    vocabularySize: fields.integer('vocab_size', limits.vocabulary),
    hiddenSize,
    layers: fields.integer('n_layer', limits.layers),
    heads,
    keyValueHeads: heads,
    headSize: hiddenSize / heads,
    intermediateSize: fields.integer('n_inner', limits.width, 4 * hiddenSize),
    maxPositions: fields.integer('n_positions', limits.positions),
    norm: { kind: 'layer', epsilon: fields.number('layer_norm_epsilon', limits.epsilon, 1e-5) },
    positions: { kind: 'learned' },
    mlp: { kind: 'plain', activation: parseActivation(fields, 'activation_function', 'gelu_new') },
    bias: { queryKeyValue: true, attentionOutput: true, mlp: true },
    queryKeyNorm: false,
    tiedOutput: fields.boolean('tie_word_embeddings', true),
    initializerRange: fields.number('initializer_range', limits.epsilon, 0.02),
  };
}

function parseActivation(fields: Fields, key: string, fallback: string): Activation {
  const name = fields.string(key, fallback);
  if (Object.hasOwn(activations, name)) return activations[name];
  throw fields.fault(key, `one of ${Object.keys(activations).join(', ')}`);
}

/**
 * The special tokens of a config.json or a generation_config.json.
 * @throws FormatError for an id outside the vocabulary
 */
export function parseTokens(fields: Fields, config: { vocabularySize: number }): ModelConfig['tokens'] {
  const ids = { min: 0, max: config.vocabularySize - 1 };
  const list = fields.get('eos_token_id') ?? [];
  const eos = Array.isArray(list) ? list : [list];
  for (const id of eos) {
    if (!Number.isInteger(id) || id < 0 || id > ids.max)
      throw fields.fault('eos_token_id', `ids up to ${ids.max}`);
  }
  const bos = fields.has('bos_token_id') ? { bos: fields.integer('bos_token_id', ids) } : {};
  // −1 is how early Llama files say "no padding token".
  const hasPad = fields.has('pad_token_id') && fields.get('pad_token_id') !== -1;
  const pad = hasPad ? { pad: fields.integer('pad_token_id', ids) } : {};
  return { ...bos, eos, ...pad };
}

/** Transformers' classes: with the output head, with a scalar head, and with neither. */
export const architectures: Record<Family, { causal: string; classifier: string; bare: string }> = {
  llama: architecturesOf('Llama', 'ForCausalLM'),
  qwen2: architecturesOf('Qwen2', 'ForCausalLM'),
  qwen3: architecturesOf('Qwen3', 'ForCausalLM'),
  gpt2: architecturesOf('GPT2', 'LMHeadModel'),
};

function architecturesOf(stem: string, head: string) {
  return { causal: stem + head, classifier: `${stem}ForSequenceClassification`, bare: `${stem}Model` };
}

/**
 * The config.json that Transformers reads, old releases and new: both rotary spellings and both dtype keys.
 * @param torchType type of the stored weights
 * @throws UserError when the family cannot express this config
 */
export function modelConfigToJson(
  config: ModelConfig,
  torchType: TorchType = 'float32',
): Record<string, unknown> {
  const json = {
    architectures: [architectures[config.family].causal],
    model_type: config.family,
    ...(config.family === 'gpt2' ? gpt2ToJson(config) : rotaryFamilyToJson(config)),
    vocab_size: config.vocabularySize,
    initializer_range: config.initializerRange,
    tie_word_embeddings: config.tiedOutput,
    ...tokensToJson(config.tokens),
    torch_dtype: torchType,
    dtype: torchType,
    use_cache: true,
  };
  refuseIfChanged(config, json);
  return json;
}

/** The special tokens under Hugging Face's keys, for config.json and generation_config.json. */
export function tokensToJson({ bos, eos, pad }: ModelConfig['tokens']): Record<string, unknown> {
  return {
    bos_token_id: bos ?? null,
    eos_token_id: eos.length === 0 ? null : eos.length === 1 ? eos[0] : eos,
    pad_token_id: pad ?? null,
  };
}

function rotaryFamilyToJson(config: ModelConfig): Record<string, unknown> {
  const { attentionOutput, mlp } = config.bias;
  return {
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.keyValueHeads,
    head_dim: config.headSize,
    max_position_embeddings: config.maxPositions,
    rms_norm_eps: config.norm.epsilon,
    hidden_act: config.mlp.activation === 'gelu_tanh' ? 'gelu_pytorch_tanh' : config.mlp.activation,
    attention_dropout: 0,
    ...(config.family === 'qwen2' ? {} : { attention_bias: attentionOutput }),
    ...(config.family === 'llama' ? { mlp_bias: mlp } : { use_sliding_window: false }),
    ...(config.positions.kind === 'rotary' ? rotaryToJson(config.positions) : {}),
  };
}

function gpt2ToJson(config: ModelConfig): Record<string, unknown> {
  return {
    n_embd: config.hiddenSize,
    n_inner: config.intermediateSize,
    n_layer: config.layers,
    n_head: config.heads,
    n_positions: config.maxPositions,
    n_ctx: config.maxPositions,
    layer_norm_epsilon: config.norm.epsilon,
    activation_function: config.mlp.activation === 'gelu_tanh' ? 'gelu_new' : config.mlp.activation,
    attn_pdrop: 0,
    embd_pdrop: 0,
    resid_pdrop: 0,
  };
}

/** A file that reads back as another model would be a silent change: better none. */
function refuseIfChanged(config: ModelConfig, json: Record<string, unknown>): void {
  const readBack = parseModelConfig(JSON.parse(JSON.stringify(json)), 'config.json to be written');
  const given = JSON.parse(JSON.stringify(config));
  if (isDeepStrictEqual(readBack, given)) return;
  const key = Object.keys(given).find((k) => !isDeepStrictEqual(given[k], readBack[k as keyof ModelConfig]));
  throw new UserError({
    where: `model configuration: ${key}`,
    expected: `what ${config.family} can have, such as ${JSON.stringify(readBack[key as keyof ModelConfig])}`,
    found: JSON.stringify(given[key as string]),
  });
}
