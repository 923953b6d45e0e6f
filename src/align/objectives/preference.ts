// Losses on pairs of answers to one prompt, of which people chose one: DPO and its relatives. Each kind compares the
// pair by an implicit reward and says what the margin between the two costs. KTO, for single answers, is in kto.ts.

import { UserError } from '../../engine/errors.ts';
import {
  add,
  cast,
  divide,
  less,
  log,
  logSigmoid,
  minimum,
  multiply,
  negate,
  relu,
  subtract,
  tanh,
} from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import { requireAbove, requireSameShape } from './requirements.ts';

/** In names, `sum` and `mean` say whether a log-ratio is summed over completion tokens or averaged over them. */
export type PreferenceLossKind =
  | 'dpo'
  | 'cdpo'
  | 'robust'
  | 'hinge'
  | 'ipo_sum'
  | 'ipo_mean'
  | 'simpo'
  | 'orpo';

/** A number of each of the two answers, [B]. */
export interface ChosenAndRejected {
  chosen: Tensor;
  rejected: Tensor;
}

export interface PreferencePairs {
  /** Σ log π(y) over completion tokens, [B] nats, differentiated. */
  policy: ChosenAndRejected;
  /** The same under the frozen reference, [B] nats, constant; not read by kinds that use no reference. */
  reference?: ChosenAndRejected;
  /** |y|: completion tokens, [B], constant, ≥ 1. */
  tokenCounts: ChosenAndRejected;
}

export interface PreferenceLossOptions {
  /** > 0: strength of the pull to the reference; SimPO's scale of the margin; ORPO's λ. */
  beta: number;
  /** ε in [0, ½): share of pairs thought to be labelled the wrong way round. Read by cdpo and robust. Default 0. */
  labelSmoothing?: number;
  /** γ: margin that SimPO asks for. Default 1. */
  targetMargin?: number;
  /** α ≥ 0 of the added α·NLL(y_c)/|y_c|, which keeps the chosen answer's likelihood from falling. Default 0. */
  likelihoodWeight?: number;
}

export interface PreferenceLossResult {
  /** [B] */
  loss: Tensor;
  /** Implicit rewards, [B]; see `preferenceLosses` for what they are in each kind. */
  rewards: ChosenAndRejected;
  /** Reward of the chosen answer less that of the rejected, [B]. */
  margin: Tensor;
  /** 1 where the margin is above 0, else 0, [B]. */
  accuracy: Tensor;
}

/** One answer of each pair, [B] each. */
interface Answers {
  policy: Tensor;
  reference?: Tensor;
  tokenCount: Tensor;
}
type ImplicitReward = (answers: Answers, beta: number) => Tensor;

const logRatio = ({ policy, reference }: Answers): Tensor => subtract(policy, reference!);
const meanLogProb = ({ policy, tokenCount }: Answers): Tensor => divide(policy, tokenCount);

const sumReward: ImplicitReward = (answers, beta) => multiply(logRatio(answers), beta);
const meanReward: ImplicitReward = (answers, beta) =>
  multiply(divide(logRatio(answers), answers.tokenCount), beta);
const likelihoodReward: ImplicitReward = (answers, beta) => multiply(meanLogProb(answers), beta);
const oddsReward: ImplicitReward = (answers) => {
  const a = meanLogProb(answers);
  return subtract(a, logOneMinusExp(a));
};

/** Nearer to 0 a log-probability is float32's rounding, and the odds of certainty are infinite. */
const leastDoubt = 1e-6;

/** log(1 − eᵃ) for a ≤ 0 as log 2t − log(1 + t), t = tanh(−a/2): 1 − eᵃ itself would cancel near 0. */
function logOneMinusExp(a: Tensor): Tensor {
  const t = tanh(multiply(minimum(a, -leastDoubt), -0.5));
  return subtract(log(multiply(t, 2)), log(add(t, 1)));
}

interface Comparison {
  margin: Tensor;
  chosen: Answers;
  rejected: Answers;
  options: Required<PreferenceLossOptions>;
}

interface PreferenceLoss {
  /** False: the pairs need no reference log-probabilities, and no reference model is run. */
  usesReference: boolean;
  /** What the field starts from. */
  defaultBeta: number;
  reward: ImplicitReward;
  loss: (comparison: Comparison) => Tensor;
}

const negativeLogSigmoid = (x: Tensor): Tensor => negate(logSigmoid(x));
const square = (x: Tensor): Tensor => multiply(x, x);

/** β·h, h = log π(y_c)/π_ref(y_c) − log π(y_r)/π_ref(y_r), β multiplied in before the difference is taken. */
const betaH = ({ chosen, rejected, options: { beta } }: Comparison): Tensor =>
  subtract(multiply(logRatio(chosen), beta), multiply(logRatio(rejected), beta));

/** (h − 1/(2β))², h the log-ratios' difference. */
const squaredDistance = ({ margin, options: { beta } }: Comparison): Tensor =>
  square(subtract(multiply(margin, 1 / beta), 1 / (2 * beta)));

/** With m the margin; each kind's reward is r of one answer y. */
export const preferenceLosses: { readonly [K in PreferenceLossKind]: PreferenceLoss } = {
  /** r = β·Σ log π/π_ref; −log σ(β·h). Rafailov et al. 2023, Eq. 7 (arXiv:2305.18290). */
  dpo: {
    usesReference: true,
    defaultBeta: 0.1,
    reward: sumReward,
    loss: (pair) => negate(logSigmoid(betaH(pair))), // Eq. 7
  },
  /** r as dpo; −(1−ε)·log σ(m) − ε·log σ(−m). Mitchell 2023, "A note on DPO with noisy preferences". */
  cdpo: {
    usesReference: true,
    defaultBeta: 0.1,
    reward: sumReward,
    loss: ({ margin, options: { labelSmoothing: e } }) =>
      add(multiply(negativeLogSigmoid(margin), 1 - e), multiply(negativeLogSigmoid(negate(margin)), e)),
  },
  /** r as dpo; [−(1−ε)·log σ(m) + ε·log σ(−m)] / (1−2ε). Chowdhury et al. 2024 (arXiv:2403.00409). */
  robust: {
    usesReference: true,
    defaultBeta: 0.1,
    reward: sumReward,
    loss: ({ margin, options: { labelSmoothing: e } }) =>
      subtract(
        multiply(negativeLogSigmoid(margin), (1 - e) / (1 - 2 * e)),
        multiply(negativeLogSigmoid(negate(margin)), e / (1 - 2 * e)),
      ),
  },
  /** r as dpo; max(0, 1 − m). Zhao et al. 2023, SLiC-HF (arXiv:2305.10425), on DPO's margin. */
  hinge: {
    usesReference: true,
    defaultBeta: 0.1,
    reward: sumReward,
    loss: ({ margin }) => relu(subtract(1, margin)),
  },
  /** r as dpo; (m/β − 1/(2β))². Azar et al. 2023, Eq. 17 (arXiv:2310.12036), log-ratios summed as in the paper. */
  ipo_sum: { usesReference: true, defaultBeta: 0.1, reward: sumReward, loss: squaredDistance },
  /** r = β·(Σ log π/π_ref)/|y|; as ipo_sum, log-ratios averaged over tokens as TRL does. */
  ipo_mean: { usesReference: true, defaultBeta: 0.1, reward: meanReward, loss: squaredDistance },
  /** r = β·(Σ log π)/|y|; −log σ(m − γ). Meng et al. 2024, Eq. 6 (arXiv:2405.14734). */
  simpo: {
    usesReference: false,
    defaultBeta: 2,
    reward: likelihoodReward,
    loss: ({ margin, options }) => negativeLogSigmoid(subtract(margin, options.targetMargin)),
  },
  /**
   * r = log p/(1−p), the log-odds of the geometric mean p of the token probabilities, without λ;
   * −(Σ log π(y_c))/|y_c| − λ·log σ(m). Hong et al. 2024, Eq. 6 and 7 (arXiv:2403.07691).
   */
  orpo: {
    usesReference: false,
    defaultBeta: 0.1,
    reward: oddsReward,
    loss: ({ margin, chosen, options: { beta: lambda } }) =>
      add(negate(meanLogProb(chosen)), multiply(negativeLogSigmoid(margin), lambda)),
  },
};

export const preferenceLossKinds = Object.keys(preferenceLosses) as readonly PreferenceLossKind[];

/**
 * The loss of each pair by the equation of `kind`, plus α·NLL(y_c)/|y_c| (Pang et al. 2024, Eq. 1, arXiv:2404.19733).
 * Finite, with finite gradients, up to log-ratios of ±1e4 nats and beyond.
 * @returns loss [B], nats but for hinge and ipo (DPO's is ln 2 when policy = reference), rewards, margin, accuracy
 * @throws ShapeError unless everything is [B]; UserError when β is not > 0, ε not in [0, ½), α not ≥ 0, or the
 *   reference is missing where the kind uses one
 */
export function preferenceLoss(
  kind: PreferenceLossKind,
  pairs: PreferencePairs,
  { beta, labelSmoothing = 0, targetMargin = 1, likelihoodWeight = 0 }: PreferenceLossOptions,
): PreferenceLossResult {
  const { usesReference, reward, loss } = preferenceLosses[kind];
  const options = { beta, labelSmoothing, targetMargin, likelihoodWeight };
  checkOptions(kind, options);
  checkPairs(kind, pairs, usesReference);
  const chosen = answersOf(pairs, 'chosen');
  const rejected = answersOf(pairs, 'rejected');
  const rewards = { chosen: reward(chosen, beta), rejected: reward(rejected, beta) };
  const margin = subtract(rewards.chosen, rewards.rejected);
  const compared = loss({ margin, chosen, rejected, options });
  const likelihood = multiply(meanLogProb(chosen), -likelihoodWeight);
  return {
    loss: likelihoodWeight === 0 ? compared : add(compared, likelihood),
    rewards,
    margin,
    accuracy: cast(less(0, margin), 'float'),
  };
}

function answersOf(
  { policy, reference, tokenCounts }: PreferencePairs,
  side: keyof ChosenAndRejected,
): Answers {
  return { policy: policy[side], reference: reference?.[side], tokenCount: tokenCounts[side] };
}

function checkOptions(kind: PreferenceLossKind, options: Required<PreferenceLossOptions>): void {
  const { beta, labelSmoothing, targetMargin, likelihoodWeight } = options;
  requireAbove(`${kind}: beta`, beta, 0);
  requireAbove(`${kind}: likelihoodWeight`, likelihoodWeight, 0, { isIncluded: true });
  requireAbove(`${kind}: targetMargin`, targetMargin, Number.NEGATIVE_INFINITY);
  if (labelSmoothing >= 0 && labelSmoothing < 0.5) return;
  throw new UserError({
    where: `${kind}: labelSmoothing`,
    expected: 'a number in [0, 0.5)',
    found: `${labelSmoothing}`,
    advice: 'the share of pairs that you think are labelled the wrong way round, such as 0.1',
  });
}

function checkPairs(kind: PreferenceLossKind, pairs: PreferencePairs, usesReference: boolean): void {
  const { policy, reference, tokenCounts } = pairs;
  if (usesReference && !reference) {
    const [expected, found] = ['log-probabilities under the reference', 'none'];
    throw new UserError({ where: `${kind} loss`, expected, found, advice: 'simpo or orpo, which need none' });
  }
  requireSameShape(
    `${kind} loss`,
    {
      'policy.chosen': policy.chosen,
      'policy.rejected': policy.rejected,
      ...(reference && { 'reference.chosen': reference.chosen, 'reference.rejected': reference.rejected }),
      'tokenCounts.chosen': tokenCounts.chosen,
      'tokenCounts.rejected': tokenCounts.rejected,
    },
    1,
  );
}
