// The reward model: it learns to score a whole answer the way people compared answers. Christiano et al. 2017
// (arXiv:1706.03741), Eq. 1; Stiennon et al. 2020 (arXiv:2009.01325), section 3.4; Ouyang et al. 2022
// (arXiv:2203.02155), section 3.5.
// Departures: 1. the scores' mean over SFT answers is stored beside the weights and not subtracted from them. 2. The
// head has no bias, for no comparison could teach it one.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import { Random } from '../../engine/random.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import { backendOf, type JobContext } from '../../engine/runtime/job.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import { diskFiles } from '../../language/checkpoint/files.ts';
import { type OpenedModel, openModel } from '../../language/checkpoint/open-model.ts';
import { headWeight, initialHeadWeight } from '../../language/model/scalar-head.ts';
import { fromStored, toStored } from '../../language/stored-names.ts';
import { createBatchOrder } from '../data/batches.ts';
import type { Truncation } from '../data/fit.ts';
import { lineageFrom } from '../data/lineage.ts';
import {
  type LoadOptions,
  loadInstructionRows,
  loadPreferenceRows,
  loadRankingRows,
  type PreferenceRow,
} from '../data/load.ts';
import { limitsFor } from '../data/packing.ts';
import type { DataReport } from '../data/report.ts';
import type { TokenRow } from '../data/token-row.ts';
import type { PromptTemplate } from '../data/tokenize.ts';
import { withAdapter } from '../run/adapter-options.ts';
import type { RunEvent } from '../run/events.ts';
import { GradientLearner, type StepSource, type TrainingOptions } from '../run/gradient-learner.ts';
import { type OpenRun, openRun } from '../run/open-run.ts';
import { type RunResult, runTraining } from '../run/training-run.ts';
import { completionBatches, countTokens } from '../scoring/layout.ts';
import { type RewardQuality, rewardQuality } from '../scoring/reward-quality.ts';
import { sequenceScores } from '../scoring/sequences.ts';
import { type RankedRow, type RewardObjective, rankingMicroBatch } from './reward-objective.ts';

export interface RewardOptions extends TrainingOptions, RewardObjective {
  /** A base model or a policy, best the one whose answers were compared. */
  model: string;
  data: string[];
  /** Preferences that nothing is learnt from. */
  evalData?: string[];
  /** Answers of the SFT model, whose mean score is 0 and deviation 1 afterwards; default: the training completions. */
  sftCompletions?: string[];
  strict: boolean;
  /** Longest completion with its prompt, in tokens. Default: the model's context. */
  maxLength?: number;
  truncation: Truncation;
  template?: PromptTemplate;
  /** Lay a prompt out once for the completions that share it; equal to rounding. Default false. */
  sharePrompts?: boolean;
}

/** What was measured of the finished model; quality.json. */
export interface RewardReport extends Partial<RewardQuality> {
  /** Raw scores of SFT answers, the first of `answers` files or of the training answers. */
  statistics: { mean: number; deviation: number; n: number; answers: 'training' | string[] };
}

export interface RewardResult extends RunResult {
  data: DataReport;
  /** Absent while the run is interrupted. */
  quality?: RewardReport;
  tokensGenerated: number;
  tokensTrained: number;
}

/** Trains a reward model. @throws UserError before any training when model or data cannot be used */
export async function reward(options: RewardOptions, context: JobContext<RunEvent>): Promise<RewardResult> {
  const run = openRun('reward', options, context);
  try {
    requireMeaning(options);
    const opened = await openModel(options.model, { expectKind: ['base', 'policy'] });
    const model = rewardModel(await withAdapter(opened, options), options.seed);
    const known = await comparisons(opened, options, run);
    model.lineage = await lineageFrom([opened], known.report.files);
    const backend = await backendOf(context, options);
    let quality: RewardReport | undefined;
    const source: StepSource = {
      ...rankingSource(model, known, options),
      async conclude() {
        quality = await conclude(backend, model, known, options);
      },
    };
    const learner = new GradientLearner(backend, model, source, options);
    const result = await runTraining(learner, options, run.folder, context, 'reward');
    // A run that had finished before concludes nothing.
    if (result.outcome === 'done') quality ??= await readReport(options.out);
    return {
      ...{ ...result, data: known.report },
      ...(quality && { quality }),
      ...{ tokensGenerated: 0, tokensTrained: result.tokens },
    };
  } finally {
    run.close();
  }
}

function requireMeaning({ loss, margin, centering }: RewardOptions): void {
  if (loss === 'bradley-terry' || (margin === 0 && centering === 0)) return;
  throw new UserError({
    where: '--margin, --centering',
    expected: `0 with --loss ${loss}; they belong to bradley-terry`,
    found: `${margin}, ${centering}`,
  });
}

/** The body of a language model with a fresh scalar head in the place of its output head. */
function rewardModel(model: Model, seed: number): Model {
  const parameters = new Map(model.parameters);
  parameters.delete('lm_head.weight');
  parameters.set(headWeight, initialHeadWeight(model.config, seed));
  return { ...model, kind: 'reward', parameters };
}

interface Comparisons {
  rows: RankedRow[];
  report: DataReport;
  heldOut: PreferenceRow[];
  sftCompletions?: TokenRow[];
}

async function comparisons(
  { model: { config }, prompts: tokenizer }: OpenedModel,
  options: RewardOptions,
  run: OpenRun,
): Promise<Comparisons> {
  const {
    maxLength = config.maxPositions,
    truncation,
    template,
    strict,
    evalData,
    sftCompletions,
    loss,
  } = options;
  if (maxLength > config.maxPositions) {
    const expected = `at most ${config.maxPositions}, the model's context`;
    throw new UserError({ where: '--max-length', expected, found: `${maxLength}` });
  }
  const reading: LoadOptions = {
    ...{ maxLength, truncation, template, strict, onFault: run.setAside },
    vocabularySize: config.vocabularySize,
  };
  const { rows, report } =
    loss === 'bradley-terry'
      ? await loadPreferenceRows(options.data, tokenizer, reading)
      : await loadRankingRows(options.data, tokenizer, reading);
  const heldOut = evalData ? (await loadPreferenceRows(evalData, tokenizer, reading)).rows : [];
  const ofSft =
    sftCompletions &&
    (await loadInstructionRows(sftCompletions, tokenizer, { ...reading, ending: 'as-given' })).rows;
  run.warnOfRows(report);
  const ranked = rows.map(rankedRow);
  const trained = new Set(ranked.map(({ completions: [first] }) => promptOf(first)));
  const known = heldOut.filter(({ chosen }) => trained.has(promptOf(chosen))).length;
  if (known > 0) {
    run.warn(
      `${known} of ${heldOut.length} held-out pairs have a prompt that is trained on: they are not held out`,
    );
  }
  return { rows: ranked, report, heldOut, sftCompletions: ofSft };
}

/** The ids before the first trained token, as a key. */
const promptOf = ({ ids, isTrained }: TokenRow): string => ids.subarray(0, isTrained.indexOf(1)).join(' ');

function rankedRow(row: PreferenceRow | { answers: TokenRow[] }): RankedRow {
  return 'answers' in row
    ? { completions: row.answers }
    : { completions: [row.chosen, row.rejected], strength: row.strength };
}

function rankingSource(model: Model, { rows, report }: Comparisons, options: RewardOptions): StepSource {
  const { seed, batchSize, microBatchTokens, epochs, sharePrompts } = options;
  const order = createBatchOrder({ seed, batchSize, count: rows.length });
  const limits = { ...limitsFor(model.config, microBatchTokens), slots: batchSize, sharePrompts };
  const rowsOf = (step: number) => order.rowsForStep(step).map((index) => rows[index]);
  const describeStep = (step: number) => rowsOf(step).map(placeOf).join(', ');
  return {
    totalSteps: order.stepsForEpochs(epochs),
    stepsPerEpoch: rows.length / batchSize,
    planStep(step) {
      const own = rowsOf(step);
      const whole = { rows: own.length, describe: () => describeStep(step) };
      const batches = completionBatches(own, limits);
      return {
        microBatches: batches.map((batch) => rankingMicroBatch(model.config, batch, options, whole)),
        tokens: countTokens(own),
      };
    },
    describeStep,
    eventOf: (measures) => ({ metrics: measures }),
    files: report.files,
  };
}

const placeOf = ({ completions: [{ source }] }: RankedRow): string => `${source.file}:${source.line}`;

/** Answers whose scores give mean and deviation, drawn from all that there are. */
const mostStatisticsAnswers = 512;

/** The scale of the scores, and how good they are on held-out pairs, before the model is saved with both. */
async function conclude(
  backend: Backend,
  model: Model,
  { rows, heldOut, sftCompletions }: Comparisons,
  { out, seed, microBatchTokens: batchTokens, sharePrompts, sftCompletions: files }: RewardOptions,
): Promise<RewardReport> {
  const score = (answers: readonly TokenRow[]) =>
    sequenceScores(backend, model, answers, { batchTokens, sharePrompts });
  const answers = sftCompletions ?? rows.flatMap((row) => row.completions);
  const statistics = momentsOf(await score(drawn(answers, mostStatisticsAnswers, seed)));
  model.rewardStatistics = { mean: statistics.mean, deviation: statistics.deviation };
  const scores = await score(heldOut.flatMap(({ chosen, rejected }) => [chosen, rejected]));
  const pairs = heldOut.map(({ chosen, rejected, strength }, i) => ({
    chosen: { score: scores[2 * i], tokens: answerLength(chosen) },
    rejected: { score: scores[2 * i + 1], tokens: answerLength(rejected) },
    strength,
  }));
  const report: RewardReport = {
    statistics: { ...statistics, answers: files ?? 'training' },
    ...(pairs.length > 0 && rewardQuality(pairs)),
  };
  if (backend.workers.rank > 0) return report;
  const file = join(out, reportFile);
  await diskFiles.write(`${file}.new`, [Buffer.from(`${JSON.stringify(toStored(report), null, 2)}\n`)]);
  await diskFiles.rename(`${file}.new`, file);
  return report;
}

const reportFile = 'quality.json';
const readReport = async (out: string): Promise<RewardReport> =>
  fromStored(JSON.parse(await readFile(join(out, reportFile), 'utf8'))) as RewardReport;

const answerLength = ({ isTrained }: TokenRow): number => isTrained.reduce((count, flag) => count + flag, 0);

function drawn<T>(items: readonly T[], most: number, seed: number): T[] {
  const order = new Random(seed, 'statistics').permutation(items.length, 0);
  return Array.from(order.subarray(0, most), (index) => items[index]);
}

/** The deviation is 1 where all scores are one number, so that it can be divided by. */
function momentsOf(scores: Float64Array): { mean: number; deviation: number; n: number } {
  const n = scores.length;
  const mean = scores.reduce((sum, score) => sum + score, 0) / n;
  const variance = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / n;
  return { mean, deviation: Math.sqrt(variance) || 1, n };
}
