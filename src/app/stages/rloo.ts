// REINFORCE leave-one-out.

import { z } from 'zod';
import type { rloo as method } from '../../align/methods/rloo.ts';
import { groupModels, groupOptions, groupWork } from './on-policy-options.ts';
import { defineStage, jobOf } from './stage.ts';
import { line } from './summary.ts';
import { trainingSchema } from './training-options.ts';

export const rloo = defineStage({
  name: 'rloo',
  description:
    'train a policy by its reward against the mean of its other completions: REINFORCE leave-one-out',
  schema: trainingSchema({
    ...groupOptions,
    groupSize: groupOptions.groupSize.default(4),
    beta: z
      .number()
      .min(0)
      .default(0.05)
      .describe('KL penalty coefficient β, charged in the reward; 0 needs no reference model'),
  }),
  job: jobOf<typeof method>(new URL('../../align/methods/rloo.js', import.meta.url), 'rloo'),
  models: groupModels,
  work: groupWork,
  summary: ({ model, steps, tokensGenerated, alarms }) => [
    line(`${model}: ${steps} steps, ${tokensGenerated} tokens generated, ${alarms} alarms`),
  ],
});
