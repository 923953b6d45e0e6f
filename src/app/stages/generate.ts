// Completions of given prompts.

import { z } from 'zod';
import type { SampleResult, sampleCompletions } from '../../align/evaluation/sample.ts';
import { texts } from './options.ts';
import {
  generationOptions,
  modelOptions,
  promptData,
  stageOptions,
  temperatureFromZero,
} from './shared-options.ts';
import { defineStage, jobOf } from './stage.ts';
import type { SummaryBlock } from './summary.ts';

export const generate = defineStage({
  name: 'generate',
  description: 'generate completions of texts or prompts',
  schema: z
    .object({
      ...modelOptions,
      prompt: texts('words', 'prompts').optional(),
      data: promptData
        .describe('JSONL of prompts instead of --prompt: prompt, prompt_ids, instruction or messages')
        .optional(),
      template: generationOptions.template,
      maxTokens: generationOptions.maxTokens.default(128),
      temperature: temperatureFromZero,
      topK: z.int().min(1).optional().describe('top-k sampling: the k likeliest tokens'),
      topP: z
        .number()
        .positive()
        .max(1)
        .optional()
        .describe('nucleus sampling: the likeliest tokens with total probability p'),
      minP: z
        .number()
        .min(0)
        .max(1)
        .optional()
        .describe('min-p sampling: tokens at least p times as likely as the likeliest'),
      repetitionPenalty: z
        .number()
        .positive()
        .optional()
        .describe('repetition penalty; above 1 makes seen tokens less likely'),
      samples: z.int().min(1).default(1).describe('completions per prompt'),
      stop: z
        .array(z.string().min(1))
        .default([])
        .meta({ holds: 'words', description: 'strings that end a completion' }),
      seed: stageOptions.seed,
      generationBatchSize: generationOptions.generationBatchSize,
      strict: stageOptions.strict,
    })
    .superRefine(({ prompt, data }, context) => {
      if ((prompt === undefined) !== (data === undefined)) return;
      const found = data ? 'both' : 'neither';
      context.addIssue({ code: 'custom', message: 'either --prompt or --data', params: { found } });
    }),
  job: jobOf<typeof sampleCompletions>(
    new URL('../../align/evaluation/sample.js', import.meta.url),
    'sampleCompletions',
  ),
  models: [{ role: 'policy', option: 'model', weights: 'frozen' }],
  work: { generates: 'once', completions: ({ samples }) => samples },
  progress: (event) =>
    event.type === 'progress' && event.total > 1
      ? { unit: 'completions', done: event.completions, total: event.total }
      : undefined,
  summary: ({ completions, tokens_per_second, device }) => [
    ...completions.map((completion) => blockOf(completion, completions.length === 1)),
    { kind: 'note', text: `${tokens_per_second.toFixed(1)} tokens/s on ${device}` },
  ],
});

function blockOf(
  { file, line, prompt, sample, text, ids, finish }: SampleResult['completions'][number],
  isOnly: boolean,
): SummaryBlock {
  const place = file === undefined ? '' : `${file}:${line} `;
  const heading = `${place}${shorten(prompt ?? '')} [${sample + 1}, ${ids.length} tokens, ${finish}]`;
  return { kind: 'completion', ...(!isOnly && { heading }), text: text ?? ids.join(' ') };
}

function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}
