// heed sft: supervised fine-tuning.

import { z } from 'zod';
import type { SftResult } from '../../../align/methods/sft.ts';
import type { RunEvent } from '../../../align/run/events.ts';
import { runJob } from '../../../engine/runtime/job.ts';
import { defineCommand } from '../command.ts';
import { showRun } from '../show-run.ts';
import { resolveComputing } from '../stage-options.ts';
import { trainingOptions, trainingSchema } from '../training-options.ts';

export const sft = defineCommand({
  name: 'sft',
  description: 'fine-tune a model on instructions: Alpaca records, prompt/completion, messages',
  options: trainingSchema({
    ...trainingOptions,
    maxLength: z.int().min(2).optional().describe("longest row in tokens; the model's context unless given"),
    truncation: z
      .enum(['drop', 'prompt-left', 'completion-right'])
      .default('drop')
      .describe('what becomes of a longer row'),
  }),
  async run(options, terminal, signal) {
    const module = new URL('../../../align/methods/sft.js', import.meta.url).href;
    const job = { module, name: 'sft', payload: resolveComputing(options) };
    const result = await runJob<RunEvent, SftResult>(job, { onEvent: showRun(terminal), signal });
    terminal.line(
      `${result.model}: ${result.steps} updates, ${result.data.kept} rows, loss ${result.loss.toFixed(4)}`,
    );
    return result;
  },
});
