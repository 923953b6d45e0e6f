// The whole-row pass: windows of packed rows in, log-probabilities of chosen targets out. Rows of a window do not
// see each other, except a prompt that several completions share, and only positions that have a target reach the
// output head.

import {
  and,
  attention,
  cast,
  concat,
  constant,
  equal,
  input,
  lessOrEqual,
  max,
  multiply,
  pickAtIndex,
  reshape,
  select,
  slice,
  softmax,
  subtract,
  sum,
  targetLogProbs,
} from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import type { ModelConfig } from './config.ts';
import { type Attend, type Heads, hiddenStates, outputLogits, type Parameters } from './forward.ts';

/** What forbids a look: large enough to vanish in the softmax, small enough to stay finite when added. */
export const forbidden = -1e30;
/** At most this many logits are alive in one piece (32 MB of float32). */
const largestLogitsPiece = 2 ** 23;
/** Queries that share their keys; shorter stretches would compute fewer dead scores, in more and smaller products. */
const stretch = 128;

export interface WindowShape {
  /** Windows a run (B) and tokens a window (T). */
  windows: number;
  length: number;
  /** Whether rows of a window may see another row, their prompt. Default: false. */
  sharesPrompts?: boolean;
}

export interface WindowInputs {
  /** int [B,T] */
  tokens: Tensor;
  /** int [B,T], counted from 0 in each row */
  positions: Tensor;
  /** int [B,T], the row of the window that a token belongs to; padding is a row of its own */
  segments: Tensor;
  /** int [B,T], the row that a token sees beside its own, its own where there is none; absent where there is none at all */
  parents?: Tensor;
}

export function windowInputs({ windows, length, sharesPrompts }: WindowShape): WindowInputs {
  const shape = [windows, length];
  return {
    tokens: input('tokens', shape, 'int'),
    positions: input('positions', shape, 'int'),
    segments: input('segments', shape, 'int'),
    ...(sharesPrompts && { parents: input('parents', shape, 'int') }),
  };
}

/**
 * Final hidden states of windows in which each row attends to its own past, and to that of its parent.
 * @param places int [M], rows of [B·T]. Default: all
 * @returns [M, D] or [B·T, D]
 */
export function windowStates(
  config: ModelConfig,
  parameters: Parameters,
  inputs: WindowInputs,
  places?: Tensor,
): Tensor {
  const [, T] = inputs.tokens.shape;
  const bias = blockCausalBias(inputs);
  const attend: Attend = (_layer, heads, scale) => attendToPast(heads, bias, scale);
  return hiddenStates(config, parameters, { ...inputs, positionCount: T, places }, attend);
}

/** Causal attention in stretches of queries, each against the keys up to its own end: no scores of later stretches. */
function attendToPast({ query, key, value }: Heads, bias: Tensor, scale: number): Tensor {
  const T = query.shape[2];
  const parts: Tensor[] = [];
  for (let start = 0; start < T; start += stretch) {
    const end = Math.min(T, start + stretch);
    const own = (x: Tensor) => slice(x, 2, start, end);
    const past = (x: Tensor, axis: number) => slice(x, axis, 0, end);
    parts.push(attention(own(query), past(key, 2), past(value, 2), past(own(bias), 3), scale));
  }
  return concat(parts, 2);
}

/** [B,1,T,T]: 0 where query t may see key s (s ≤ t, same row or the parent), else `forbidden`. */
function blockCausalBias({ segments, parents }: WindowInputs): Tensor {
  const [B, T] = segments.shape;
  const order = Array.from({ length: T }, (_, i) => i);
  const isPast = lessOrEqual(constant(order, [1, 1, T], 'int'), constant(order, [1, T, 1], 'int'));
  const pastOf = (rows: Tensor, otherwise: number | Tensor) => {
    const isKeyOf = equal(reshape(rows, [B, T, 1]), reshape(segments, [B, 1, T]));
    return select(and(isKeyOf, isPast), 0, otherwise);
  };
  const own = pastOf(segments, forbidden);
  return reshape(parents ? pastOf(parents, own) : own, [B, 1, T, T]);
}

/** What the model says of each target; every tensor is [M]. */
export interface TargetStatistics {
  /** nats */
  logProbs: Tensor;
  /** 1 where no other token has a larger logit */
  isFirstChoice: Tensor;
  /** of the distribution that the target is drawn from, nats; differentiable */
  entropy: Tensor;
}

/**
 * Statistics of targets under softmax(logits / temperature).
 * @param hidden  [M, D], final states of the tokens that have one
 * @param targets int [M], the token that follows each
 * @param temperature > 0
 */
export function targetStatistics(
  config: ModelConfig,
  parameters: Parameters,
  hidden: Tensor,
  targets: Tensor,
  temperature = 1,
): TargetStatistics {
  const [M] = targets.shape;
  const piece = Math.max(1, Math.min(M, Math.floor(largestLogitsPiece / config.vocabularySize)));
  const parts: TargetStatistics[] = [];
  for (let start = 0; start < M; start += piece) {
    const end = Math.min(M, start + piece);
    const raw = outputLogits(config, parameters, slice(hidden, 0, start, end));
    const logits = temperature === 1 ? raw : multiply(raw, 1 / temperature);
    parts.push(statisticsOfLogits(logits, slice(targets, 0, start, end)));
  }
  const join = (name: keyof TargetStatistics) =>
    concat(
      parts.map((part) => part[name]),
      0,
    );
  return { logProbs: join('logProbs'), isFirstChoice: join('isFirstChoice'), entropy: join('entropy') };
}

function statisticsOfLogits(logits: Tensor, targets: Tensor): TargetStatistics {
  const shape = targets.shape;
  const logProbs = targetLogProbs(logits, targets);
  const chosen = pickAtIndex(logits, targets);
  // H = log Σ e^z − Σ p·z, and log Σ e^z = z_target − log p_target.
  const expected = reshape(sum(multiply(softmax(logits), logits), [1]), shape);
  return {
    logProbs,
    isFirstChoice: cast(lessOrEqual(reshape(max(logits, [1]), shape), chosen), 'float'),
    entropy: subtract(subtract(chosen, logProbs), expected),
  };
}
