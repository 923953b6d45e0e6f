// A run that trains a language model by next-token prediction: pretraining and supervised fine-tuning differ in
// their windows and their starting weights, and share everything else: steps, schedule, checkpoints, resume, events.

import { UserError } from '../../engine/errors.ts';
import { type ScheduleKind, scheduleMultiplier } from '../../engine/optimizer/schedule.ts';
import type { Device } from '../../engine/runtime/backend.ts';
import type { JobContext } from '../../engine/runtime/job.ts';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { type Model, saveModel } from '../../language/checkpoint/checkpoint.ts';
import {
  loadLatestTrainingState,
  saveTrainingState,
  type TrainingState,
} from '../../language/checkpoint/state.ts';
import { parameterInputs } from '../../language/model/forward.ts';
import { type ParameterSpec, parameterSpecs } from '../../language/model/parameters.ts';
import { type Fingerprint, requireSameData } from '../data/fingerprint.ts';
import type { Window } from '../data/packing.ts';
import type { RunEvent } from './events.ts';
import type { RunFolder } from './run-folder.ts';
import { Trainer } from './trainer.ts';
import { windowMicroBatches } from './window-batches.ts';

/** Options of every training stage, resolved. */
export interface TrainingOptions {
  out: string;
  seed: number;
  device: Device;
  threads: number;
  resume: boolean;
  epochs: number;
  /** Where the run stops. The schedule spans the epochs all the same, so that stopping changes no step. */
  maxSteps?: number;
  batchSize: number;
  microBatchTokens: number;
  learningRate: number;
  schedule: ScheduleKind;
  /** Share of all steps. */
  warmupRatio: number;
  weightDecay: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  clipNorm: number;
  saveEvery?: number;
  keepLast: number;
  /** Updates skipped in a row before the run stops. */
  patience: number;
}

/** What a run learns from. */
export interface WindowSource {
  /** Until every row was used `epochs` times. */
  totalSteps: number;
  stepsPerEpoch: number;
  /** The windows of a step, a pure function of it. */
  windowsForStep: (step: number) => readonly Window[];
  /** Names the rows of a step, for messages. */
  describeStep: (step: number) => string;
  files: readonly Fingerprint[];
}

export interface RunResult {
  steps: number;
  tokens: number;
  /** Of the last update; NaN before the first. */
  loss: number;
  /** Updates left out because loss or gradient was not finite. */
  skipped: number;
  outcome: 'done' | 'interrupted';
  /** Folder of the trained model. */
  model: string;
}

interface Progress {
  step: number;
  /** Real (not padding) tokens so far. */
  tokens: number;
  loss: number;
  skipped: number;
}

/**
 * Trains until the last step or until the signal, and saves the model.
 * @param model   its parameters are trained in place
 * @param context hears the events that the folder keeps, as they come
 */
export async function trainLanguageModel(
  model: Model,
  source: WindowSource,
  options: TrainingOptions,
  folder: RunFolder,
  { emit, signal }: JobContext<RunEvent>,
  command: string,
): Promise<RunResult> {
  const record = (event: RunEvent) => {
    folder.record(event);
    emit(event);
  };
  const warn = (step: number) => (message: string) => emit({ type: 'warning', step, message });
  const backend = await openBackend(options);
  const trainer = new Trainer(backend, trainedParameters(model, options), {
    adamw: options,
    clipNorm: options.clipNorm,
    patience: options.patience,
  });
  const totalSteps = Math.min(options.maxSteps ?? Number.POSITIVE_INFINITY, source.totalSteps);
  const restored = options.resume ? await restore(folder, warn) : undefined;
  const progress: Progress = { step: 0, tokens: 0, loss: Number.NaN, skipped: 0 };
  if (restored) resumeFrom(restored, source, model, trainer, progress);
  const path = `${options.out}/model`;
  const resultOf = (outcome: RunResult['outcome']): RunResult => {
    const { step: steps, tokens, loss, skipped } = progress;
    return { steps, tokens, loss, skipped, outcome, model: path };
  };
  if (progress.step >= totalSteps && folder.isFinished()) {
    warn(progress.step)(`${options.out}: finished already, after ${progress.step} updates; nothing to do`);
    return resultOf('done');
  }
  folder.continueFrom(progress.step);
  if (restored) emit({ type: 'resumed', step: progress.step, totalSteps });
  else record({ type: 'started', step: 0, command, totalSteps });
  if (totalSteps < source.totalSteps && options.schedule !== 'constant') {
    warn(progress.step)(
      `--max-steps ends the run before its ${options.schedule} schedule of ${source.totalSteps} updates; fewer --epochs would shorten that`,
    );
  }
  const startedAt = performance.now();
  const save = () => checkpoint(folder, model, source, options, trainer, progress, warn);
  const announce = (): RunEvent => ({ type: 'checkpoint', step: progress.step, path: 'checkpoints' });
  let savedStep = restored ? progress.step : -1;
  while (progress.step < totalSteps && !signal.aborted) {
    await oneStep(model, source, options, trainer, progress, record);
    if (options.saveEvery && progress.step % options.saveEvery === 0) {
      record(announce());
      await save();
      savedStep = progress.step;
    }
  }
  const outcome = progress.step < totalSteps ? 'interrupted' : 'done';
  if (savedStep !== progress.step) {
    // An interruption leaves no line, so that the resumed log equals an uninterrupted one.
    if (outcome === 'done') record(announce());
    else {
      folder.makeDurable();
      emit(announce());
    }
    await save();
  }
  await saveModel(path, model);
  const seconds = (performance.now() - startedAt) / 1000;
  if (outcome === 'done')
    record({ type: 'finished', step: progress.step, tokens: progress.tokens, seconds, outcome });
  await trainer.close();
  return resultOf(outcome);
}

/** Matrices and embeddings decay; norms and biases do not, as in GPT-3 and Transformers' Trainer. */
function trainedParameters(model: Model, { weightDecay }: TrainingOptions) {
  const inputs = parameterInputs(model.config);
  const decays = ({ role }: ParameterSpec) => role === 'matrix' || role === 'embedding';
  return parameterSpecs(model.config).map((spec) => ({
    name: spec.name,
    values: model.parameters.get(spec.name)!,
    tensor: inputs[spec.name],
    weightDecay: decays(spec) ? weightDecay : 0,
  }));
}

async function oneStep(
  model: Model,
  source: WindowSource,
  options: TrainingOptions,
  trainer: Trainer,
  progress: Progress,
  record: (event: RunEvent) => void,
): Promise<void> {
  const { step } = progress;
  const begun = performance.now();
  const windows = source.windowsForStep(step);
  const describe = () => source.describeStep(step);
  const microBatches = windowMicroBatches(model.config, windows, options.microBatchTokens, describe);
  const warmupSteps = Math.ceil(options.warmupRatio * source.totalSteps);
  const schedule = { kind: options.schedule, warmupSteps, totalSteps: source.totalSteps };
  const learningRate = options.learningRate * scheduleMultiplier(schedule, step);
  progress.step += 1;
  if (microBatches.length === 0) {
    record({ type: 'skipped', step: progress.step, what: 'update', count: 1, reason: 'no token has a loss' });
    return;
  }
  const { loss, measures, gradientNorm, isUpdated } = await trainer.step(microBatches, learningRate);
  const tokens = windows.reduce((count, { segments }) => count + segments.filter((s) => s >= 0).length, 0);
  progress.tokens += tokens;
  if (!isUpdated) {
    progress.skipped += 1;
    const reason = `loss ${loss}, gradient norm ${gradientNorm} at ${describe()}`;
    record({ type: 'skipped', step: progress.step, what: 'update', count: 1, reason });
    return;
  }
  progress.loss = loss;
  record({
    type: 'step',
    step: progress.step,
    epoch: progress.step / source.stepsPerEpoch,
    loss,
    tokens: progress.tokens,
    tokensPerSecond: tokens / ((performance.now() - begun) / 1000),
    gradientNorm,
    learningRate,
    tokenAccuracy: measures.tokenAccuracy,
    entropy: measures.entropy,
  });
}

interface StoredState {
  tokens: number;
  /** JSON has no NaN. */
  loss: number | null;
  skipped: number;
  updates: number;
  skippedInARow: number;
  files: Fingerprint[];
}

async function checkpoint(
  folder: RunFolder,
  model: Model,
  source: WindowSource,
  options: TrainingOptions,
  trainer: Trainer,
  { step, tokens, loss, skipped }: Progress,
  warn: (step: number) => (message: string) => void,
): Promise<void> {
  const { tensors, updates, skippedInARow } = trainer.state();
  const state: StoredState = { tokens, loss, skipped, updates, skippedInARow, files: [...source.files] };
  const training: TrainingState = { step, model, optimizer: tensors, state };
  const { warnings } = await saveTrainingState(folder.checkpoints, training, { keepLast: options.keepLast });
  warnings.forEach(warn(step));
}

async function restore(
  folder: RunFolder,
  warn: (step: number) => (message: string) => void,
): Promise<TrainingState | undefined> {
  const { training, warnings } = await loadLatestTrainingState(folder.checkpoints);
  warnings.forEach(warn(training?.step ?? 0));
  return training;
}

function resumeFrom(
  { step, model: stored, optimizer, state }: TrainingState,
  source: WindowSource,
  model: Model,
  trainer: Trainer,
  progress: Progress,
): void {
  const { tokens, loss, skipped, updates, skippedInARow, files } = state as StoredState;
  requireSameData(files, source.files);
  for (const [name, values] of model.parameters) {
    const saved = stored.parameters.get(name);
    if (saved?.length !== values.length) {
      throw new UserError({
        where: 'the checkpoint',
        expected: `${name} as in --model`,
        found: 'another shape',
      });
    }
    values.set(saved);
  }
  trainer.restore({ tensors: optimizer, updates, skippedInARow });
  Object.assign(progress, { step, tokens, loss: loss ?? Number.NaN, skipped });
}
