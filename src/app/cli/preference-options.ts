// The options of the methods that learn from people's comparisons, beside those of all training.

import { z } from 'zod';
import { trainingOptions } from './training-options.ts';

export const preferenceOptions = {
  ...trainingOptions,
  batchSize: z.int().min(1).default(32).describe('pairs (or rankings) an update'),
  microBatchTokens: trainingOptions.microBatchTokens.default(4096),
  maxLength: z
    .int()
    .min(2)
    .optional()
    .describe("longest answer with its prompt, in tokens; the model's context unless given"),
  truncation: z
    .enum(['drop', 'prompt-left', 'completion-right'])
    .default('drop')
    .describe('what becomes of a longer one'),
};
