// Proximal policy optimisation: reinforcement learning from a reward, with a KL penalty.

import { z } from 'zod';
import type { ppo as method } from '../../align/methods/ppo.ts';
import { alarmActions } from '../../align/monitor/hacking.ts';
import { klEstimators } from '../../align/objectives/kl.ts';
import { anyTexts, text } from './options.ts';
import { generationOptions, promptData, rewardOption } from './shared-options.ts';
import { defineStage, jobOf } from './stage.ts';
import { line } from './summary.ts';
import { trainingOptions, trainingSchema } from './training-options.ts';

const positive = z.number().positive();
const share = z.number().min(0).max(1);

export const ppo = defineStage({
  name: 'ppo',
  description:
    'train a policy by its reward, with a KL penalty to the reference: proximal policy optimisation',
  schema: trainingSchema({
    ...trainingOptions,
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
    valueModel: text(
      'model',
      'value model initialisation (default: the first reward model; without one, the policy with a zero head)',
    ).optional(),
    epochs: positive.default(1).describe('passes over the prompts'),
    batchSize: z.int().min(1).default(64).describe('prompts per step'),
    samples: z.int().min(1).default(1).describe('completions per prompt'),
    maxTokens: generationOptions.maxTokens.default(128),
    temperature: positive.default(1).describe('temperature of sampling and of all log-probabilities'),
    ppoEpochs: z.int().min(1).default(1).describe('passes over the rollouts of a step'),
    miniBatchSize: z.int().min(1).default(16).describe('completions per update'),
    microBatchTokens: trainingOptions.microBatchTokens.default(4096),
    // A step generates its completions anew, and takes as long as many updates elsewhere.
    saveEvery: trainingOptions.saveEvery.default(20).describe('steps between checkpoints'),
    learningRate: positive.default(1e-4).describe('peak learning rate of the policy'),
    valueLearningRate: positive.default(1e-4).describe('peak learning rate of the value model'),
    schedule: trainingOptions.schedule.default('linear'),
    warmupRatio: trainingOptions.warmupRatio.default(0),
    weightDecay: trainingOptions.weightDecay.default(0),
    epsilon: trainingOptions.epsilon.default(1e-5),
    beta: z.number().min(0).default(0.1).describe('KL penalty coefficient β'),
    klEstimator: z.enum(klEstimators).default('k1').describe('estimator of the penalised KL'),
    klTarget: positive
      .optional()
      .describe('target KL per completion (nats) that β is adapted to (default: β is fixed)'),
    klHorizon: positive.default(2000).describe('KL controller horizon, in episodes'),
    klBudget: positive
      .optional()
      .describe('KL limit per completion (nats): restore the last good weights and stop'),
    gamma: share.default(1).describe('discount factor γ'),
    lambda: share.default(0.95).describe('λ of generalised advantage estimation'),
    clipRange: positive.default(0.2).describe('clip range of the probability ratio'),
    valueClipRange: positive.default(0.2).describe('clip range of values'),
    dualClip: z.number().gt(1).optional().describe('dual clip of negative advantages; 3 is usual'),
    missingEos: z
      .enum(['replace', 'subtract'])
      .default('replace')
      .describe('reward for truncated completions: a fixed score, or their own minus a penalty'),
    missingEosScore: z
      .number()
      .optional()
      .describe('that score, or that penalty (default: -1 for replace, 1 for subtract)'),
    rewardClip: positive.optional().describe('clip scores to plus or minus this'),
    whitenAdvantages: z.boolean().default(true).describe('normalise advantages to mean 0 and deviation 1'),
    whitenRewards: z.boolean().default(false).describe('normalise rewards to deviation 1'),
    onAlarm: z.enum(alarmActions).default('warn').describe('action when reward hacking is suspected'),
  }),
  job: jobOf<typeof method>(new URL('../../align/methods/ppo.js', import.meta.url), 'ppo'),
  models: [
    { role: 'policy', option: 'model', weights: 'trained', passes: 1 },
    { role: 'value model', option: 'valueModel', weights: 'trained', passes: 1, isAlways: true },
    { role: 'reference', option: 'reference', weights: 'frozen', passes: 1, isAlways: true },
    { role: 'reward model', option: 'reward', weights: 'frozen', passes: 1 },
    { role: 'reward model', option: 'watch', weights: 'frozen', passes: 1 },
    { role: 'reward model', option: 'ensemble', weights: 'frozen', passes: 1 },
  ],
  work: { generates: 'online' },
  summary: ({ model, steps, tokensGenerated, alarms }) => [
    line(`${model}: ${steps} steps, ${tokensGenerated} tokens generated, ${alarms} alarms`),
  ],
});
