// Direct preference optimisation: learn from pairs of answers without a reward model, because the policy's own
// log-ratio to a reference is one. Rafailov et al. 2023 (arXiv:2305.18290); the relatives are in objectives/preference.ts.
// Departures: 1. the reference's log-probabilities are computed once, before training. 2. KTO, which learns from single
// answers, reads a pair as a good and a bad one. 3. Its mismatched answers come from the next other prompt of the data,
// not of the batch, so that 1 holds for them too.

import { UserError } from '../../engine/errors.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import type { JobContext } from '../../engine/runtime/job.ts';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { type FrozenBases, frozenBases, type Model } from '../../language/checkpoint/checkpoint.ts';
import { requireContext, requireSameTokens } from '../../language/checkpoint/compatibility.ts';
import {
  type OpenedModel,
  type OpenedWeights,
  openModel,
  openWeights,
} from '../../language/checkpoint/open-model.ts';
import { createBatchOrder } from '../data/batches.ts';
import type { Truncation } from '../data/fit.ts';
import { lineageFrom } from '../data/lineage.ts';
import { loadMarkedRows, loadPreferenceRows, type MarkedRow, type PreferenceRow } from '../data/load.ts';
import { limitsFor } from '../data/packing.ts';
import type { DataReport } from '../data/report.ts';
import type { TokenRow } from '../data/token-row.ts';
import { ktoReferencePoint } from '../objectives/kto.ts';
import { withAdapter } from '../run/adapter-options.ts';
import type { RunEvent } from '../run/events.ts';
import { GradientLearner, type StepSource, type TrainingOptions } from '../run/gradient-learner.ts';
import { type OpenRun, openRun } from '../run/open-run.ts';
import { type RunResult, runTraining } from '../run/training-run.ts';
import { completionBatches, countTokens } from '../scoring/layout.ts';
import { sequenceLogProbs } from '../scoring/sequences.ts';
import {
  type DpoLossKind,
  type DpoObjective,
  defaultBeta,
  type JudgedRow,
  judgedMicroBatch,
  knownMeans,
  lossAtReference,
  usesReference,
} from './dpo-objective.ts';
import { mismatchedAnswers } from './mismatched-answers.ts';
import { referenceLogProbs } from './reference-log-probs.ts';

export interface DpoOptions extends TrainingOptions {
  model: string;
  /** The model itself as it is at the start, unless given. Not read by losses that use none. */
  reference?: string;
  data: string[];
  strict: boolean;
  /** Longest answer with its prompt, in tokens; the model's context unless given. */
  maxLength?: number;
  truncation: Truncation;
  loss: DpoLossKind;
  /** > 0; what the field starts from in this kind of loss, unless given. */
  beta?: number;
  labelSmoothing: number;
  targetMargin: number;
  likelihoodWeight: number;
  /** KTO's λ_D and λ_U, > 0; 1 unless given. */
  desirableWeight?: number;
  undesirableWeight?: number;
}

export interface DpoResult extends RunResult {
  data: DataReport;
  tokensGenerated: number;
  tokensTrained: number;
}

/** Trains a policy on preferences. @throws UserError before any training when models or data cannot be used */
export async function dpo(options: DpoOptions, context: JobContext<RunEvent>): Promise<DpoResult> {
  const run = openRun('dpo', options, context);
  try {
    const backend = await openBackend(options);
    const bases = frozenBases();
    const isFrozen = options.loraRank !== undefined;
    const opened = await openModel(options.model, { expectKind: ['base', 'policy'], bases, isFrozen });
    const policy = await withAdapter(opened, options);
    requireMeaning(options);
    const reference = await referenceOf(options, opened, bases);
    const { rows, report } = await judgedRows(opened, options, run);
    const sequences = new Sequences(rows, policy, options);
    if (reference)
      await sequences.ask(backend, await asReference(reference), run.folder.path, context.signal);
    policy.kind = 'policy';
    const others = reference === undefined || reference === opened ? [] : [reference];
    policy.lineage = await lineageFrom([opened, ...others], report.files);
    const source = rowSource(backend, policy, sequences, report, options, context);
    const learner = new GradientLearner(backend, policy, source, options);
    const result = await runTraining(learner, options, run.folder, context, 'dpo');
    return { ...result, data: report, tokensGenerated: 0, tokensTrained: result.tokens };
  } finally {
    run.close();
  }
}

function requireMeaning({ loss, likelihoodWeight, reference }: DpoOptions): void {
  if (loss === 'kto' && likelihoodWeight !== 0) {
    const expected = '0 with --loss kto, which reads single answers';
    throw new UserError({ where: '--likelihood-weight', expected, found: `${likelihoodWeight}` });
  }
  if (usesReference(loss) || reference === undefined) return;
  const expected = `none with --loss ${loss}, which uses no reference`;
  throw new UserError({ where: '--reference', expected, found: reference });
}

interface Reference {
  model: Model;
  sha256: string;
}

async function referenceOf(
  { reference, loss }: DpoOptions,
  opened: OpenedModel,
  bases: FrozenBases,
): Promise<OpenedWeights | undefined> {
  if (!usesReference(loss)) return undefined;
  if (reference === undefined) return opened;
  const other = await openWeights(reference, { expectKind: ['base', 'policy'], bases, isFrozen: true });
  const { model: policy } = opened;
  requireSameTokens(`--reference ${reference}`, other.model, policy);
  requireContext(`--reference ${reference}`, other.model.config, policy.config.maxPositions);
  return other;
}

async function asReference({ model, sha256 }: OpenedWeights): Promise<Reference> {
  return { model, sha256: await sha256() };
}

async function judgedRows(
  { model: { config }, prompts }: OpenedModel,
  options: DpoOptions,
  run: OpenRun,
): Promise<{ rows: JudgedRow[]; report: DataReport }> {
  const { loss, maxLength = config.maxPositions, truncation, strict } = options;
  if (maxLength > config.maxPositions) {
    const expected = `at most ${config.maxPositions}, the model's context`;
    throw new UserError({ where: '--max-length', expected, found: `${maxLength}` });
  }
  const load = loss === 'kto' ? loadMarkedRows : loadPreferenceRows;
  const { rows, report } = await load(options.data, prompts, {
    ...{ maxLength, truncation, strict },
    vocabularySize: config.vocabularySize,
    onFault: run.setAside,
  });
  run.tell(report);
  return { rows: rows.map(judgedRow), report };
}

function judgedRow(row: MarkedRow | PreferenceRow, index: number): JudgedRow {
  if (!('answer' in row)) return { index, completions: [row.chosen, row.rejected] };
  return { index, completions: [row.answer], isDesirable: row.isDesirable };
}

/** The rows, and for KTO the mismatched answers, with what the reference says of both. */
class Sequences {
  rows: readonly JudgedRow[];
  readonly mismatched: readonly TokenRow[];
  private ofMismatched: readonly number[] = [];
  private readonly batchTokens: number;

  constructor(rows: readonly JudgedRow[], { config }: Model, { loss, microBatchTokens }: DpoOptions) {
    this.rows = rows;
    this.mismatched = loss === 'kto' ? mismatchedAnswers(rows, config.maxPositions) : [];
    this.batchTokens = microBatchTokens;
  }

  async ask(backend: Backend, reference: Reference, folder: string, signal: AbortSignal): Promise<void> {
    const { rows, mismatched, batchTokens } = this;
    const all = [...rows.flatMap(({ completions }) => completions), ...mismatched];
    const logProbs = await referenceLogProbs(backend, reference, all, folder, { batchTokens, signal });
    let place = 0;
    this.rows = rows.map((row) => {
      const start = place;
      place += row.completions.length;
      return { ...row, reference: logProbs.slice(start, place) };
    });
    this.ofMismatched = logProbs.slice(place);
  }

  /** KTO's z for some rows, by the policy as it is now: no gradient flows through it. */
  async referencePoint(backend: Backend, policy: Model, batch: readonly JudgedRow[]): Promise<number> {
    const { mismatched, ofMismatched, batchTokens } = this;
    if (mismatched.length === 0) return 0;
    const asked = batch.map(({ index }) => mismatched[index]);
    const now = await sequenceLogProbs(backend, policy, asked, { batchTokens });
    return ktoReferencePoint(now.map((logProb, i) => logProb - ofMismatched[batch[i].index]));
  }
}

function rowSource(
  backend: Backend,
  policy: Model,
  sequences: Sequences,
  report: DataReport,
  options: DpoOptions,
  { emit }: JobContext<RunEvent>,
): StepSource {
  const { rows } = sequences;
  const { seed, batchSize, microBatchTokens, epochs, loss } = options;
  const objective: DpoObjective = { ...options, beta: options.beta ?? defaultBeta(loss) };
  const order = createBatchOrder({ seed, batchSize, count: rows.length });
  const limits = { ...limitsFor(policy.config, microBatchTokens), slots: batchSize };
  const rowsOf = (step: number) => order.rowsForStep(step).map((index) => rows[index]);
  const describeStep = (step: number) => rowsOf(step).map(placeOf).join(', ');
  return {
    totalSteps: order.stepsForEpochs(epochs),
    stepsPerEpoch: rows.length / batchSize,
    async planStep(step) {
      const batch = rowsOf(step);
      const whole = {
        rows: batch,
        referencePoint: await sequences.referencePoint(backend, policy, batch),
        describe: () => describeStep(step),
      };
      const parts = completionBatches(batch, limits);
      return {
        microBatches: parts.map((part) => judgedMicroBatch(policy.config, part, objective, whole)),
        tokens: countTokens(batch),
      };
    },
    describeStep,
    tell(measures, update) {
      if (options.reference === undefined) warnOfStart(update, objective, emit);
      return { metrics: knownMeans(measures, rowsOf(update.step)) };
    },
    files: report.files,
  };
}

const placeOf = ({ completions: [{ source }] }: JudgedRow): string => `${source.file}:${source.line}`;

/** Before the first update the policy is its own reference, which gives every such loss a known value. */
function warnOfStart(
  { step, loss }: { step: number; loss: number },
  objective: DpoObjective,
  emit: (event: RunEvent) => void,
): void {
  const expected = lossAtReference(objective);
  if (step !== 0 || expected === undefined) return;
  if (Math.abs(loss - expected) <= 1e-4 * Math.max(1, expected)) return;
  const message =
    `the first loss is ${loss}, and ${expected} was expected while the policy is still its own reference: its ` +
    'log-probabilities in training are not those that were computed before';
  emit({ type: 'warning', step, message });
}
