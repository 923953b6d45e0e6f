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

/**
 * Trains until the last step or until the signal, and saves the model. A run that had finished is left as it is.
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
  const backend = await openBackend(options);
  const trainer = new Trainer(backend, trainedParameters(model, options), {
    adamw: options,
    clipNorm: options.clipNorm,
    patience: options.patience,
  });
  const run = new LanguageRun(model, source, options, folder, trainer, emit);
  if (options.resume) await run.restore();
  if (!run.isOver()) await run.train(command, signal);
  await trainer.close();
  return run.result();
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

interface StoredState {
  tokens: number;
  /** JSON has no NaN. */
  loss: number | null;
  skipped: number;
  updates: number;
  skippedInARow: number;
  files: Fingerprint[];
}

/** One run: what it is made of, and how far it is. */
class LanguageRun {
  private readonly model: Model;
  private readonly source: WindowSource;
  private readonly options: TrainingOptions;
  private readonly folder: RunFolder;
  private readonly trainer: Trainer;
  private readonly emit: (event: RunEvent) => void;
  private readonly totalSteps: number;
  private step = 0;
  /** Real (not padding) tokens so far. */
  private tokens = 0;
  private loss = Number.NaN;
  private skipped = 0;
  private savedStep = -1;

  constructor(
    model: Model,
    source: WindowSource,
    options: TrainingOptions,
    folder: RunFolder,
    trainer: Trainer,
    emit: (event: RunEvent) => void,
  ) {
    this.model = model;
    this.source = source;
    this.options = options;
    this.folder = folder;
    this.trainer = trainer;
    this.emit = emit;
    this.totalSteps = Math.min(options.maxSteps ?? Number.POSITIVE_INFINITY, source.totalSteps);
  }

  /** Takes up the newest checkpoint, if there is one. @throws UserError when the data or the model's shape changed */
  async restore(): Promise<void> {
    const { training, warnings } = await loadLatestTrainingState(this.folder.checkpoints);
    for (const message of warnings) this.warn(message);
    if (!training) return;
    const { tokens, loss, skipped, updates, skippedInARow, files } = training.state as StoredState;
    requireSameData(files, this.source.files);
    copyParameters(training.model, this.model);
    this.trainer.restore({ tensors: training.optimizer, updates, skippedInARow });
    [this.step, this.savedStep] = [training.step, training.step];
    [this.tokens, this.loss, this.skipped] = [tokens, loss ?? Number.NaN, skipped];
  }

  /** Whether the run had come to its end, and says so. */
  isOver(): boolean {
    if (this.step < this.totalSteps || !this.folder.isFinished()) return false;
    this.warn(`${this.options.out}: finished already, after ${this.step} updates; nothing to do`);
    return true;
  }

  result(): RunResult {
    const { step: steps, tokens, loss, skipped } = this;
    const outcome = steps < this.totalSteps ? 'interrupted' : 'done';
    return { steps, tokens, loss, skipped, outcome, model: `${this.options.out}/model` };
  }

  async train(command: string, signal: AbortSignal): Promise<void> {
    const startedAt = performance.now();
    this.begin(command);
    while (this.step < this.totalSteps && !signal.aborted) {
      await this.update();
      const { saveEvery } = this.options;
      if (saveEvery && this.step % saveEvery === 0) await this.checkpoint();
    }
    if (this.savedStep !== this.step) await this.checkpoint();
    const { outcome, model } = this.result();
    await saveModel(model, this.model);
    if (outcome === 'interrupted') return;
    const seconds = (performance.now() - startedAt) / 1000;
    this.record({ type: 'finished', step: this.step, tokens: this.tokens, seconds, outcome });
  }

  private begin(command: string): void {
    const { step, totalSteps, source, options } = this;
    this.folder.continueFrom(step);
    if (this.savedStep >= 0) this.emit({ type: 'resumed', step, totalSteps });
    else this.record({ type: 'started', step, command, totalSteps });
    if (totalSteps === source.totalSteps || options.schedule === 'constant') return;
    this.warn(
      `--max-steps ends the run before its ${options.schedule} schedule of ${source.totalSteps} updates; fewer --epochs would shorten that`,
    );
  }

  private async update(): Promise<void> {
    const begun = performance.now();
    const { model, source, options } = this;
    const windows = source.windowsForStep(this.step);
    const describe = () => source.describeStep(this.step);
    const microBatches = windowMicroBatches(model.config, windows, options.microBatchTokens, describe);
    const learningRate = this.learningRate();
    if (microBatches.length === 0) return this.skip('no token has a loss');
    const { loss, measures, gradientNorm, isUpdated } = await this.trainer.step(microBatches, learningRate);
    const tokens = windows.reduce((count, { segments }) => count + segments.filter((s) => s >= 0).length, 0);
    this.tokens += tokens;
    if (!isUpdated) {
      this.skipped += 1;
      return this.skip(`loss ${loss}, gradient norm ${gradientNorm} at ${describe()}`);
    }
    this.loss = loss;
    this.step += 1;
    this.record({
      type: 'step',
      step: this.step,
      epoch: this.step / source.stepsPerEpoch,
      loss,
      tokens: this.tokens,
      tokensPerSecond: tokens / ((performance.now() - begun) / 1000),
      gradientNorm,
      learningRate,
      tokenAccuracy: measures.tokenAccuracy,
      entropy: measures.entropy,
    });
  }

  private learningRate(): number {
    const { schedule: kind, warmupRatio, learningRate } = this.options;
    const { totalSteps } = this.source;
    const schedule = { kind, warmupSteps: Math.ceil(warmupRatio * totalSteps), totalSteps };
    return learningRate * scheduleMultiplier(schedule, this.step);
  }

  private skip(reason: string): void {
    this.step += 1;
    this.record({ type: 'skipped', step: this.step, what: 'update', count: 1, reason });
  }

  private async checkpoint(): Promise<void> {
    const { step, tokens, loss, skipped, model, folder, source } = this;
    this.announceCheckpoint();
    const { tensors, updates, skippedInARow } = this.trainer.state();
    const state: StoredState = { tokens, loss, skipped, updates, skippedInARow, files: [...source.files] };
    const training: TrainingState = { step, model, optimizer: tensors, state };
    const { keepLast } = this.options;
    const { warnings } = await saveTrainingState(folder.checkpoints, training, { keepLast });
    for (const message of warnings) this.warn(message);
    this.savedStep = step;
  }

  /** An interruption's checkpoint leaves no line, so that the resumed log equals an uninterrupted one. */
  private announceCheckpoint(): void {
    const { step, totalSteps, options } = this;
    const event: RunEvent = { type: 'checkpoint', step, path: 'checkpoints' };
    if (step === totalSteps || (options.saveEvery && step % options.saveEvery === 0)) this.record(event);
    else {
      this.folder.makeDurable();
      this.emit(event);
    }
  }

  private record(event: RunEvent): void {
    this.folder.record(event);
    this.emit(event);
  }

  private warn(message: string): void {
    this.emit({ type: 'warning', step: this.step, message });
  }
}

function copyParameters(from: Model, to: Model): void {
  for (const [name, values] of to.parameters) {
    const saved = from.parameters.get(name);
    if (saved?.length !== values.length) {
      throw new UserError({
        where: 'the checkpoint',
        expected: `${name} as in --model`,
        found: 'another shape',
      });
    }
    values.set(saved);
  }
}
