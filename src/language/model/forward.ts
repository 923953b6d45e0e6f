// The decoder's forward pass as a graph: one function for all families, steered by the configuration.
// How a layer attends (over whole rows, or over a cache) comes in as a function.

import {
  add,
  gatherRows,
  gelu,
  geluTanh,
  layerNorm,
  matmul,
  multiply,
  relu,
  reshape,
  rmsNorm,
  rotary,
  silu,
  slice,
  transpose,
} from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import { adapterNames } from './adapter.ts';
import type { Activation, ModelConfig } from './config.ts';
import type { Layout } from './families/family.ts';
import { families } from './families/index.ts';
import { rotaryTables } from './rotary.ts';

/** A model's parameters as inputs of a graph, by their Hugging Face names; see weights.ts. */
export type Parameters = Readonly<Record<string, Tensor>>;

/** The name under which an adapter's scaling s stands among the parameters. */
export const loraScaling = 'lora_scaling';
/** The name of the mask that training drops inputs of a module's adapter by: [N, in], 0 or 1 / (1 − rate). */
export const loraDropout = (module: string): string => `${module}.lora_dropout`;

export interface Heads {
  /** [B,H,T,dh] */
  query: Tensor;
  /** [B,K,T,dh], K the number of key-value heads */
  key: Tensor;
  value: Tensor;
}
/** From a layer's heads to the attended values [B,H,T,dh]. */
export type Attend = (layer: number, heads: Heads, scale: number) => Tensor;

export interface HiddenInputs {
  /** int [B,T] */
  tokens: Tensor;
  /** int [B,T], each below `positionCount` */
  positions: Tensor;
  positionCount: number;
  /** int [M], rows of [B·T] whose states are wanted. Default: all */
  places?: Tensor;
}

/**
 * The final normalised hidden states, [M, D] or [B·T, D]. After the last attention only wanted places go on: no other
 * token looks at what the last layer makes of them.
 */
export function hiddenStates(
  config: ModelConfig,
  parameters: Parameters,
  { tokens, positions, positionCount, places }: HiddenInputs,
  attend: Attend,
): Tensor {
  const [B, T] = tokens.shape;
  const { layout } = families[config.family];
  const place: Placement = { B, T, positions, tables: rotaryTables(config, positionCount) };
  let x = gatherRows(parameters[layout.tokens], tokens);
  if (layout.positions) x = add(x, gatherRows(parameters[layout.positions], positions));
  x = reshape(x, [B * T, config.hiddenSize]);
  for (let layer = 0; layer < config.layers; layer++) {
    const own = layerParameters(parameters, layout.layer(layer));
    const normed = norm(config, own, layout.attentionNorm, x);
    let attended = attendedValues(config, own, normed, place, layer, attend);
    if (places && layer === config.layers - 1) {
      [x, attended] = [gatherRows(x, places), gatherRows(attended, places)];
    }
    x = add(x, attentionOutput(config, own, attended));
    x = add(x, mlpBlock(config, own, norm(config, own, layout.mlpNorm, x)));
  }
  return norm(config, layerParameters(parameters, ''), layout.finalNorm, x);
}

/** Scores of every next token for hidden states [N,D]: [N,V]. */
export function outputLogits(config: ModelConfig, parameters: Parameters, hidden: Tensor): Tensor {
  const table = config.tiedOutput ? families[config.family].layout.tokens : 'lm_head.weight';
  return matmul(hidden, parameters[table], { transposeB: true });
}

interface Placement {
  B: number;
  T: number;
  positions: Tensor;
  tables?: { cosine: Tensor; sine: Tensor };
}
/** A layer's parameters by their name within the layer. */
interface Own {
  (name: string): Tensor;
  lora: (module: string) => LoraTensors | undefined;
}

interface LoraTensors {
  A: Tensor;
  B: Tensor;
  scaling: Tensor;
  dropout: Tensor | undefined;
}

function layerParameters(parameters: Parameters, prefix: string): Own {
  const own = (name: string) => parameters[prefix + name] ?? missing(prefix + name);
  const lora = (module: string) => {
    const { A, B } = adapterNames(prefix + module);
    if (!parameters[A]) return undefined;
    const dropout = parameters[loraDropout(prefix + module)];
    return { A: parameters[A], B: parameters[B], scaling: parameters[loraScaling], dropout };
  };
  return Object.assign(own, { lora });
}

function missing(name: string): never {
  throw new Error(`the parameter table lacks ${name}`);
}

function norm({ norm: { kind, epsilon } }: ModelConfig, own: Own, name: string, x: Tensor): Tensor {
  const weight = own(`${name}.weight`);
  return kind === 'rms' ? rmsNorm(x, weight, epsilon) : layerNorm(x, weight, own(`${name}.bias`), epsilon);
}

/** x·Wᵀ + b with W [out,in], or x·W + b in a transposed layout; under an adapter s·x·Aᵀ·Bᵀ more. */
function linear(config: ModelConfig, own: Own, name: string, hasBias: boolean, x: Tensor): Tensor {
  const { isTransposed } = families[config.family].layout;
  const product = matmul(x, own(`${name}.weight`), { transposeB: !isTransposed });
  const y = hasBias ? add(product, own(`${name}.bias`)) : product;
  const lora = own.lora(name);
  if (!lora) return y;
  const { A, B, scaling, dropout } = lora;
  const low = matmul(dropout ? multiply(x, dropout) : x, A, { transposeB: true });
  return add(y, matmul(multiply(low, scaling), B, { transposeB: true }));
}

/** [B·T, H·dh] */
function attendedValues(
  config: ModelConfig,
  own: Own,
  x: Tensor,
  place: Placement,
  layer: number,
  attend: Attend,
): Tensor {
  const { B, T } = place;
  const { heads, keyValueHeads, headSize } = config;
  const { layout } = families[config.family];
  const [queryNorm, keyNorm] = layout.headNorms ?? [];
  const [q, k, v] = queryKeyValue(config, own, layout, x);
  const query = splitHeads(turn(headNorm(config, own, queryNorm, q, heads), place, heads), place, heads);
  const key = splitHeads(
    turn(headNorm(config, own, keyNorm, k, keyValueHeads), place, keyValueHeads),
    place,
    keyValueHeads,
  );
  const value = splitHeads(v, place, keyValueHeads);
  const attended = attend(layer, { query, key, value }, 1 / Math.sqrt(headSize));
  return reshape(transpose(attended, [0, 2, 1, 3]), [B * T, heads * headSize]);
}

function attentionOutput(config: ModelConfig, own: Own, attended: Tensor): Tensor {
  const { attentionOutput } = families[config.family].layout;
  return linear(config, own, attentionOutput, config.bias.attentionOutput, attended);
}

function queryKeyValue(config: ModelConfig, own: Own, { queryKeyValue: names }: Layout, x: Tensor): Tensor[] {
  const parts = names.map((name) => linear(config, own, name, config.bias.queryKeyValue, x));
  if (parts.length === 3) return parts;
  const [queries, keys] = [config.heads * config.headSize, config.keyValueHeads * config.headSize];
  const bounds = [0, queries, queries + keys, queries + 2 * keys];
  return [0, 1, 2].map((part) => slice(parts[0], 1, bounds[part], bounds[part + 1]));
}

/** Qwen3 normalises each head of queries and keys. */
function headNorm(config: ModelConfig, own: Own, name: string | undefined, x: Tensor, heads: number): Tensor {
  if (!config.queryKeyNorm) return x;
  const rows = reshape(x, [x.shape[0] * heads, config.headSize]);
  return reshape(rmsNorm(rows, own(`${name}.weight`), config.norm.epsilon), x.shape);
}

function turn(x: Tensor, { B, T, positions, tables }: Placement, heads: number): Tensor {
  const rows = reshape(x, [B, T, x.shape[1]]);
  return tables ? rotary(rows, positions, tables.cosine, tables.sine, heads) : rows;
}

function splitHeads(x: Tensor, { B, T }: Placement, heads: number): Tensor {
  const width = x.shape[x.shape.length - 1] / heads;
  return transpose(reshape(x, [B, T, heads, width]), [0, 2, 1, 3]);
}

const activations: { [A in Activation]: (x: Tensor) => Tensor } = { silu, gelu, gelu_tanh: geluTanh, relu };

function mlpBlock(config: ModelConfig, own: Own, x: Tensor): Tensor {
  const activate = activations[config.mlp.activation];
  const { gate, up, down } = families[config.family].layout.mlp;
  const project = (name: string, from: Tensor) => linear(config, own, name, config.bias.mlp, from);
  if (gate) return project(down, multiply(activate(project(gate, x)), project(up, x)));
  return project(down, activate(project(up, x)));
}
