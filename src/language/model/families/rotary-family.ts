// What Llama and its descendants share: RMSNorm, rotary positions, grouped queries, a gated MLP, no bias unless asked.

import type { ModelConfig } from '../config.ts';
import type { Fields } from '../config-fields.ts';
import { parseRotary, rotaryToJson } from '../rotary-json.ts';
import { type Family, limits, type ParsedConfig, parseActivation, type Restriction } from './family.ts';

/** In what such a family differs from the others. */
interface Differences {
  /** What its classes are called at Transformers, such as `Llama`. */
  name: string;
  restrictions: readonly Restriction[];
  /** Keys of config.json that are its own. */
  toJson(config: ModelConfig): Record<string, unknown>;
  /** Where the key is absent, as in Transformers; undefined is as many as heads. */
  keyValueHeads?: number;
  /** Where the key is absent; undefined is the hidden size divided by the heads. */
  headSize?: number;
  /** Transformers wants the hidden size to be a multiple of the heads even where head_dim is given. */
  headsDivideWidth?: boolean;
  /** Queries, keys and values have biases, whatever attention_bias says. */
  hasQueryBias?: boolean;
  queryKeyNorm?: boolean;
}

export function rotaryFamily(own: Differences): Family {
  const { name, restrictions, queryKeyNorm = false, hasQueryBias = false } = own;
  return {
    architectures: {
      causal: `${name}ForCausalLM`,
      classifier: `${name}ForSequenceClassification`,
      bare: `${name}Model`,
    },
    restrictions,
    parse: (fields) => parse(fields, own),
    toJson: (config) => toJson(config, own),
    isTiedUnlessSaid: false,
    layout: {
      prefix: 'model.',
      bareNames: /^(?:embed_tokens|layers|norm)\./,
      buffers: /\.rotary_emb\.inv_freq$/,
      isTransposed: false,
      tokens: 'model.embed_tokens.weight',
      finalNorm: 'model.norm',
      layer: (layer) => `model.layers.${layer}.`,
      attentionNorm: 'input_layernorm',
      queryKeyValue: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
      headNorms: ['self_attn.q_norm', 'self_attn.k_norm'],
      attentionOutput: 'self_attn.o_proj',
      mlpNorm: 'post_attention_layernorm',
      mlp: { gate: 'mlp.gate_proj', up: 'mlp.up_proj', down: 'mlp.down_proj' },
    },
    design: {
      norm: { kind: 'rms', epsilon: 1e-6 },
      positions: { kind: 'rotary', theta: 10_000, scaling: { kind: 'default' } },
      mlp: { kind: 'gated', activation: 'silu' },
      bias: { queryKeyValue: hasQueryBias, attentionOutput: false, mlp: false },
      queryKeyNorm,
    },
    // Two thirds of GPT-2's width for three matrices instead of two, Touvron et al. 2023, section 2.2.
    intermediateSize: (hiddenSize) => Math.ceil((8 * hiddenSize) / 3 / 64) * 64,
    hasGroupedQueries: true,
  };
}

function parse(fields: Fields, own: Differences): ParsedConfig {
  const hiddenSize = fields.integer('hidden_size', limits.width);
  const heads = fields.integer('num_attention_heads', limits.heads);
  const keyValueHeads = parseKeyValueHeads(fields, own, heads);
  const headSize = parseHeadSize(fields, own, hiddenSize / heads);
  const maxPositions = fields.integer('max_position_embeddings', limits.positions);
  const { hasQueryBias = false } = own;
  const attentionBias = fields.boolean('attention_bias', false) && !hasQueryBias;
  return {
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
      queryKeyValue: hasQueryBias || attentionBias,
      attentionOutput: attentionBias,
      mlp: fields.boolean('mlp_bias', false),
    },
    queryKeyNorm: own.queryKeyNorm ?? false,
  };
}

/** With null in the place of a number, all heads. */
function parseKeyValueHeads(fields: Fields, { name, keyValueHeads }: Differences, heads: number): number {
  const key = 'num_key_value_heads';
  const fallback = fields.keys().includes(key) ? undefined : keyValueHeads;
  const found = fields.integer(key, limits.heads, fallback ?? heads);
  if (heads % found === 0) return found;
  const meaning = fallback === undefined ? '' : ` (without the key ${name.toLowerCase()} has ${fallback})`;
  throw fields.fault(key, `a divisor of num_attention_heads = ${heads}${meaning}`);
}

/** @param share of the hidden size that each head has */
function parseHeadSize(fields: Fields, own: Differences, share: number): number {
  const fallback = own.headSize ?? share;
  const mustDivide = own.headsDivideWidth || !fields.has('head_dim');
  if (mustDivide && !Number.isInteger(fallback)) {
    const width = fields.get('hidden_size');
    throw fields.fault('num_attention_heads', `a divisor of the hidden size ${width}`);
  }
  const headSize = fields.integer('head_dim', limits.width, fallback);
  if (headSize % 2 !== 0) throw fields.fault('head_dim', 'an even size, since rotary turns pairs');
  return headSize;
}

function toJson(config: ModelConfig, own: Differences): Record<string, unknown> {
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
    ...own.toJson(config),
    ...(config.positions.kind === 'rotary' ? rotaryToJson(config.positions) : {}),
  };
}
