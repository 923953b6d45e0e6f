// A decoder as data: everything the forward pass and the parameter table need to know about a model.

/** Each is a file in `families/`. */
export const familyNames = ['llama', 'qwen2', 'qwen3', 'gpt2'] as const;
export type FamilyName = (typeof familyNames)[number];

export interface ModelConfig {
  family: FamilyName;
  vocabularySize: number;
  hiddenSize: number;
  layers: number;
  heads: number;
  keyValueHeads: number;
  headSize: number;
  intermediateSize: number;
  maxPositions: number;
  norm: { kind: 'rms' | 'layer'; epsilon: number };
  positions: { kind: 'rotary'; theta: number; scaling: RotaryScaling } | { kind: 'learned' };
  mlp: { kind: 'gated' | 'plain'; activation: Activation };
  bias: { queryKeyValue: boolean; attentionOutput: boolean; mlp: boolean };
  queryKeyNorm: boolean;
  tiedOutput: boolean;
  /** Standard deviation of freshly drawn weights. */
  initializerRange: number;
  tokens: { bos?: number; eos: number[]; pad?: number };
}

export type Activation = 'silu' | 'gelu' | 'gelu_tanh' | 'relu';

export type RotaryScaling =
  | { kind: 'default' }
  | { kind: 'linear'; factor: number }
  | {
      kind: 'llama3';
      factor: number;
      lowFrequencyFactor: number;
      highFrequencyFactor: number;
      originalMaxPositions: number;
    }
  | {
      kind: 'yarn';
      factor: number;
      originalMaxPositions: number;
      betaFast: number;
      betaSlow: number;
      attentionFactor: number;
    };
