// heed generate: what a model says to prompts.

import { z } from 'zod';
import type { PromptTemplate } from '../../../align/data/prompts.ts';
import type { SampleEvent, SampleOptions, SampleResult } from '../../../align/evaluation/sample.ts';
import { UserError } from '../../../engine/errors.ts';
import { runJob } from '../../../engine/runtime/job.ts';
import { defineCommand } from '../command.ts';
import { modelOptions } from '../model-options.ts';
import { patientProgress } from '../patient-progress.ts';
import { showFaults } from '../show-faults.ts';
import { resolveComputing, stageOptions } from '../stage-options.ts';
import type { Terminal } from '../terminal.ts';
import { visible } from '../visible.ts';

const templates = ['none', 'alpaca', 'chat'] as const satisfies readonly PromptTemplate[];

export const generate = defineCommand({
  name: 'generate',
  description: 'let a model continue texts or answer prompts',
  options: z.object({
    ...modelOptions,
    prompt: z.array(z.string()).min(1).optional().describe('texts to go on from'),
    data: z
      .array(z.string())
      .min(1)
      .optional()
      .describe('JSONL of prompts instead of --prompt: prompt, prompt_ids, instruction or messages'),
    template: z
      .enum(templates)
      .default('none')
      .describe('how a plain prompt is put to the model: continued, as an instruction, as a message'),
    maxTokens: z.int().min(1).default(128).describe('most tokens of a completion'),
    temperature: z.number().min(0).default(1).describe('divides the logits; 0 takes the likeliest token'),
    topK: z.int().min(1).optional().describe('draw from the k likeliest tokens'),
    topP: z.number().positive().max(1).optional().describe('draw from the likeliest that together reach p'),
    minP: z.number().min(0).max(1).optional().describe('draw from tokens p times as likely as the likeliest'),
    repetitionPenalty: z
      .number()
      .positive()
      .optional()
      .describe('above 1: tokens seen before are less likely'),
    samples: z.int().min(1).default(1).describe('completions of each prompt'),
    stop: z.array(z.string().min(1)).min(1).optional().describe('texts that end a completion'),
    seed: z.int().min(0).default(0).describe('where all random numbers start'),
    batchSize: z.int().min(1).default(64).describe('completions computed at once; less takes less memory'),
    strict: stageOptions.strict,
  }),
  async run(options, terminal, signal) {
    requireOneSource(options);
    const module = new URL('../../../align/evaluation/sample.js', import.meta.url).href;
    const payload: SampleOptions = { ...resolveComputing(options), stop: options.stop ?? [] };
    const faults = showFaults(terminal);
    const stream = new TextStream(terminal);
    const onProgress = patientProgress(terminal, { label: 'generate', unit: 'completions' });
    const onEvent = (event: SampleEvent) => {
      if (event.type === 'fault') faults.add(event.fault);
      else if (event.type === 'text') stream.write(event.text);
      else if (event.total > 1) onProgress(event.completions, event.total);
    };
    try {
      const job = { module, name: 'sampleCompletions', payload };
      const result = await runJob<SampleEvent, SampleResult>(job, { onEvent, signal });
      if (!stream.end()) showCompletions(result, terminal);
      faults.finish();
      terminal.note(`${result.tokens_per_second.toFixed(1)} tokens/s on ${payload.device}`);
      return result;
    } catch (error) {
      stream.end();
      signal.throwIfAborted();
      throw error;
    }
  },
});

function requireOneSource({ prompt, data }: { prompt?: string[]; data?: string[] }): void {
  if ((prompt === undefined) !== (data === undefined)) return;
  const found = data ? 'both' : 'neither';
  throw new UserError({ where: 'heed generate', expected: 'either --prompt or --data', found });
}

/** The only completion, as it comes. */
class TextStream {
  private readonly terminal: Terminal;
  private hasBegun = false;

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  write(text: string): void {
    this.hasBegun = true;
    this.terminal.piece(visible(text));
  }

  /** @returns whether there was any text */
  end(): boolean {
    if (this.hasBegun) this.terminal.line();
    return this.hasBegun;
  }
}

function showCompletions({ completions }: SampleResult, terminal: Terminal): void {
  const isOne = completions.length === 1;
  for (const { file, line, prompt, sample, text, ids, finish } of completions) {
    const place = file === undefined ? '' : `${file}:${line} `;
    const heading = `${place}${shorten(prompt ?? '')} [${sample + 1}, ${ids.length} tokens, ${finish}]`;
    if (!isOne) terminal.line(terminal.coloured(visible(heading), 'bold'));
    terminal.line(visible(text ?? ids.join(' ')));
    if (!isOne) terminal.line();
  }
}

function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}
