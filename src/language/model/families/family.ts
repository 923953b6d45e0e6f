// What a decoder family declares, so that no other file asks which one it has: its names at Hugging Face, its part of
// config.json, its tensors, and what a new model of it is like.

import type { Activation, ModelConfig } from '../config.ts';
import type { Fields } from '../config-fields.ts';

export interface Family {
  /** Transformers' classes: with the output head, with a scalar head, and with neither. */
  architectures: { causal: string; classifier: string; bare: string };
  /** Keys of config.json whose other values mean what heed does not compute, besides those that hold for every family. */
  restrictions: readonly Restriction[];
  /** @throws FormatError naming the key for a missing, absurd or unsupported value */
  parse(fields: Fields): ParsedConfig;
  /** The keys of `parse` that are not of every family. */
  toJson(config: ModelConfig): Record<string, unknown>;
  /** Whether a config.json that says nothing of it ties the output to the embedding. */
  isTiedUnlessSaid: boolean;
  layout: Layout;
  /** Of a model that is made from nothing, as the family publishes it. */
  design: Pick<ModelConfig, 'norm' | 'positions' | 'mlp' | 'bias' | 'queryKeyNorm'>;
  /** Width of the MLP of such a model. */
  intermediateSize(hiddenSize: number): number;
  /** Whether several heads may share a key and a value. */
  hasGroupedQueries: boolean;
}

/** What is the same in every family's config.json is read once, in config-json.ts. */
export type ParsedConfig = Omit<
  ModelConfig,
  'family' | 'vocabularySize' | 'tiedOutput' | 'initializerRange' | 'tokens'
>;

export interface Restriction {
  key: string;
  /** The one value that heed's forward pass has; absent and null are fine too. */
  only?: unknown;
}

/** Hugging Face's names of the tensors, and how they lie. `.weight` and `.bias` follow a module's name. */
export interface Layout {
  /** Of every name but the output head's. */
  prefix: string;
  /** Names that some files have without the prefix. */
  bareNames: RegExp;
  /** Causal masks and rotary frequencies that older Transformers stored beside the parameters. */
  buffers: RegExp;
  /** Linear weights are [in, out], not [out, in]. */
  isTransposed: boolean;
  tokens: string;
  /** Of learned positions. */
  positions?: string;
  finalNorm: string;
  /** What the names of a layer's modules begin with; those that follow here are within a layer. */
  layer: (layer: number) => string;
  attentionNorm: string;
  /** One module that gives queries, keys and values side by side, or three. */
  queryKeyValue: readonly [joined: string] | readonly [query: string, key: string, value: string];
  /** Norms of each head of queries and keys. */
  headNorms?: readonly [query: string, key: string];
  attentionOutput: string;
  mlpNorm: string;
  /** `gate` belongs to a gated MLP. */
  mlp: { gate?: string; up: string; down: string };
}

/** The largest sizes that are believed: well above any published model, far below what would exhaust memory. */
export const limits = {
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

export function parseActivation(fields: Fields, key: string, fallback: string): Activation {
  const name = fields.string(key, fallback);
  if (Object.hasOwn(activations, name)) return activations[name];
  throw fields.fault(key, `one of ${Object.keys(activations).join(', ')}`);
}

/** Keys that must be absent. */
export function without(...keys: string[]): Restriction[] {
  return keys.map((key) => ({ key }));
}

/** Keys that may have one value only. */
export function always(only: unknown, ...keys: string[]): Restriction[] {
  return keys.map((key) => ({ key, only }));
}
