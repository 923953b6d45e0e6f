// Proximal policy optimisation: reinforcement learning from a reward, with a KL penalty.

import { z } from 'zod';
import type { ppo as method } from '../../align/methods/ppo.ts';
import { klEstimators } from '../../align/objectives/kl.ts';
import { missingEos, onPolicyOptions, scoringModels } from './on-policy-options.ts';
import { text } from './options.ts';
import { defineStage, jobOf } from './stage.ts';
import { line } from './summary.ts';
import { trainingSchema } from './training-options.ts';

const positive = z.number().positive();
const share = z.number().min(0).max(1);

export const ppo = defineStage({
  name: 'ppo',
  description:
    'train a policy by its reward, with a KL penalty to the reference: proximal policy optimisation',
  schema: trainingSchema({
    ...onPolicyOptions,
    valueModel: text(
      'model',
      'value model initialisation: a reward or value model, or a policy, which gets a zero head (default: the first reward model; without one, the policy)',
    ).optional(),
    samples: z.int().min(1).default(1).describe('completions per prompt'),
    ppoEpochs: z.int().min(1).default(1).describe('passes over the rollouts of a step'),
    miniBatchSize: z.int().min(1).default(16).describe('completions per update'),
    valueLearningRate: positive.default(1e-4).describe('peak learning rate of the value model'),
    beta: z.number().min(0).default(0.1).describe('KL penalty coefficient β'),
    klEstimator: z.enum(klEstimators).default('k1').describe('estimator of the penalised KL'),
    klTarget: positive
      .optional()
      .describe('target KL per completion (nats) that β is adapted to (default: β is fixed)'),
    klHorizon: positive.default(2000).describe('KL controller horizon, in episodes'),
    gamma: share.default(1).describe('discount factor γ'),
    lambda: share.default(0.95).describe('λ of generalised advantage estimation'),
    clipRange: positive.default(0.2).describe('clip range of the probability ratio'),
    valueClipRange: positive.default(0.2).describe('clip range of values'),
    dualClip: z.number().gt(1).optional().describe('dual clip of negative advantages; 3 is usual'),
    missingEos: missingEos.default('replace'),
    whitenAdvantages: z.boolean().default(true).describe('normalise advantages to mean 0 and deviation 1'),
    whitenRewards: z.boolean().default(false).describe('normalise rewards to deviation 1'),
  }),
  job: jobOf<typeof method>(new URL('../../align/methods/ppo.js', import.meta.url), 'ppo'),
  models: [
    { role: 'policy', option: 'model', weights: 'trained', passes: 1 },
    { role: 'value model', option: 'valueModel', weights: 'trained', passes: 1, isAlways: true },
    { role: 'reference', option: 'reference', weights: 'frozen', passes: 1, isAlways: true },
    ...scoringModels,
  ],
  work: {
    generates: 'online',
    completions: ({ samples }) => samples,
    passes: ({ ppoEpochs }) => ppoEpochs,
  },
  summary: ({ model, steps, tokensGenerated, alarms }) => [
    line(`${model}: ${steps} steps, ${tokensGenerated} tokens generated, ${alarms} alarms`),
  ],
});
