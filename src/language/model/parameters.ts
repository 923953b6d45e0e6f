// The parameter table: every tensor of a model by its Hugging Face name, in one canonical order, in the layout in which
// Hugging Face stores it: Linear weights are [out, in], those of a transposed layout [in, out].

import { Random } from '../../engine/random.ts';
import type { ModelConfig } from './config.ts';
import { families } from './families/index.ts';

export interface ParameterSpec {
  /** Hugging Face state-dict name; GPT-2's have the prefix `transformer.`. */
  name: string;
  shape: readonly number[];
  role: 'embedding' | 'matrix' | 'norm' | 'bias';
  /** Of a matrix that writes into the residual stream. */
  isResidualOutput?: true;
  /** Absent outside the layers. */
  layer?: number;
}

/** All parameters in canonical order. A tied output has no lm_head.weight. */
export function parameterSpecs(config: ModelConfig): ParameterSpec[] {
  const { vocabularySize: V, hiddenSize: D, maxPositions, layers } = config;
  const { tokens, positions, finalNorm } = families[config.family].layout;
  return [
    { name: tokens, shape: [V, D], role: 'embedding' },
    ...(positions ? [{ name: positions, shape: [maxPositions, D], role: 'embedding' as const }] : []),
    ...Array.from({ length: layers }, (_, layer) => layerSpecs(config, layer)).flat(),
    ...normSpecs(config, finalNorm),
    ...(config.tiedOutput ? [] : [{ name: 'lm_head.weight', shape: [V, D], role: 'matrix' as const }]),
  ];
}

function layerSpecs(config: ModelConfig, layer: number): ParameterSpec[] {
  const { layout } = families[config.family];
  const prefix = layout.layer(layer);
  const linear = linearLayers(config, layer).map((module) => linearSpecs(module, layout.isTransposed));
  const inputs = layout.queryKeyValue.length;
  const headNorms = config.queryKeyNorm ? (layout.headNorms ?? []) : [];
  const specs = [
    ...normSpecs(config, prefix + layout.attentionNorm),
    ...linear.slice(0, inputs).flat(),
    ...headNorms.map((name) => ({
      ...{ name: `${prefix}${name}.weight`, shape: [config.headSize], role: 'norm' as const },
    })),
    ...linear[inputs],
    ...normSpecs(config, prefix + layout.mlpNorm),
    ...linear.slice(inputs + 1).flat(),
  ];
  return specs.map((spec) => ({ ...spec, layer }));
}

function normSpecs({ norm, hiddenSize: D }: ModelConfig, name: string): ParameterSpec[] {
  const weight: ParameterSpec = { name: `${name}.weight`, shape: [D], role: 'norm' };
  return norm.kind === 'rms' ? [weight] : [weight, { name: `${name}.bias`, shape: [D], role: 'bias' }];
}

function linearSpecs(
  { name, input, output, ...module }: LinearLayer,
  isTransposed: boolean,
): ParameterSpec[] {
  const weight: ParameterSpec = {
    name: `${name}.weight`,
    shape: isTransposed ? [input, output] : [output, input],
    role: 'matrix',
    ...(module.isResidualOutput && { isResidualOutput: true }),
  };
  return module.hasBias ? [weight, { name: `${name}.bias`, shape: [output], role: 'bias' }] : [weight];
}

export interface LinearLayer {
  /** Full name of the module, such as `model.layers.0.self_attn.q_proj`. */
  name: string;
  part: 'attention' | 'mlp';
  input: number;
  output: number;
  hasBias: boolean;
  isResidualOutput: boolean;
}

/** The linear layers of a block, in the order in which they are computed. */
export function linearLayers(config: ModelConfig, layer: number): LinearLayer[] {
  const { hiddenSize: D, intermediateSize, bias } = config;
  const { layout } = families[config.family];
  const queries = config.heads * config.headSize;
  const keys = config.keyValueHeads * config.headSize;
  const widths = layout.queryKeyValue.length === 1 ? [queries + 2 * keys] : [queries, keys, keys];
  const named = (part: LinearLayer['part'], name: string, input: number, output: number): LinearLayer => ({
    ...{ name: layout.layer(layer) + name, part, input, output },
    hasBias: part === 'mlp' ? bias.mlp : bias.queryKeyValue,
    isResidualOutput: false,
  });
  const { gate, up, down } = layout.mlp;
  return [
    ...layout.queryKeyValue.map((name, i) => named('attention', name, D, widths[i])),
    {
      ...named('attention', layout.attentionOutput, queries, D),
      ...{ hasBias: bias.attentionOutput, isResidualOutput: true },
    },
    ...(gate ? [named('mlp', gate, D, intermediateSize)] : []),
    named('mlp', up, D, intermediateSize),
    { ...named('mlp', down, intermediateSize, D), isResidualOutput: true },
  ];
}

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
  const depth = spec.isResidualOutput ? Math.sqrt(2 * config.layers) : 1;
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
