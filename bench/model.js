// The model that both sides measure, with fresh weights and a small tokenizer: the peer's `nano` (12 M parameters), or
// `smol` (SmolLM2-135M's shape) with HEED_BENCH_MODEL=smol.

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

export const modelName = process.env.HEED_BENCH_MODEL ?? 'nano';

export const config = parseModelConfig(
  {
    model_type: 'llama',
    ...shapes[modelName],
    max_position_embeddings: 512,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
    pad_token_id: 0,
    bos_token_id: 1,
    eos_token_id: 2,
  },
  modelName,
);

export function freshParameters() {
  return new Map(parameterSpecs(config).map((spec, i) => [spec.name, initialParameter(spec, config, 1, i)]));
}

/** Saves it as a folder that every command takes. */
export async function saveBenchModel(folder) {
  const tokenizer = trainTokenizer(['a'], {
    vocabularySize: 259,
    specialTokens: ['<pad>', '<s>', '</s>'],
    pad: '<pad>',
    bos: '<s>',
    eos: '</s>',
  });
  const tokenizerFiles = {
    'tokenizer.json': tokenizer.toJson(),
    'tokenizer_config.json': tokenizer.configuration,
  };
  await saveModel(folder, { kind: 'base', config, parameters: freshParameters(), tokenizerFiles });
}
