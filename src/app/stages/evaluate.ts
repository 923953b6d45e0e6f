// Evaluation: completions of held-out prompts, scored by a world, a reward model and a reference.

import { z } from 'zod';
import type { evaluate as method } from '../../align/evaluation/evaluate.ts';
import { worldNames } from '../../align/evaluation/evaluation-options.ts';
import { text } from './options.ts';
import { batchTokens } from './score.ts';
import {
  generationOptions,
  modelOptions,
  promptData,
  stageOptions,
  temperatureFromZero,
} from './shared-options.ts';
import { defineStage, jobOf } from './stage.ts';
import { intervalTable, line } from './summary.ts';

const phases = {
  answers: { label: 'completions', unit: 'completions' },
  kl: { label: 'kl', unit: 'tokens' },
  reward: { label: 'reward', unit: 'tokens' },
} as const;

export const evaluate = defineStage({
  name: 'eval',
  revision: 2,
  description: 'generate completions for held-out prompts and score them',
  schema: z.object({
    ...modelOptions,
    data: promptData,
    out: text('output', 'output folder for answers.jsonl and summary.json: new or empty, unless --resume'),
    world: z
      .enum(worldNames)
      .optional()
      .describe('world that scores completions: kata runs their code against tests'),
    reward: text('model', 'reward model whose score is the proxy reward').optional(),
    reference: text('model', 'reference model for the KL divergence').optional(),
    ...generationOptions,
    continuation: z
      .boolean()
      .default(false)
      .describe('continue prompts as plain text, and count completions that answer nothing'),
    temperature: temperatureFromZero,
    seed: stageOptions.seed,
    batchTokens,
    resume: z.boolean().default(false).describe('if --out holds this evaluation, return its result'),
    strict: stageOptions.strict,
  }),
  job: jobOf<typeof method>(new URL('../../align/evaluation/evaluate.js', import.meta.url), 'evaluate'),
  models: [
    { role: 'policy', option: 'model', weights: 'frozen' },
    { role: 'reference', option: 'reference', weights: 'frozen', passes: 1 },
    { role: 'reward model', option: 'reward', weights: 'frozen', passes: 1 },
  ],
  work: { generates: 'once' },
  progress: (event) =>
    event.type === 'progress' ? { ...phases[event.phase], done: event.done, total: event.total } : undefined,
  summary: ({ out, isReused, metrics, coaching, n, tokens_generated }) => [
    ...(isReused ? [{ kind: 'note' as const, text: `${out}: finished already; nothing to do` }] : []),
    intervalTable('figure', [
      ...Object.entries(metrics),
      ...Object.entries(coaching ?? {}).map(([name, interval]) => [`coaching ${name}`, interval] as const),
    ]),
    line(`${n} completions, ${tokens_generated} tokens`),
  ],
});
