// Pretraining: next-token prediction on plain text, from random weights or from another model's.

import { z } from 'zod';
import type { pretrain as method } from '../../align/methods/pretrain.ts';
import { familyNames } from '../../language/model/config.ts';
import { text } from './options.ts';
import { defineStage, jobOf } from './stage.ts';
import { line } from './summary.ts';
import { trainingOptions, trainingSchema } from './training-options.ts';

export const pretrain = defineStage({
  name: 'pretrain',
  description: 'train a model on plain text (.txt, or .jsonl rows with `text`)',
  schema: trainingSchema({
    ...trainingOptions,
    model: text('model', 'model to continue from (default: a new model)').optional(),
    tokenizer: text('input', 'folder of the new model’s tokenizer').optional(),
    family: z.enum(familyNames).default('llama').describe('architecture of a new model'),
    layers: z.int().min(1).default(6).describe('layers of a new model'),
    hiddenSize: z.int().min(2).default(384).describe('hidden size of a new model'),
    heads: z.int().min(1).default(6).describe('attention heads of a new model'),
    keyValueHeads: z
      .int()
      .min(1)
      .optional()
      .describe('key-value heads of a new model (default: as many as --heads)'),
    intermediateSize: z
      .int()
      .min(1)
      .optional()
      .describe('MLP width of a new model (default: by the family’s rule)'),
    context: z.int().min(2).default(512).describe('maximum sequence length of a new model, in tokens'),
    windowLength: z.int().min(2).default(256).describe('tokens per window of text'),
  }),
  job: jobOf<typeof method>(new URL('../../align/methods/pretrain.js', import.meta.url), 'pretrain'),
  models: [{ role: 'policy', option: 'model', weights: 'trained', isAlways: true }],
  summary: ({ model, steps, loss, documents, corpusTokens }) => [
    line(
      `${model}: ${steps} updates, loss ${loss.toFixed(4)}, ${documents} documents of ${corpusTokens} tokens`,
    ),
  ],
});
