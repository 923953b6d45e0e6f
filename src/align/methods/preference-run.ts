// What DPO and KTO share: a policy and its reference, rows of completions, the reference's log-probabilities of them,
// computed once before training, and the steps over the rows. What a step computes, the method says.

import { UserError } from '../../engine/errors.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import { backendOf, type JobContext } from '../../engine/runtime/job.ts';
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
import type { loadMarkedRows, loadPreferenceRows, MarkedRow, PreferenceRow } from '../data/load.ts';
import { limitsFor } from '../data/packing.ts';
import type { DataReport } from '../data/report.ts';
import type { TokenRow } from '../data/token-row.ts';
import type { PromptTemplate } from '../data/tokenize.ts';
import { withAdapter } from '../run/adapter-options.ts';
import type { RunEvent } from '../run/events.ts';
import {
  GradientLearner,
  type ModelBatch,
  type StepSource,
  type TrainingOptions,
} from '../run/gradient-learner.ts';
import { type OpenRun, openRun } from '../run/open-run.ts';
import { type RunResult, runTraining } from '../run/training-run.ts';
import {
  type CompletionBatch,
  type CompletionGroup,
  completionBatches,
  countTokens,
} from '../scoring/layout.ts';
import { referenceLogProbs } from './reference-log-probs.ts';

export interface PreferenceRunOptions extends TrainingOptions {
  model: string;
  /** Default: the model itself as it is at the start. Not read by losses that use none. */
  reference?: string;
  data: string[];
  strict: boolean;
  /** Longest completion with its prompt, in tokens; default the model's context. */
  maxLength?: number;
  truncation: Truncation;
  template?: PromptTemplate;
  /** Lay a prompt out once for the completions that share it; equal to rounding. Default false. */
  sharePrompts?: boolean;
}

export interface PreferenceRunResult extends RunResult {
  data: DataReport;
  tokensGenerated: number;
  tokensTrained: number;
}

/** A row of the data: a pair, of which completions[0] is chosen and completions[1] rejected, or for KTO a single completion. */
export interface CompletionRow extends CompletionGroup {
  /** Place in the data. */
  index: number;
  /** The mark of a single completion. */
  isDesirable?: boolean;
  /** Σ log π_ref of each completion, nats; absent where the loss uses no reference. */
  reference?: readonly number[];
}

/** What a micro-batch is a part of. */
export interface WholeStep {
  rows: readonly CompletionRow[];
  /** Names the rows, for messages. */
  describe: () => string;
}

/** A step as the method makes it: the graph of each part of its rows. */
type StepObjective = (batch: CompletionBatch<CompletionRow>, whole: WholeStep) => ModelBatch;

export interface PreferenceMethod {
  name: string;
  usesReference: boolean;
  load: typeof loadMarkedRows | typeof loadPreferenceRows;
  /** Further sequences that the reference is asked of, one per row. */
  besides?: (rows: readonly CompletionRow[], policy: Model) => TokenRow[];
  /** @param besides those sequences with what the reference says of them */
  start: (
    backend: Backend,
    policy: Model,
    besides: { rows: readonly TokenRow[]; reference: readonly number[] },
  ) => (rows: readonly CompletionRow[]) => StepObjective | Promise<StepObjective>;
  /** The loss where policy and reference are the same model, where it is known. */
  lossAtReference?: number;
  /** How measures stand in the step's event. */
  metrics: (measures: Record<string, number>, rows: readonly CompletionRow[]) => Record<string, number>;
}

/** @throws UserError before any training when models or data cannot be used */
export async function trainOnPreferences(
  options: PreferenceRunOptions,
  method: PreferenceMethod,
  context: JobContext<RunEvent>,
): Promise<PreferenceRunResult> {
  const run = openRun(method.name, options, context);
  try {
    const backend = await backendOf(context, options);
    const bases = frozenBases();
    const isFrozen = options.loraRank !== undefined;
    const opened = await openModel(options.model, { expectKind: ['base', 'policy'], bases, isFrozen });
    const policy = withoutInheritedDropout(await withAdapter(opened, options), options);
    const reference = method.usesReference ? await referenceOf(options, opened, bases) : undefined;
    const { rows: data, report } = await loadRows(opened, options, method, run);
    const extra = method.besides?.(data, policy) ?? [];
    const asked = [...data.flatMap(({ completions }) => completions), ...extra];
    const { microBatchTokens: batchTokens, sharePrompts } = options;
    const asking = { batchTokens, sharePrompts, signal: context.signal };
    const logProbs =
      reference &&
      (await referenceLogProbs(backend, await asReference(reference), asked, run.folder.path, asking));
    const { rows, rest } = withReference(data, logProbs);
    policy.kind = 'policy';
    policy.lineage = await lineageFrom([opened, ...(reference ? [reference] : [])], report.files);
    const objectiveOf = method.start(backend, policy, { rows: extra, reference: rest });
    const source = rowSource(policy, rows, objectiveOf, report, { options, method, emit: context.emit });
    const learner = new GradientLearner(backend, policy, source, options);
    const result = await runTraining(learner, options, run.folder, context, method.name);
    return { ...result, data: report, tokensGenerated: 0, tokensTrained: result.tokens };
  } finally {
    run.close();
  }
}

/** The reference has no dropout; the policy has it only where it is asked for, whatever its adapter was trained with. */
function withoutInheritedDropout(policy: Model, { loraDropout }: PreferenceRunOptions): Model {
  if (!policy.adapter || loraDropout !== undefined) return policy;
  return { ...policy, adapter: { ...policy.adapter, dropout: 0 } };
}

/** @returns the model as it is at the start, before anything is trained, unless another is named */
async function referenceOf(
  { reference }: PreferenceRunOptions,
  opened: OpenedModel,
  bases: FrozenBases,
): Promise<OpenedWeights> {
  if (reference === undefined) return opened;
  const other = await openWeights(reference, { expectKind: ['base', 'policy'], bases, isFrozen: true });
  const { model: policy } = opened;
  requireSameTokens(`--reference ${reference}`, other.model, policy);
  requireContext(`--reference ${reference}`, other.model.config, policy.config.maxPositions);
  return other;
}

async function asReference({ model, sha256 }: OpenedWeights): Promise<{ model: Model; sha256: string }> {
  return { model, sha256: await sha256() };
}

async function loadRows(
  { model: { config }, prompts }: OpenedModel,
  options: PreferenceRunOptions,
  { load }: PreferenceMethod,
  run: OpenRun,
): Promise<{ rows: CompletionRow[]; report: DataReport }> {
  const { maxLength = config.maxPositions, truncation, template, strict } = options;
  if (maxLength > config.maxPositions) {
    const expected = `at most ${config.maxPositions}, the model's context`;
    throw new UserError({ where: '--max-length', expected, found: `${maxLength}` });
  }
  const { rows, report } = await load(options.data, prompts, {
    ...{ maxLength, truncation, template, strict },
    vocabularySize: config.vocabularySize,
    onFault: run.setAside,
  });
  run.warnOfRows(report);
  return { rows: rows.map(completionRow), report };
}

function completionRow(row: MarkedRow | PreferenceRow, index: number): CompletionRow {
  if (!('answer' in row)) return { index, completions: [row.chosen, row.rejected] };
  return { index, completions: [row.answer], isDesirable: row.isDesirable };
}

/** Log-probabilities cut up by row; the rest are those of the sequences besides. */
function withReference(
  data: readonly CompletionRow[],
  logProbs: readonly number[] | undefined,
): { rows: CompletionRow[]; rest: readonly number[] } {
  if (!logProbs) return { rows: [...data], rest: [] };
  let place = 0;
  const rows = data.map((row) => {
    const start = place;
    place += row.completions.length;
    return { ...row, reference: logProbs.slice(start, place) };
  });
  return { rows, rest: logProbs.slice(place) };
}

function rowSource(
  policy: Model,
  rows: readonly CompletionRow[],
  objectiveOf: ReturnType<PreferenceMethod['start']>,
  report: DataReport,
  {
    options,
    method,
    emit,
  }: { options: PreferenceRunOptions; method: PreferenceMethod; emit: (event: RunEvent) => void },
): StepSource {
  const { seed, batchSize, microBatchTokens, epochs, sharePrompts } = options;
  const order = createBatchOrder({ seed, batchSize, count: rows.length });
  const limits = { ...limitsFor(policy.config, microBatchTokens), slots: batchSize, sharePrompts };
  const rowsOf = (step: number) => order.rowsForStep(step).map((index) => rows[index]);
  const describeStep = (step: number) => rowsOf(step).map(placeOf).join(', ');
  return {
    totalSteps: order.stepsForEpochs(epochs),
    stepsPerEpoch: rows.length / batchSize,
    async planStep(step) {
      const batch = rowsOf(step);
      const objective = await objectiveOf(batch);
      const whole = { rows: batch, describe: () => describeStep(step) };
      const parts = completionBatches(batch, limits);
      return { microBatches: parts.map((part) => objective(part, whole)), tokens: countTokens(batch) };
    },
    describeStep,
    eventOf(measures, update) {
      if (options.reference === undefined && !policy.adapter?.dropout)
        warnOfStart(update, method.lossAtReference, emit);
      return { metrics: method.metrics(measures, rowsOf(update.step)) };
    },
    files: report.files,
  };
}

const placeOf = ({ completions: [{ source }] }: CompletionRow): string => `${source.file}:${source.line}`;

/** Before the first update the policy is its own reference, which gives such losses a known value. */
function warnOfStart(
  { step, loss }: { step: number; loss: number },
  expected: number | undefined,
  emit: (event: RunEvent) => void,
): void {
  if (step !== 0 || expected === undefined) return;
  if (Math.abs(loss - expected) <= 1e-4 * Math.max(1, expected)) return;
  const message =
    `the first loss is ${loss}, and ${expected} was expected while the policy is still its own reference: its ` +
    'log-probabilities in training are not those that were computed before';
  emit({ type: 'warning', step, message });
}
