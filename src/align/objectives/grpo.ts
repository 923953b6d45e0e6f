// GRPO: the loss of a policy that learns from several completions of each prompt, without a value model.
// Shao et al. 2024 (arXiv:2402.03300). The means over tokens differ from paper to paper; `tokenWeight` has them.

import { add, less, multiply, negate, select, subtract, total } from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import { tokenKl } from './kl.ts';
import {
  type ClippedShares,
  clippedShares,
  clippedSurrogate,
  probabilityRatio,
} from './probability-ratio.ts';
import { requireAbove, requireSameShape } from './requirements.ts';

/**
 * Over what the loss of an update is averaged: `sequence`, the tokens of each completion and then the completions (Shao
 * et al. 2024); `token`, all tokens (DAPO, Yu et al. 2025, arXiv:2503.14476); `constant`, completions × a fixed length,
 * so that no completion's tokens weigh less for its length (Liu et al. 2025, arXiv:2503.20783).
 */
export type LossMean = 'sequence' | 'token' | 'constant';
export const lossMeans: readonly LossMean[] = ['sequence', 'token', 'constant'];

/**
 * What each token of a completion weighs in the mean over an update: Σ weight · x is the mean, however the completions
 * are cut into micro-batches.
 * @param counts tokens of each completion of the update
 * @param fixedLength of `constant`
 * @returns one number per completion
 */
export function tokenWeight(mean: LossMean, counts: readonly number[], fixedLength: number): number[] {
  const all = counts.reduce((sum, count) => sum + count, 0);
  const weightOf: { readonly [K in LossMean]: (count: number) => number } = {
    sequence: (count) => 1 / (counts.length * count),
    token: () => 1 / all,
    constant: () => 1 / (counts.length * fixedLength),
  };
  return counts.map(weightOf[mean]);
}

export interface GroupTokens {
  /** log π, [M] nats, differentiated. */
  newLogProbs: Tensor;
  /** log π of the policy that the completions were drawn from, [M] nats, constant; absent while it is the same policy. */
  oldLogProbs?: Tensor;
  /** log π_ref, [M] nats, constant; absent when β = 0. */
  referenceLogProbs?: Tensor;
  /** A of the token's completion, [M], constant. */
  advantages: Tensor;
  /** Of the loss's mean, [M], constant, 0 on padding. */
  lossWeights: Tensor;
  /** 1/N for each of the update's N tokens, 0 on padding: of measures, [M], constant. */
  tokenWeights: Tensor;
}

export interface GroupLossOptions {
  /** ε_low, ε_high > 0. */
  clipLow: number;
  clipHigh: number;
  /** β ≥ 0. */
  beta: number;
}

/** All scalars; means over the update's tokens but for the objective. */
export interface GroupMeasures extends ClippedShares {
  /** The loss's value, see below. */
  objective: Tensor;
  /** k3, nats; absent without a reference. */
  kl?: Tensor;
}

/**
 * mean [max(−Aρ, −A·clip(ρ, 1−ε_low, 1+ε_high)) + β·k3], ρ = π/π_old of a token. Shao et al. 2024, Eq. 3 and 4; two
 * bounds after Yu et al. 2025, Eq. 10 (arXiv:2503.14476). Without old log-probabilities the policy is still the old one:
 * ρ is 1 and its gradient that of log π, so the loss is −A·log π + β·k3, and `objective` has the value with ρ = 1.
 * @returns a scalar loss and measures
 * @throws ShapeError unless all have one shape; UserError when an ε is not > 0 or β not ≥ 0
 */
export function groupPolicyLoss(
  { newLogProbs, oldLogProbs, referenceLogProbs, advantages: A, lossWeights, tokenWeights }: GroupTokens,
  { clipLow, clipHigh, beta }: GroupLossOptions,
): { loss: Tensor; measures: GroupMeasures } {
  requireAbove('GRPO: clipLow', clipLow, 0);
  requireAbove('GRPO: clipHigh', clipHigh, 0);
  requireAbove('GRPO: beta', beta, 0, { isIncluded: true });
  requireSameShape('GRPO', {
    ...{ newLogProbs, advantages: A, lossWeights, tokenWeights },
    ...(oldLogProbs && { oldLogProbs }),
    ...(referenceLogProbs && { referenceLogProbs }),
  });
  const isToken = less(0, tokenWeights);
  const mean = (x: Tensor) => total(multiply(x, lossWeights));
  const tokenMean = (x: Tensor) => total(multiply(x, tokenWeights));
  const k3 = referenceLogProbs && select(isToken, tokenKl('k3', newLogProbs, referenceLogProbs), 0);
  const withKl = (perToken: Tensor) =>
    k3 === undefined || beta === 0 ? mean(perToken) : mean(add(perToken, multiply(k3, beta)));
  const logRatio = select(isToken, oldLogProbs ? subtract(newLogProbs, oldLogProbs) : multiply(A, 0), 0);
  const ratio = probabilityRatio(logRatio);
  const objective = withKl(clippedSurrogate(ratio, A, clipLow, clipHigh));
  return {
    loss: oldLogProbs ? objective : withKl(negate(multiply(A, select(isToken, newLogProbs, 0)))),
    measures: {
      objective,
      ...(k3 && { kl: tokenMean(k3) }),
      ...clippedShares(ratio, A, { clipLow, clipHigh }, tokenMean),
    },
  };
}
