// An adapter merged into its base.

import { z } from 'zod';
import type { merge as method } from '../../align/evaluation/merge.ts';
import { text } from './options.ts';
import { defineStage, jobOf } from './stage.ts';
import { line } from './summary.ts';
import { trainingOptions } from './training-options.ts';

export const merge = defineStage({
  name: 'merge',
  description: 'merge a LoRA adapter into its base: a whole model in one folder',
  schema: z.object({
    model: text('model', 'folder of the adapter, or of the training run that made it'),
    out: text('output', 'folder of the whole model'),
    dtype: trainingOptions.dtype,
  }),
  job: jobOf<typeof method>(new URL('../../align/evaluation/merge.js', import.meta.url), 'merge'),
  models: [{ role: 'policy', option: 'model', weights: 'frozen' }],
  work: { makesWholeModel: true },
  summary: ({ out, modules }) => [line(`${out}: ${modules} modules merged`)],
});
