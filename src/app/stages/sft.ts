// Supervised fine-tuning.

import type { sft as method } from '../../align/methods/sft.ts';
import { defineStage, jobOf } from './stage.ts';
import { line } from './summary.ts';
import { adapterOptions, rowOptions, trainingOptions, trainingSchema } from './training-options.ts';

export const sft = defineStage({
  name: 'sft',
  description: 'fine-tune a model on instructions: Alpaca records, prompt/completion, messages',
  schema: trainingSchema({ ...trainingOptions, ...adapterOptions, ...rowOptions }),
  job: jobOf<typeof method>(new URL('../../align/methods/sft.js', import.meta.url), 'sft'),
  models: [{ role: 'policy', option: 'model', weights: 'trained' }],
  summary: ({ model, steps, data, loss }) => [
    line(`${model}: ${steps} updates, ${data.kept} rows, loss ${loss.toFixed(4)}`),
  ],
});
