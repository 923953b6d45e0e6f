// Supervised fine-tuning: the next-token objective on demonstrations, counted on their completions alone.
// Wei et al. 2021 (arXiv:2109.01652); Ouyang et al. 2022 (arXiv:2203.02155), section 3.5.
// Departures: 1. rows are packed into windows with block-diagonal attention, which changes nothing but the speed.

import { UserError } from '../../engine/errors.ts';
import type { JobContext } from '../../engine/runtime/job.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import { type OpenedModel, openModel } from '../../language/checkpoint/open-model.ts';
import { createBatchOrder } from '../data/batches.ts';
import type { Fingerprint } from '../data/fingerprint.ts';
import { lineageFrom } from '../data/lineage.ts';
import { loadInstructionRows } from '../data/load.ts';
import { packRows } from '../data/packing.ts';
import type { DataReport } from '../data/report.ts';
import type { TokenRow } from '../data/token-row.ts';
import type { PromptTemplate } from '../data/tokenize.ts';
import { withAdapter } from '../run/adapter-options.ts';
import type { RunEvent } from '../run/events.ts';
import type { TrainingOptions } from '../run/gradient-learner.ts';
import { trainLanguageModel, type WindowSource } from '../run/language-run.ts';
import { openRun } from '../run/open-run.ts';
import type { RunResult } from '../run/training-run.ts';

export interface SftOptions extends TrainingOptions {
  model: string;
  data: string[];
  strict: boolean;
  /** Longest row, in tokens. Default: the model's context. */
  maxLength?: number;
  truncation: 'drop' | 'prompt-left' | 'completion-right';
  template?: PromptTemplate;
}

export interface SftResult extends RunResult {
  data: DataReport;
}

/** Fine-tunes a model on instruction records. @throws UserError before any training when model or data cannot be used */
export async function sft(options: SftOptions, context: JobContext<RunEvent>): Promise<SftResult> {
  const run = openRun('sft', options, context);
  try {
    const opened = await openModel(options.model, { expectKind: ['base', 'policy'] });
    const model = await withAdapter(opened, options);
    const { rows, report } = await demonstrations(opened, options, run.setAside);
    run.warnOfRows(report);
    const source = demonstrationSource(rows, report.files, model, options);
    model.lineage = await lineageFrom([opened], report.files);
    model.kind = 'policy';
    const result = await trainLanguageModel(model, source, options, run.folder, context, 'sft');
    return { ...result, data: report };
  } finally {
    run.close();
  }
}

async function demonstrations(
  { model: { config }, prompts }: OpenedModel,
  options: SftOptions,
  onFault: Parameters<typeof loadInstructionRows>[2]['onFault'],
): Promise<{ rows: TokenRow[]; report: DataReport }> {
  const maxLength = options.maxLength ?? config.maxPositions;
  if (maxLength > config.maxPositions) {
    throw new UserError({
      where: '--max-length',
      expected: `at most ${config.maxPositions}, the model's context`,
      found: `${maxLength}`,
    });
  }
  return loadInstructionRows(options.data, prompts, {
    maxLength,
    truncation: options.truncation,
    template: options.template,
    vocabularySize: config.vocabularySize,
    strict: options.strict,
    onFault,
  });
}

/** Batches of rows in a new order every epoch, each packed into windows of its own length. */
export function demonstrationSource(
  rows: readonly TokenRow[],
  files: readonly Fingerprint[],
  { config }: Model,
  options: Pick<SftOptions, 'seed' | 'batchSize' | 'epochs' | 'microBatchTokens'>,
): WindowSource {
  const longest = rows.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  const mostLength = Math.max(longest, Math.min(config.maxPositions, options.microBatchTokens));
  const order = createBatchOrder({ seed: options.seed, batchSize: options.batchSize, count: rows.length });
  const rowsOf = (step: number) => order.rowsForStep(step).map((index) => rows[index]);
  return {
    totalSteps: order.stepsForEpochs(options.epochs),
    stepsPerEpoch: rows.length / options.batchSize,
    windowsForStep: (step) => packRows(rowsOf(step), mostLength),
    describeStep: (step) =>
      rowsOf(step)
        .map(({ source: { file, line } }) => `${file}:${line}`)
        .join(', '),
    files,
  };
}
