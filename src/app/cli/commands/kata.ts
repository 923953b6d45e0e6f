// heed kata: the data of the embedded world.

import { z } from 'zod';
import type { KataOptions, KataProgress, KataResult } from '../../../align/worlds/kata/datasets.ts';
import { runJob } from '../../../engine/runtime/job.ts';
import { defineCommand } from '../command.ts';
import { patientProgress } from '../patient-progress.ts';
import type { Terminal } from '../terminal.ts';

const qualities = ['clean', 'mixed', 'noisy'] as const satisfies readonly KataOptions['quality'][];

export const kata = defineCommand({
  name: 'kata',
  description: 'make the data of the embedded world: demonstrations, prompts, held-out problems, a corpus',
  options: z.object({
    out: z.string().describe('folder to write; new, empty, or one that this command wrote'),
    seed: z.int().min(0).default(0).describe('where all random numbers start'),
    instructions: z.int().min(1).default(4000).describe('demonstrations'),
    quality: z
      .enum(qualities)
      .default('mixed')
      .describe('right and readable, right in any style, or wrong and ugly ones among them'),
    coachingShare: z
      .number()
      .min(0)
      .max(0.9)
      .default(0.06)
      .describe('share of the demonstrations that coach a learner'),
    prompts: z.int().min(0).default(2000).describe('requests to sample from, without an answer'),
    problems: z.int().min(1).default(300).describe('held-out requests for programs'),
    coaching: z.int().min(0).default(200).describe('held-out requests for coaching'),
    documents: z.int().min(0).default(0).describe('texts for pretraining'),
  }),
  async run(options, terminal, signal) {
    const module = new URL('../../../align/worlds/kata/datasets.js', import.meta.url).href;
    const onProgress = patientProgress(terminal, { label: 'kata', unit: 'rows' });
    const onEvent = ({ done, total }: KataProgress) => onProgress(done, total);
    try {
      const job = { module, name: 'writeKata', payload: options };
      const result = await runJob<KataProgress, KataResult>(job, { onEvent, signal });
      showResult(result, terminal);
      return result;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  },
});

function showResult({ out, rows, overlap }: KataResult, terminal: Terminal): void {
  terminal.table(['file', 'rows'], Object.entries(rows));
  const { retrieval_passed, held_out_programs, equal_after_renaming } = overlap;
  terminal.line(
    `${out}: the nearest demonstration solves ${retrieval_passed} of ${held_out_programs} held-out problems; ` +
      `${equal_after_renaming} have a solution that equals a demonstration after renaming`,
  );
}
