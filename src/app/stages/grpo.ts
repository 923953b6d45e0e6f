// Group relative policy optimisation.

import { z } from 'zod';
import type { grpo as method } from '../../align/methods/grpo.ts';
import { advantageScalings } from '../../align/objectives/advantages.ts';
import { lossMeans } from '../../align/objectives/grpo.ts';
import { groupModels, groupOptions, groupWork } from './on-policy-options.ts';
import { defineStage, jobOf } from './stage.ts';
import { line } from './summary.ts';
import { trainingSchema } from './training-options.ts';

export const grpo = defineStage({
  name: 'grpo',
  description: 'train a policy by its reward, comparing completions of each prompt: GRPO, Dr. GRPO, DAPO',
  schema: trainingSchema({
    ...groupOptions,
    beta: z.number().min(0).default(0.04).describe('KL penalty coefficient β; 0 needs no reference model'),
    klIn: z
      .enum(['loss', 'reward'])
      .default('loss')
      .describe('where β·KL is charged: k3 of each token in the loss, or the sum of k1 in the reward'),
    advantageScaling: z
      .enum(advantageScalings)
      .default('group')
      .describe('divide advantages by the deviation of the group, of the batch, or not (Dr. GRPO)'),
    lossMean: z
      .enum(lossMeans)
      .default('sequence')
      .describe(
        'mean of the loss: over tokens, then completions; over all tokens (DAPO); over a constant length (Dr. GRPO)',
      ),
  }),
  job: jobOf<typeof method>(new URL('../../align/methods/grpo.js', import.meta.url), 'grpo'),
  models: groupModels,
  work: groupWork,
  summary: ({ model, steps, tokensGenerated, alarms }) => [
    line(`${model}: ${steps} steps, ${tokensGenerated} tokens generated, ${alarms} alarms`),
  ],
});
