// KTO: preferences that are marks of single completions.

import { z } from 'zod';
import type { kto as method } from '../../align/methods/kto.ts';
import { text, texts } from './options.ts';
import { defineStage, jobOf } from './stage.ts';
import { line } from './summary.ts';
import { preferenceOptions, trainingSchema } from './training-options.ts';

const positive = z.number().positive();

export const kto = defineStage({
  name: 'kto',
  description: 'train a policy on completions marked good or bad, without a reward model: KTO',
  schema: trainingSchema({
    ...preferenceOptions,
    batchSize: z.int().min(1).default(32).describe('rows per update'),
    data: texts(
      'input',
      'JSONL of prompt, completion, label, or of preferences, a pair being a good and a bad one',
    ),
    reference: text('model', 'reference model (default: the policy at the start)').optional(),
    beta: positive.default(0.1).describe('coefficient β of the implicit KL penalty'),
    desirableWeight: positive.default(1).describe('weight λ_D of desirable completions'),
    undesirableWeight: positive.default(1).describe('weight λ_U of undesirable completions'),
    learningRate: positive.default(1e-4).describe('peak learning rate'),
  }),
  job: jobOf<typeof method>(new URL('../../align/methods/kto.js', import.meta.url), 'kto'),
  models: [
    { role: 'policy', option: 'model', weights: 'trained' },
    // Its log-probabilities are computed once, before the policy's weights change.
    { role: 'reference', option: 'reference', weights: 'shared', passes: 1, isAlways: true },
  ],
  summary: ({ model, steps, data, loss }) => [
    line(`${model}: ${steps} updates, ${data.kept} rows, loss ${loss.toFixed(4)}`),
  ],
});
