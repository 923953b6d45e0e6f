// Preference labels: a model's completions, compared by simulated annotators.

import { z } from 'zod';
import type { labelPrompts } from '../../align/evaluation/labels/label.ts';
import type { AnnotatorName } from '../../align/evaluation/labels/label-options.ts';
import type { LabelReport } from '../../align/evaluation/labels/label-report.ts';
import { text } from './options.ts';
import { generationOptions, modelOptions, promptData, stageOptions } from './shared-options.ts';
import { defineStage, jobOf } from './stage.ts';
import { intervalTable, line, type Summary } from './summary.ts';

const annotators = ['usual', 'careful'] as const satisfies readonly AnnotatorName[];
const share = (description: string) => z.number().min(0).max(1).optional().describe(description);
/** Pairs that are neither a tie nor twice the same text. */
const decidedShare = 0.75;

export const label = defineStage({
  name: 'label',
  description: 'generate completions and have simulated annotators compare them by readability',
  schema: z.object({
    ...modelOptions,
    data: promptData,
    out: text('output', 'output folder for the labels: new or empty, unless --resume'),
    ...generationOptions,
    samples: z.int().min(2).max(64).default(2).describe('completions per prompt'),
    pairs: z
      .int()
      .min(1)
      .optional()
      .describe('pairs compared per prompt, drawn at random (default: all pairs)'),
    annotator: z
      .enum(annotators)
      .default('usual')
      .describe('error profile of the annotators: usual errors, or almost none'),
    annotators: z
      .int()
      .min(1)
      .max(1000)
      .default(1)
      .describe('number of annotators; a pair is compared by one of them'),
    overlap: z
      .number()
      .min(0)
      .max(1)
      .default(0.2)
      .describe('fraction of pairs that all annotators compare, decided by majority'),
    flipRate: share("fraction of flipped preferences (default: the annotator profile's)"),
    noise: z
      .number()
      .min(0)
      .optional()
      .describe("standard deviation of perceived readability (default: the annotator profile's)"),
    laziness: share("fraction of judgements made at random (default: the annotator profile's)"),
    positionBias: z
      .number()
      .min(-1)
      .max(1)
      .optional()
      .describe("advantage of the completion shown first (default: the annotator profile's)"),
    seed: stageOptions.seed
      .unwrap()
      .max(2 ** 32 - 1)
      .default(0)
      .describe('random seed'),
    resume: z.boolean().default(false).describe('continue the labelling in --out'),
    strict: stageOptions.strict,
  }),
  job: jobOf<typeof labelPrompts>(
    new URL('../../align/evaluation/labels/label.js', import.meta.url),
    'labelPrompts',
  ),
  models: [{ role: 'policy', option: 'model', weights: 'frozen' }],
  work: {
    generates: 'once',
    completions: ({ samples }) => samples,
    makes: ({ samples, pairs = (samples * (samples - 1)) / 2 }, prompts) => ({
      preferences: prompts * decidedShare * pairs,
    }),
  },
  progress: (event) =>
    event.type === 'progress' ? { unit: 'completions', done: event.answers, total: event.total } : undefined,
  summary: ({ out, report, isReused }) => [
    ...(isReused ? [{ kind: 'note' as const, text: `${out}: finished already; nothing to do` }] : []),
    ...summaryOf(out, report),
  ],
});

const shareNames: Readonly<Record<keyof LabelReport['shares'], string>> = {
  agree_with_criterion: 'judgements that agree with the criterion',
  right_preferences: 'preferences that agree with the criterion',
  agree_with_each_other: 'agreement between two annotators',
  ties: 'ties',
  first_shown: 'first shown chosen',
};

function summaryOf(out: string, report: LabelReport): Summary {
  const { shares, counts, readability, median_seconds, tokens_generated } = report;
  const names = Object.keys(shareNames) as (keyof typeof shareNames)[];
  const mean = (value?: number) => value?.toFixed(3) ?? '?';
  return [
    intervalTable(
      'share',
      names.map((name) => [shareNames[name], shares[name]]),
    ),
    line(
      `mean readability: all completions ${mean(readability.answers)}, ` +
        `chosen ${mean(readability.chosen)}, rejected ${mean(readability.rejected)}`,
    ),
    ...(median_seconds === undefined
      ? []
      : [line(`median time per judgement: ${median_seconds} s, simulated`)]),
    line(
      `${out}: ${counts.preferences} preferences and ${counts.rankings} rankings from ${counts.judgements} judgements ` +
        `of ${counts.answers} completions, ${tokens_generated} tokens`,
    ),
  ];
}
