// Models small enough to test with, one of each way in which families differ where generation can notice:
// grouped queries, learned positions with Conv1D weights, and normalised queries and keys.

import { Random } from '../../../engine/random.ts';
import type { ModelConfig } from '../config.ts';
import { initialParameter, parameterSpecs } from '../parameters.ts';

const llama: ModelConfig = {
  family: 'llama',
  vocabularySize: 40,
  hiddenSize: 16,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 4,
  intermediateSize: 24,
  maxPositions: 512,
  norm: { kind: 'rms', epsilon: 1e-5 },
  positions: { kind: 'rotary', theta: 1e4, scaling: { kind: 'default' } },
  mlp: { kind: 'gated', activation: 'silu' },
  bias: { queryKeyValue: false, attentionOutput: false, mlp: false },
  queryKeyNorm: false,
  tiedOutput: true,
  initializerRange: 0.4,
  tokens: { eos: [] },
};

export const tinyConfigs = {
  llama,
  gpt2: {
    ...llama,
    family: 'gpt2',
    keyValueHeads: 4,
    norm: { kind: 'layer', epsilon: 1e-5 },
    positions: { kind: 'learned' },
    mlp: { kind: 'plain', activation: 'gelu_tanh' },
    bias: { queryKeyValue: true, attentionOutput: true, mlp: true },
  },
  qwen3: { ...llama, family: 'qwen3', queryKeyNorm: true, headSize: 8, tiedOutput: false },
} satisfies Record<string, ModelConfig>;

/** Drawn weights; norms and biases too are drawn, so that leaving one out shows. */
export function tinyParameters(config: ModelConfig, seed = 3): Map<string, Float32Array> {
  const random = new Random(seed, 'testing');
  return new Map(
    parameterSpecs(config).map((spec, index) => {
      const values = initialParameter(spec, config, seed, index);
      const isDrawn = spec.role === 'embedding' || spec.role === 'matrix';
      return [spec.name, isDrawn ? values : values.map((value, i) => value + 0.2 * random.normal(index, i))];
    }),
  );
}

/** Token ids that look like nothing in particular. */
export function tinyPrompt(config: ModelConfig, length: number, seed: number): number[] {
  const random = new Random(seed, 'testing');
  return Array.from({ length }, (_, i) => random.integer(config.vocabularySize, 1, i));
}
