// Log-probabilities, perplexity and preference accuracy of a model on given data; of a reward model, rewards.

import { z } from 'zod';
import type { scoreFiles } from '../../align/evaluation/score.ts';
import { texts } from './options.ts';
import { modelOptions, stageOptions, template } from './shared-options.ts';
import { defineStage, jobOf } from './stage.ts';
import { table } from './summary.ts';

export const batchTokens = z
  .int()
  .min(1)
  .default(4096)
  .describe('positions scored at once; a smaller number takes less memory');

export const score = defineStage({
  name: 'score',
  description:
    'log-probabilities, perplexity and preference accuracy of a model on data; rewards of a reward model',
  schema: z.object({
    ...modelOptions,
    data: texts(
      'input',
      'JSONL: prompt and completion, chosen and rejected, text, or any instruction format',
    ),
    template,
    batchTokens,
    strict: stageOptions.strict,
  }),
  job: jobOf<typeof scoreFiles>(new URL('../../align/evaluation/score.js', import.meta.url), 'scoreFiles'),
  models: [{ role: 'policy', option: 'model', weights: 'frozen', passes: 1 }],
  progress: (event) =>
    event.type === 'progress' ? { unit: 'tokens', done: event.tokens, total: event.total } : undefined,
  summary: ({ rows, perplexity, bits_per_byte, reward, accuracy, tokens, faults }) => {
    const measures = { perplexity, 'bits per byte': bits_per_byte, reward, accuracy };
    const counts = { tokens, rows: rows.length, faults };
    return [
      table(
        ['measure', 'value'],
        [
          ...Object.entries(measures).flatMap(([name, value]) =>
            value === undefined ? [] : [[name, value.toPrecision(5)]],
          ),
          ...Object.entries(counts).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
        ],
      ),
    ];
  },
});
