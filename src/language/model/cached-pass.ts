// The pass that generation runs: new tokens of each row attend to the row's cached keys and values and to each other.
// The graph reads the caches as inputs and gives back only the new keys and values; whoever owns the caches appends
// them. Scores of the two parts are joined before the softmax, so the caches themselves are never copied. Where the
// runtime appends in place, one operation does all this for a step's single token and reads filled places only.

import {
  add,
  appendAndAttend,
  concat,
  constant,
  expand,
  input,
  less,
  lessOrEqual,
  log,
  matmul,
  max,
  multiply,
  reshape,
  select,
  slice,
  softmax,
  subtract,
  transpose,
} from '../../engine/graph/build.ts';
import { makeNode } from '../../engine/graph/shapes.ts';
import { type Outputs, rewrite } from '../../engine/graph/simplify.ts';
import type { Attributes, OpKind, Tensor } from '../../engine/graph/tensor.ts';
import type { ModelConfig } from './config.ts';
import { type Heads, hiddenStates, outputLogits } from './forward.ts';
import { forbidden } from './full-pass.ts';
import { type Weights, weightInputs } from './weights.ts';

export interface CachedShape {
  /** B */
  rows: number;
  /** T, new tokens a row; shorter rows are padded behind */
  length: number;
  /** Places a row has in each block of its cache, C together; none for the first tokens of rows */
  blocks: readonly number[];
  /** One new token a row is put into the only block by the pass itself. */
  isAppending?: boolean;
}

/** Names of a layer's cached keys and values in a block (inputs). */
export const cachedNames = (layer: number, block: number) => ({
  keys: `cached_keys.${layer}.${block}`,
  values: `cached_values.${layer}.${block}`,
});

/** Names of a layer's new keys and values (outputs). */
export const newNames = (layer: number) => ({ keys: `new_keys.${layer}`, values: `new_values.${layer}` });

/**
 * The outputs of a pass over new tokens.
 *
 * Inputs besides the parameters: `tokens` int [B,T]; `cachedLengths` int [B], how many places of each row's cache are
 * filled; `lastTokens` int [B] when T > 1, the index in [B·T] of the token whose successor is wanted;
 * `inverseTemperature` [B,1] > 0; and per layer and block of c places the cached keys and values [B,K,c,dh].
 *
 * Outputs: `logits` [B,V]; `probabilities` [B,V], softmax(logits · inverseTemperature); `logNormaliser` [B,1], the
 * log of Σ e^logits in nats; and per layer the new keys and values [B,K,T,dh], or when appending the whole block with
 * them [B,K,c,dh].
 */
export function cachedPass(
  weights: Weights,
  { rows: B, length: T, blocks, isAppending }: CachedShape,
): Outputs {
  const { config } = weights;
  const parameters = weightInputs(weights);
  const tokens = input('tokens', [B, T], 'int');
  const lengths = input('cachedLengths', [B], 'int');
  const C = blocks.reduce((sum, places) => sum + places, 0);
  const positionCount = Math.min(C + T, config.maxPositions);
  const bias = cacheBias(lengths, T, C);
  const fresh: Record<string, Tensor> = {};
  const places = T === 1 ? undefined : input('lastTokens', [B], 'int');
  const hidden = hiddenStates(
    config,
    parameters,
    { tokens, positions: positionsAfter(lengths, T, positionCount), positionCount, places },
    (layer, heads, scale) => {
      const names = newNames(layer);
      const cached = blocks.map((places, block) => cachedInputs(config, layer, block, [B, places]));
      if (isAppending) {
        const { attended, keys, values } = appendAndAttend(
          multiply(heads.query, scale),
          heads,
          cached[0],
          lengths,
        );
        Object.assign(fresh, { [names.keys]: keys, [names.values]: values });
        return attended;
      }
      Object.assign(fresh, { [names.keys]: heads.key, [names.values]: heads.value });
      return attendCached(heads, cached, bias, scale);
    },
  );
  return weightsFirst({ ...scoreNextTokens(outputLogits(config, parameters, hidden)), ...fresh });
}

/** int [B,T]: cached length + t. Padding may lie beyond the last position and counts as that one. */
function positionsAfter(lengths: Tensor, T: number, positionCount: number): Tensor {
  const steps = constant(count(T), [1, T], 'int');
  const positions = add(reshape(lengths, [lengths.shape[0], 1]), steps);
  const last = constant(positionCount - 1, [], 'int');
  return select(less(positions, last), positions, last);
}

const count = (size: number): number[] => Array.from({ length: size }, (_, i) => i);

/** [B,1,T,C+T]: 0 for filled places of the cache and for new tokens up to the query's own, else `forbidden`. */
function cacheBias(lengths: Tensor, T: number, C: number): Tensor {
  const [B] = lengths.shape;
  const isPast = lessOrEqual(
    constant(count(T), [1, 1, 1, T], 'int'),
    constant(count(T), [1, 1, T, 1], 'int'),
  );
  const causal = expand(select(isPast, 0, forbidden), [B, 1, T, T]);
  if (C === 0) return causal;
  const isFilled = less(constant(count(C), [1, 1, 1, C], 'int'), reshape(lengths, [B, 1, 1, 1]));
  return concat([expand(select(isFilled, 0, forbidden), [B, 1, T, C]), causal], 3);
}

interface KeysAndValues {
  /** [B,K,places,dh] */
  keys: Tensor;
  values: Tensor;
}

function cachedInputs(
  { keyValueHeads, headSize }: ModelConfig,
  layer: number,
  block: number,
  [B, places]: readonly [number, number],
): KeysAndValues {
  const shape = [B, keyValueHeads, places, headSize];
  const names = cachedNames(layer, block);
  return { keys: input(names.keys, shape), values: input(names.values, shape) };
}

/** softmax(scale · Q·[cached K; new K]ᵀ + bias)·[cached V; new V], heads of a group below each other: [B,H,T,dh]. */
function attendCached(
  { query, key, value }: Heads,
  cached: readonly KeysAndValues[],
  bias: Tensor,
  scale: number,
): Tensor {
  const [B, H, T, dh] = query.shape;
  const K = key.shape[1];
  const rows = (H / K) * T;
  const parts = [...cached, { keys: key, values: value }];
  // Scaled beforehand: the runtime's kernel for a single row, which reads the keys twice as fast, knows no scale.
  const grouped = reshape(multiply(query, scale), [B, K, rows, dh]);
  const scores = parts.map(({ keys }) =>
    reshape(matmul(grouped, keys, { transposeB: true }), [B, H, T, keys.shape[2]]),
  );
  const probabilities = softmax(add(concat(scores, 3), bias));
  let start = 0;
  const attended = parts.map(({ values }) => {
    const places = values.shape[2];
    const own = slice(probabilities, 3, start, start + places);
    start += places;
    return matmul(reshape(own, [B, K, rows, places]), values);
  });
  return reshape(attended.reduce(add), query.shape);
}

/**
 * The same outputs with X·Wᵀ computed as (W·Xᵀ)ᵀ when X has few rows. The runtime repacks the right factor at every
 * run, and X is the smaller: measured 1.1 times as fast at 64 rows, 1.3 times at 16. Between two products the
 * transposed form is kept: an elementwise operation on transposes is the transpose of the operation.
 */
function weightsFirst(outputs: Outputs): Outputs {
  return rewrite(outputs, (node, inputs) => {
    const { kind } = node;
    const [x, weight] = inputs;
    if (elementwise.has(kind) && inputs.every(isTransposed)) {
      const untransposed = inputs.map((t) => t.node.inputs[0]);
      return [transpose(makeNode(kind, untransposed, node.attributes).outputs[0], [1, 0])];
    }
    if (kind !== 'matmul' || weight.node.kind !== 'input' || weight.shape.length !== 2) return undefined;
    const { transposeA, transposeB } = node.attributes as Attributes['matmul'];
    const [rows] = x.shape;
    if (transposeA || !transposeB || rows < 8 || rows > 256) return undefined;
    const product = isTransposed(x)
      ? matmul(weight, x.node.inputs[0])
      : matmul(weight, x, { transposeB: true });
    return [transpose(product, [1, 0])];
  });
}

const elementwise: ReadonlySet<OpKind> = new Set<OpKind>(['silu', 'multiply']);
const isTransposed = ({ node, shape }: Tensor): boolean => node.kind === 'transpose' && shape.length === 2;

function scoreNextTokens(logits: Tensor): Record<string, Tensor> {
  const inverseTemperature = input('inverseTemperature', [logits.shape[0], 1]);
  // The largest logit less the log of its probability: one vectorised softmax instead of exp and sum.
  const logNormaliser = subtract(max(logits, [1]), log(max(softmax(logits), [1])));
  return { logits, probabilities: softmax(multiply(logits, inverseTemperature)), logNormaliser };
}
