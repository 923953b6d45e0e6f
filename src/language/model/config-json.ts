// config.json ⇄ ModelConfig, in the old spelling (rope_theta + rope_scaling, torch_dtype) and the new (rope_parameters,
// dtype). The families are closed, so the keys that can change what such a model computes are known:
// each is either understood or refused by name. Dropout rates are accepted and unused; heed applies none.

import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../../engine/errors.ts';
import { type FamilyName, familyNames, type ModelConfig } from './config.ts';
import { Fields } from './config-fields.ts';
import { always, limits, type Restriction, without } from './families/family.ts';
import { families } from './families/index.ts';

export type TorchType = 'float32' | 'float16' | 'bfloat16';

/** Of every family; its own stand in its file. */
const restrictions: readonly Restriction[] = [
  ...without('quantization_config', 'auto_map'),
  ...always(false, 'use_sliding_window', 'rope_interleaved', 'use_mrope'),
  ...always(1, 'partial_rotary_factor', 'pretraining_tp'),
  ...always({}, 'pruned_heads'),
  ...always(false, 'is_encoder_decoder', 'add_cross_attention'),
  ...always(true, 'scale_attn_weights', 'is_causal'),
  ...always(false, 'scale_attn_by_inverse_layer_idx', 'reorder_and_upcast_attn'),
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
];

/**
 * The model that a Hugging Face config.json describes. Nothing is allocated; sizes are checked against `limits`.
 * @param json  the parsed file
 * @param where the file's name, for messages
 * @throws FormatError naming the key for a missing, absurd or unsupported value
 */
export function parseModelConfig(json: unknown, where: string): ModelConfig {
  const fields = new Fields(json, where);
  const name = parseFamily(fields);
  const family = families[name];
  for (const restriction of [...restrictions, ...family.restrictions]) refuseUnless(fields, restriction);
  refuseOtherLayerTypes(fields);
  refuseOtherArchitectures(fields, name);
  for (const key of ['dtype', 'torch_dtype']) refuseQuantisedType(fields, key);
  const config = {
    family: name,
    vocabularySize: fields.integer('vocab_size', limits.vocabulary),
    ...family.parse(fields),
    tiedOutput: fields.boolean('tie_word_embeddings', family.isTiedUnlessSaid),
    initializerRange: fields.number('initializer_range', limits.epsilon, 0.02),
  };
  return { ...config, tokens: parseTokens(fields, config) };
}

function parseFamily(fields: Fields): FamilyName {
  const family = familyNames.find((name) => name === fields.get('model_type'));
  if (!family) throw fields.fault('model_type', `one of ${familyNames.join(', ')}`);
  return family;
}

function refuseUnless(fields: Fields, { key, only }: Restriction): void {
  if (!fields.has(key) || isDeepStrictEqual(fields.get(key), only)) return;
  const expected = only === undefined ? 'the key to be absent' : JSON.stringify(only);
  throw fields.fault(key, `${expected}, all that heed supports`);
}

function refuseOtherLayerTypes(fields: Fields): void {
  const types = fields.get('layer_types');
  if (types === undefined) return;
  if (Array.isArray(types) && types.every((type) => type === 'full_attention')) return;
  throw fields.fault('layer_types', 'full_attention everywhere, all that heed supports');
}

function refuseOtherArchitectures(fields: Fields, family: FamilyName): void {
  const names = fields.get('architectures') ?? [];
  const known = Object.values(families[family].architectures);
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

/**
 * The config.json that Transformers reads, old releases and new: both rotary spellings and both dtype keys.
 * @param torchType type of the stored weights
 * @throws UserError when the family cannot express this config
 */
export function modelConfigToJson(
  config: ModelConfig,
  torchType: TorchType = 'float32',
): Record<string, unknown> {
  const family = families[config.family];
  const json = {
    architectures: [family.architectures.causal],
    model_type: config.family,
    ...family.toJson(config),
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
