// The options of stages that learn from completions of their own.

import { z } from 'zod';
import { alarmActions } from '../../align/monitor/hacking.ts';
import { anyTexts, text } from './options.ts';
import { generationOptions, promptData, rewardOption } from './shared-options.ts';
import type { ModelUse, Work } from './stage.ts';
import { adapterOptions, sharePrompts, trainingOptions } from './training-options.ts';

const positive = z.number().positive();

export const onPolicyOptions = {
  ...trainingOptions,
  ...adapterOptions,
  ...generationOptions,
  data: promptData,
  reference: text('model', 'reference model (default: the policy at the start)').optional(),
  reward: rewardOption,
  watch: anyTexts('reward', 'extra rewards to log, not optimised'),
  ensemble: z
    .array(z.string())
    .refine(({ length }) => length !== 1, 'expected two reward models or more, or none')
    .default([])
    .meta({
      holds: 'model',
      description: 'reward models trained on the same labels, whose disagreement is monitored',
    }),
  epochs: positive.default(1).describe('passes over the prompts'),
  batchSize: z.int().min(1).default(64).describe('prompts per step'),
  maxTokens: generationOptions.maxTokens.default(128),
  temperature: positive.default(1).describe('temperature of sampling and of all log-probabilities'),
  microBatchTokens: trainingOptions.microBatchTokens.default(4096),
  sharePrompts,
  // A step generates its completions anew, and takes as long as many updates elsewhere.
  saveEvery: trainingOptions.saveEvery.default(20).describe('steps between checkpoints'),
  learningRate: positive.default(1e-4).describe('peak learning rate of the policy'),
  schedule: trainingOptions.schedule.default('linear'),
  warmupRatio: trainingOptions.warmupRatio.default(0),
  weightDecay: trainingOptions.weightDecay.default(0),
  epsilon: trainingOptions.epsilon.default(1e-5),
  klBudget: positive
    .optional()
    .describe('KL limit per completion (nats): restore the last good weights and stop'),
  missingEosScore: z
    .number()
    .optional()
    .describe('that score, or that penalty (default: -1 for replace, 1 for subtract)'),
  rewardClip: positive.optional().describe('clip scores to plus or minus this'),
  onAlarm: z.enum(alarmActions).default('warn').describe('action when reward hacking is suspected'),
};

export const missingEos = z
  .enum(['replace', 'subtract'])
  .describe('reward for truncated completions: a fixed score, or their own minus a penalty');

export const scoringModels: readonly ModelUse[] = [
  { role: 'reward model', option: 'reward', weights: 'frozen', passes: 1 },
  { role: 'reward model', option: 'watch', weights: 'frozen', passes: 1 },
  { role: 'reward model', option: 'ensemble', weights: 'frozen', passes: 1 },
];

/** Of methods that compare several completions of each prompt. */
export const groupOptions = {
  ...onPolicyOptions,
  batchSize: z.int().min(1).default(16).describe('prompts per step'),
  // Prompts are generated for in chunks of so many completions.
  generationBatchSize: generationOptions.generationBatchSize.default(128),
  groupSize: z.int().min(2).default(8).describe('completions per prompt'),
  iterations: z.int().min(1).default(1).describe('passes over the completions of a step (μ)'),
  miniBatchSize: z.int().min(1).optional().describe('completions per update (default: all of a step)'),
  clipLow: positive.default(0.2).describe('lower clip range ε_low of the probability ratio'),
  clipHigh: positive.default(0.2).describe('upper clip range ε_high of the probability ratio'),
  missingEos: missingEos.optional(),
  // β is fixed.
  onAlarm: z
    .enum(alarmActions)
    .exclude(['raise-beta'])
    .default('warn')
    .describe('action when reward hacking is suspected'),
  maskTruncated: z.boolean().default(false).describe('skip truncated completions in the update'),
};

export const groupModels: readonly ModelUse[] = [
  { role: 'policy', option: 'model', weights: 'trained', passes: 1 },
  {
    ...{ role: 'reference', option: 'reference', weights: 'frozen', passes: 1 },
    isAlways: ({ beta, klBudget }) => beta !== 0 || klBudget !== undefined,
  },
  ...scoringModels,
];

export const groupWork: Work<{ groupSize: number; iterations: number }> = {
  generates: 'online',
  completions: ({ groupSize }) => groupSize,
  passes: ({ iterations }) => iterations,
};
