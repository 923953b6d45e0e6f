// What PPO may be told, and what it tells at the end.

import type { PromptTemplate } from '../data/prompts.ts';
import type { AlarmAction } from '../monitor/hacking.ts';
import type { KlEstimator } from '../objectives/kl.ts';
import type { OptimizerOptions } from '../run/gradient-learner.ts';
import type { RunOptions, RunResult } from '../run/training-run.ts';
import type { RewardSpec } from './rewards.ts';

export interface PpoOptions extends RunOptions, OptimizerOptions {
  model: string;
  /** Default: the model as it is at the start. */
  reference?: string;
  /** What the critic begins as; default the first reward model, else the policy with a head of zeros. */
  valueModel?: string;
  /** Each a model's folder, FILE.js#NAME or kata:NAME, with an optional weight such as *0.5. */
  reward: string[];
  watch: string[];
  /** Folders of reward models. */
  ensemble: string[];
  data: string[];
  template: PromptTemplate;
  strict: boolean;
  seed: number;
  threads: number;
  /** Passes over the prompts. */
  epochs: number;
  /** Prompts a step, and answers to each. */
  batchSize: number;
  samples: number;
  maxTokens: number;
  temperature: number;
  generationBatchSize: number;
  /** Passes over a step's rollouts, in mini-batches of so many answers, each an update. */
  ppoEpochs: number;
  miniBatchSize: number;
  microBatchTokens: number;
  valueLearningRate: number;
  /** β at the start. */
  beta: number;
  klEstimator: KlEstimator;
  /** Sequence KL that β is adapted to, nats; absent: β stays. */
  klTarget?: number;
  /** Episodes in which β could change by a fifth. */
  klHorizon: number;
  /** Hard limit of the sequence KL, nats. */
  klBudget?: number;
  gamma: number;
  lambda: number;
  clipRange: number;
  valueClipRange: number;
  dualClip?: number;
  missingEos: 'replace' | 'subtract';
  /** The score in the place of, or the penalty on, that of an answer without an end; default −1, or 1. */
  missingEosScore?: number;
  /** Scores are cut to ± this. */
  rewardClip?: number;
  whitenAdvantages: boolean;
  whitenRewards: boolean;
  onAlarm: AlarmAction;
}

export interface RewardSpecs {
  /** Summed with their weights. */
  reward: readonly RewardSpec[];
  /** Told in the metrics, never learnt from. */
  watch: readonly RewardSpec[];
  /** Reward models whose disagreement is told; none, or two or more. */
  ensemble: readonly RewardSpec[];
}

export interface PpoResult extends RunResult {
  /** In rollouts and in the answers that the monitor learnt from. */
  tokensGenerated: number;
  /** Through the policy’s updates, prompts included; the critic is trained on the same. */
  tokensTrained: number;
  alarms: number;
}
