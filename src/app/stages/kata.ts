// The data of the embedded world.

import { z } from 'zod';
import type { KataOptions, writeKata } from '../../align/worlds/kata/datasets.ts';
import { text } from './options.ts';
import { stageOptions } from './shared-options.ts';
import { defineStage, jobOf } from './stage.ts';
import { line, table } from './summary.ts';

const qualities = ['clean', 'mixed', 'noisy'] as const satisfies readonly KataOptions['quality'][];

export const kata = defineStage({
  name: 'kata',
  description:
    'generate the data of the embedded world: demonstrations, prompts, held-out problems, a corpus',
  schema: z.object({
    out: text('output', 'output folder: new, empty, or one that this command wrote'),
    seed: stageOptions.seed,
    instructions: z.int().min(1).default(4000).describe('number of demonstrations'),
    quality: z
      .enum(qualities)
      .default('mixed')
      .describe('demonstrations: correct and readable, correct in any style, or with wrong and ugly ones'),
    coachingShare: z
      .number()
      .min(0)
      .max(0.9)
      .default(0.06)
      .describe('fraction of demonstrations that coach a learner'),
    prompts: z.int().min(0).default(2000).describe('number of prompts without a completion'),
    problems: z.int().min(1).default(300).describe('number of held-out program requests'),
    coaching: z.int().min(0).default(200).describe('number of held-out coaching requests'),
    documents: z.int().min(0).default(0).describe('number of pretraining documents'),
  }),
  job: jobOf<typeof writeKata>(new URL('../../align/worlds/kata/datasets.js', import.meta.url), 'writeKata'),
  work: {
    makes: ({ instructions, prompts, problems, coaching, documents }) => ({
      instructions,
      prompts,
      'held-out': problems,
      'held-out-coaching': coaching,
      corpus: documents,
    }),
  },
  progress: ({ done, total }) => ({ unit: 'rows', done, total }),
  summary: ({ out, rows, overlap }) => [
    table(['file', 'rows'], Object.entries(rows)),
    line(
      `${out}: the nearest demonstration solves ${overlap.retrieval_passed} of ${overlap.held_out_programs} held-out problems; ` +
        `${overlap.equal_after_renaming} have a solution that equals a demonstration after renaming`,
    ),
  ],
});
