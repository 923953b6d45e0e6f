// heed label: answers of a model, compared by simulated annotators.

import { z } from 'zod';
import type { LabelResult } from '../../../align/evaluation/labels/label.ts';
import type {
  AnnotatorName,
  LabelEvent,
  LabelOptions,
} from '../../../align/evaluation/labels/label-options.ts';
import type { LabelReport } from '../../../align/evaluation/labels/label-report.ts';
import type { Interval } from '../../../align/scoring/intervals.ts';
import { runJob } from '../../../engine/runtime/job.ts';
import { defineCommand } from '../command.ts';
import { showInterval } from '../interval-text.ts';
import { modelOptions } from '../model-options.ts';
import { patientProgress } from '../patient-progress.ts';
import { showFaults } from '../show-faults.ts';
import { resolveComputing, stageOptions, templateOption } from '../stage-options.ts';
import type { Terminal } from '../terminal.ts';

const annotators = ['usual', 'careful'] as const satisfies readonly AnnotatorName[];
const share = (text: string) => z.number().min(0).max(1).optional().describe(text);

export const label = defineCommand({
  name: 'label',
  description: 'sample answers of a model, and let simulated annotators say which is the more readable',
  options: z.object({
    ...modelOptions,
    data: z
      .array(z.string())
      .min(1)
      .describe('JSONL of prompts: instruction, prompt, messages or prompt_ids'),
    out: z.string().describe('folder for the labels; new or empty, unless --resume'),
    template: templateOption,
    answers: z.int().min(2).max(64).default(2).describe('answers of each prompt'),
    pairs: z
      .int()
      .min(1)
      .optional()
      .describe('pairs judged of each prompt, drawn at random; all unless given'),
    annotator: z.enum(annotators).default('usual').describe('how people err: as usual, or hardly ever'),
    annotators: z.int().min(1).max(1000).default(1).describe('people; a pair is judged by one of them'),
    overlap: z
      .number()
      .min(0)
      .max(1)
      .default(0.2)
      .describe('share of the pairs that all people judge, by majority, when they are several'),
    flipRate: share("share of preferences said the wrong way round; the annotator's own unless given"),
    noise: z
      .number()
      .min(0)
      .optional()
      .describe("deviation of how readable an answer seems; the annotator's own unless given"),
    laziness: share("share of judgements by a coin; the annotator's own unless given"),
    positionBias: z
      .number()
      .min(-1)
      .max(1)
      .optional()
      .describe("advantage of the answer shown first; the annotator's own unless given"),
    temperature: z.number().positive().default(1).describe('divides the logits'),
    maxTokens: z.int().min(1).default(192).describe('most tokens of an answer'),
    seed: z
      .int()
      .min(0)
      .max(2 ** 32 - 1)
      .default(0)
      .describe('where all random numbers start'),
    batchSize: z.int().min(1).default(64).describe('answers computed at once; less takes less memory'),
    resume: z.boolean().default(false).describe('go on with the labels in --out'),
    strict: stageOptions.strict,
  }),
  async run(options, terminal, signal) {
    const module = new URL('../../../align/evaluation/labels/label.js', import.meta.url).href;
    const payload: LabelOptions = resolveComputing(options);
    const faults = showFaults(terminal);
    const onProgress = patientProgress(terminal, { label: 'label', unit: 'answers' });
    const onEvent = (event: LabelEvent) => {
      if (event.type === 'fault') faults.add(event.fault);
      else onProgress(event.answers, event.total);
    };
    try {
      const job = { module, name: 'labelPrompts', payload };
      const result = await runJob<LabelEvent, LabelResult>(job, { onEvent, signal });
      faults.finish();
      if (result.isReused) terminal.note(`${result.out}: finished already; nothing to do`);
      showReport(result, terminal);
      return result;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  },
});

const shareNames: Readonly<Record<keyof LabelReport['shares'], string>> = {
  agree_with_criterion: 'judgements as the criterion says',
  right_preferences: 'preferences as the criterion says',
  agree_with_each_other: 'two people say the same',
  ties: 'ties',
  first_shown: 'choices of the first shown',
};

function showReport({ out, report }: LabelResult, terminal: Terminal): void {
  const { shares, counts, readability, median_seconds, tokens_generated } = report;
  const rows = Object.entries(shareNames).map(([key, name]): [string, Interval | undefined] => [
    name,
    shares[key as keyof LabelReport['shares']],
  ]);
  terminal.table(
    ['share', 'value [95%]', 'n'],
    rows.flatMap(([name, interval]) => (interval ? [[name, showInterval(interval), interval.n]] : [])),
  );
  const mean = (value?: number) => value?.toFixed(3) ?? '?';
  terminal.line(
    `mean readability: answers ${mean(readability.answers)}, ` +
      `chosen ${mean(readability.chosen)}, rejected ${mean(readability.rejected)}`,
  );
  if (median_seconds !== undefined)
    terminal.line(`median time of a judgement: ${median_seconds} s, simulated`);
  terminal.line(
    `${out}: ${counts.preferences} preferences and ${counts.rankings} rankings from ${counts.judgements} judgements ` +
      `of ${counts.answers} answers, ${tokens_generated} tokens`,
  );
}
