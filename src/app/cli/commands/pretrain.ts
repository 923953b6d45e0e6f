// heed pretrain: next-token prediction on plain text, from random weights or from another model's.

import { z } from 'zod';
import type { PretrainResult } from '../../../align/methods/pretrain.ts';
import type { RunEvent } from '../../../align/run/events.ts';
import { runJob } from '../../../engine/runtime/job.ts';
import { familyNames } from '../../../language/model/config.ts';
import { defineCommand } from '../command.ts';
import { showRun } from '../show-run.ts';
import { resolveComputing } from '../stage-options.ts';
import { trainingOptions, trainingSchema } from '../training-options.ts';

export const pretrain = defineCommand({
  name: 'pretrain',
  description: 'train a model on plain text (.txt, or .jsonl with a text in each row)',
  options: trainingSchema({
    ...trainingOptions,
    model: z.string().optional().describe('model to go on from; without it a new one is made'),
    tokenizer: z.string().optional().describe('folder of the new model’s tokenizer'),
    family: z.enum(familyNames).default('llama').describe('architecture of a new model'),
    layers: z.int().min(1).default(6).describe('of a new model'),
    hiddenSize: z.int().min(2).default(384).describe('width of a new model'),
    heads: z.int().min(1).default(6).describe('attention heads of a new model'),
    keyValueHeads: z.int().min(1).optional().describe('key-value heads; as many as heads unless given'),
    intermediateSize: z
      .int()
      .min(1)
      .optional()
      .describe('width of the MLP; by the family’s rule unless given'),
    context: z.int().min(2).default(512).describe('longest sequence of a new model, in tokens'),
    windowLength: z.int().min(2).default(256).describe('tokens a window of text'),
  }),
  async run(options, terminal, signal) {
    const module = new URL('../../../align/methods/pretrain.js', import.meta.url).href;
    const job = { module, name: 'pretrain', payload: resolveComputing(options) };
    const result = await runJob<RunEvent, PretrainResult>(job, { onEvent: showRun(terminal), signal });
    const { documents, corpusTokens, steps, loss } = result;
    terminal.line(
      `${result.model}: ${steps} updates, loss ${loss.toFixed(4)}, ${documents} documents of ${corpusTokens} tokens`,
    );
    return result;
  },
});
