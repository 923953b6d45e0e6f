// The models that both sides measure, with fresh weights and a small tokenizer: the peer's `nano` (12 M parameters) and
// `smol` (SmolLM2-135M's shape).

import { saveModel } from '../dist/language/checkpoint/checkpoint.js';
import { parseModelConfig } from '../dist/language/model/config-json.js';
import { initialParameter, parameterSpecs } from '../dist/language/model/parameters.js';
import { trainTokenizer } from '../dist/language/text/train.js';

const shapes = {
  nano: {
    num_hidden_layers: 6,
    hidden_size: 384,
    num_attention_heads: 6,
    num_key_value_heads: 6,
    intermediate_size: 1024,
    vocab_size: 4096,
  },
  smol: {
    num_hidden_layers: 30,
    hidden_size: 576,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    intermediate_size: 1536,
    vocab_size: 49152,
  },
};

/** @param hasEos whether anything ends a completion; without, each has exactly as many tokens as are asked for */
export function configOf(name, { hasEos = true } = {}) {
  const tokens = { pad_token_id: 0, bos_token_id: 1, ...(hasEos && { eos_token_id: 2 }) };
  const lengths = { max_position_embeddings: 512, rms_norm_eps: 1e-5, tie_word_embeddings: true };
  return parseModelConfig({ model_type: 'llama', ...shapes[name], ...lengths, ...tokens }, name);
}

export function freshParameters(config) {
  return new Map(parameterSpecs(config).map((spec, i) => [spec.name, initialParameter(spec, config, 1, i)]));
}

/** Saves `nano` as a folder that every command takes; its tokenizer knows bytes. */
export async function saveNano(folder) {
  const tokenizer = byteTokenizer({ eos: '</s>' });
  await save(folder, configOf('nano'), tokenizer.toJson(), tokenizer.configuration);
}

/**
 * Saves a model for rows of ids, where id 7 reads ` w7` as at the peer. A job, so that the fresh weights are in the
 * memory of a process that ends before anything is measured.
 */
export async function saveForIds({ folder, name, hasEos }) {
  const config = configOf(name, { hasEos });
  const tokenizer = byteTokenizer(hasEos ? { eos: '</s>' } : {});
  const json = structuredClone(tokenizer.toJson());
  const words = Array.from({ length: config.vocabularySize - 3 }, (_, i) => [`Ġw${i + 3}`, i + 3]);
  json.model.vocab = { '<pad>': 0, '<s>': 1, '</s>': 2, ...Object.fromEntries(words) };
  await save(folder, config, json, tokenizer.configuration);
}

function byteTokenizer(roles) {
  const specialTokens = ['<pad>', '<s>', '</s>'];
  return trainTokenizer(['a'], {
    ...{ vocabularySize: 259, specialTokens, pad: '<pad>', bos: '<s>' },
    ...roles,
  });
}

async function save(folder, config, tokenizer, configuration) {
  const tokenizerFiles = { 'tokenizer.json': tokenizer, 'tokenizer_config.json': configuration };
  await saveModel(folder, { kind: 'base', config, parameters: freshParameters(config), tokenizerFiles });
}
