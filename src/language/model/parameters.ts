// The parameter table: every tensor of a model by its Hugging Face name, in one canonical order, in the layout in which
// Hugging Face stores it: Linear weights are [out, in], GPT-2's Conv1D weights [in, out].

import { Random } from '../../engine/random.ts';
import type { ModelConfig } from './config.ts';

export interface ParameterSpec {
  /** Hugging Face state-dict name; GPT-2's carry the `transformer.` prefix. */
  name: string;
  shape: readonly number[];
  role: 'embedding' | 'matrix' | 'norm' | 'bias';
  /** Absent outside the layers. */
  layer?: number;
}

/** All parameters in canonical order. A tied output has no lm_head.weight. */
export function parameterSpecs(config: ModelConfig): ParameterSpec[] {
  const { vocabularySize: V, hiddenSize: D } = config;
  const body = config.family === 'gpt2' ? gpt2Specs(config) : rotaryFamilySpecs(config);
  if (!config.tiedOutput) body.push({ name: 'lm_head.weight', shape: [V, D], role: 'matrix' });
  return body;
}

function rotaryFamilySpecs(config: ModelConfig): ParameterSpec[] {
  const { vocabularySize: V, hiddenSize: D, layers } = config;
  return [
    { name: 'model.embed_tokens.weight', shape: [V, D], role: 'embedding' },
    ...Array.from({ length: layers }, (_, layer) => rotaryLayerSpecs(config, layer)).flat(),
    { name: 'model.norm.weight', shape: [D], role: 'norm' },
  ];
}

function rotaryLayerSpecs(config: ModelConfig, layer: number): ParameterSpec[] {
  const { hiddenSize: D, intermediateSize, headSize, bias } = config;
  const queries = config.heads * headSize;
  const keys = config.keyValueHeads * headSize;
  const prefix = `model.layers.${layer}`;
  const norm = (name: string, size: number): ParameterSpec => {
    return { name: `${prefix}.${name}.weight`, shape: [size], role: 'norm', layer };
  };
  const linear = (name: string, output: number, input: number, hasBias: boolean): ParameterSpec[] => [
    { name: `${prefix}.${name}.weight`, shape: [output, input], role: 'matrix', layer },
    ...(hasBias ? [{ name: `${prefix}.${name}.bias`, shape: [output], role: 'bias' as const, layer }] : []),
  ];
  return [
    norm('input_layernorm', D),
    ...linear('self_attn.q_proj', queries, D, bias.queryKeyValue),
    ...linear('self_attn.k_proj', keys, D, bias.queryKeyValue),
    ...linear('self_attn.v_proj', keys, D, bias.queryKeyValue),
    ...(config.queryKeyNorm ? [norm('self_attn.q_norm', headSize), norm('self_attn.k_norm', headSize)] : []),
    ...linear('self_attn.o_proj', D, queries, bias.attentionOutput),
    norm('post_attention_layernorm', D),
    ...linear('mlp.gate_proj', intermediateSize, D, bias.mlp),
    ...linear('mlp.up_proj', intermediateSize, D, bias.mlp),
    ...linear('mlp.down_proj', D, intermediateSize, bias.mlp),
  ];
}

function gpt2Specs(config: ModelConfig): ParameterSpec[] {
  const { vocabularySize: V, hiddenSize: D, maxPositions, layers } = config;
  return [
    { name: 'transformer.wte.weight', shape: [V, D], role: 'embedding' },
    { name: 'transformer.wpe.weight', shape: [maxPositions, D], role: 'embedding' },
    ...Array.from({ length: layers }, (_, layer) => gpt2LayerSpecs(config, layer)).flat(),
    { name: 'transformer.ln_f.weight', shape: [D], role: 'norm' },
    { name: 'transformer.ln_f.bias', shape: [D], role: 'bias' },
  ];
}

function gpt2LayerSpecs(config: ModelConfig, layer: number): ParameterSpec[] {
  const { hiddenSize: D, intermediateSize } = config;
  const prefix = `transformer.h.${layer}`;
  const withBias = (name: string, role: 'norm' | 'matrix', shape: number[]): ParameterSpec[] => [
    { name: `${prefix}.${name}.weight`, shape, role, layer },
    { name: `${prefix}.${name}.bias`, shape: [shape[shape.length - 1]], role: 'bias', layer },
  ];
  return [
    ...withBias('ln_1', 'norm', [D]),
    ...withBias('attn.c_attn', 'matrix', [D, 3 * D]),
    ...withBias('attn.c_proj', 'matrix', [D, D]),
    ...withBias('ln_2', 'norm', [D]),
    ...withBias('mlp.c_fc', 'matrix', [D, intermediateSize]),
    ...withBias('mlp.c_proj', 'matrix', [intermediateSize, D]),
  ];
}

const residualOutputs = /\.(o_proj|down_proj|c_proj)\.weight$/;

/**
 * A freshly drawn parameter: normal(0, initializerRange); the matrices that write into the residual stream have that
 * divided by √(2·layers), so that its variance does not grow with depth (Radford et al. 2019, §2.3; used here for every
 * family). Norm weights are 1, biases 0.
 * @param index the parameter's place in `parameterSpecs`: the step of its random numbers
 */
export function initialParameter(
  spec: ParameterSpec,
  config: ModelConfig,
  seed: number,
  index: number,
): Float32Array {
  const values = new Float32Array(elements(spec.shape));
  if (spec.role === 'bias') return values;
  if (spec.role === 'norm') return values.fill(1);
  const depth = residualOutputs.test(spec.name) ? Math.sqrt(2 * config.layers) : 1;
  const deviation = config.initializerRange / depth;
  const random = new Random(seed, 'initialisation');
  for (let i = 0; i < values.length; i++) values[i] = deviation * random.normal(index, i);
  return values;
}

/** Number of scalars; tied weights count once. */
export function countParameters(config: ModelConfig): number {
  return parameterSpecs(config).reduce((sum, { shape }) => sum + elements(shape), 0);
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
