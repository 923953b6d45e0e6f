// What every training stage does around its updates: events, checkpoints, resuming, the end. What an update is, the
// method's learner knows.

import type { Device } from '../../engine/runtime/backend.ts';
import type { JobContext } from '../../engine/runtime/job.ts';
import { type Model, saveModel } from '../../language/checkpoint/checkpoint.ts';
import type { NamedTensor, StoredType } from '../../language/checkpoint/safetensors.ts';
import {
  loadLatestTrainingState,
  saveTrainingState,
  type TrainingState,
} from '../../language/checkpoint/state.ts';
import { type Fingerprint, requireSameData } from '../data/fingerprint.ts';
import { requireSameParents } from '../data/lineage.ts';
import type { RunEvent, StepEvent } from './events.ts';
import { memoryOfRoles, type RoleModel } from './role-memory.ts';
import type { RunFolder } from './run-folder.ts';

/** How a run goes, whatever is learnt. */
export interface RunOptions {
  out: string;
  resume: boolean;
  device: Device;
  /** Where the run stops. The schedule spans the epochs all the same, so that stopping changes no step. */
  maxSteps?: number;
  saveEvery?: number;
  keepLast: number;
  /** Type of the trained model's stored weights; checkpoints keep all bits. Default F32. */
  dtype?: StoredType;
}

/** What one update did. */
export type Update =
  | { kind: 'skipped'; reason: string; isFaulty: boolean; tokens: number }
  /** Nothing was learnt, and nothing more shall be: the run ends here. */
  | { kind: 'stopped'; reason: string; tokens: number; metrics: Record<string, number> }
  | {
      kind: 'updated';
      tokens: number;
      event: Omit<StepEvent, 'type' | 'step' | 'tokens' | 'tokensPerSecond'>;
    };

type LearnerState = { tensors: NamedTensor[]; rest: object };

/**
 * A method at work. Its updates depend on the step, its own state and its data alone. One that throws the signal's reason
 * has changed nothing.
 */
export interface Learner {
  /** Trained in place, and saved at the end. */
  model: Model;
  /** May become more exact while the run goes on. */
  readonly totalSteps: number;
  /** A word of warning about a run that --max-steps ends early, where that matters. */
  earlyEnd?: string;
  files: readonly Fingerprint[];
  /** The models that it holds, the trained ones first. */
  roles(): RoleModel[];
  update(step: number, record: (event: RunEvent) => void): Promise<Update>;
  /**
   * After the last step, before the model is saved: what can only be measured or set then.
   * @returns why the model is not that of the last step, if it is not
   */
  conclude?(): Promise<string | undefined>;
  /** Whatever resuming needs besides the model, which is up to date then: tensors as they are, the rest as JSON. */
  state(): LearnerState | Promise<LearnerState>;
  /** @throws UserError when the checkpoint is of another model */
  restore(saved: { model: Model; tensors: NamedTensor[]; rest: unknown }): void | Promise<void>;
  close(): Promise<void>;
}

export interface RunResult {
  steps: number;
  /** Trained, padding not counted. */
  tokens: number;
  /** Of the last update; NaN before the first. */
  loss: number;
  /** Updates skipped because loss or gradient was not finite. */
  skipped: number;
  outcome: 'done' | 'interrupted';
  /** Folder of the trained model. */
  model: string;
  /** Why the method itself ended the run before its last step. */
  stopped?: string;
}

/**
 * Trains until the last step or until the signal, and saves the model. A run that had finished is left as it is.
 * @param context hears the events that the folder keeps, as they come
 */
export async function runTraining(
  learner: Learner,
  options: RunOptions,
  folder: RunFolder,
  { emit, signal }: JobContext<RunEvent>,
  command: string,
): Promise<RunResult> {
  const run = new TrainingRun(learner, options, folder, emit);
  try {
    if (options.resume) await run.restore();
    if (!run.isOver()) await run.train(command, signal);
  } finally {
    await learner.close();
  }
  return run.result();
}

interface StoredState {
  tokens: number;
  /** JSON has no NaN. */
  loss: number | null;
  skipped: number;
  files: Fingerprint[];
  stopped?: string;
  learner: unknown;
}

/** One run: what it is made of, and how far it is. */
class TrainingRun {
  private readonly learner: Learner;
  private readonly options: RunOptions;
  private readonly folder: RunFolder;
  private readonly emit: (event: RunEvent) => void;
  private step = 0;
  private tokens = 0;
  private loss = Number.NaN;
  private skipped = 0;
  private savedStep = -1;
  private stopped: string | undefined;

  constructor(learner: Learner, options: RunOptions, folder: RunFolder, emit: (event: RunEvent) => void) {
    this.learner = learner;
    this.options = options;
    this.folder = folder;
    this.emit = emit;
  }

  private get totalSteps(): number {
    return Math.min(this.options.maxSteps ?? Number.POSITIVE_INFINITY, this.learner.totalSteps);
  }

  /** Takes up the newest checkpoint, if there is one. @throws UserError when the data or the model's shape changed */
  async restore(): Promise<void> {
    const { training, warnings } = await loadLatestTrainingState(this.folder.checkpoints, this.learner.model);
    for (const message of warnings) this.warn(message);
    if (!training) return;
    const { tokens, loss, skipped, files, stopped, learner } = training.state as StoredState;
    requireSameData(files, this.learner.files);
    requireSameParents(training.model.lineage, this.learner.model.lineage);
    await this.learner.restore({ model: training.model, tensors: training.optimizer, rest: learner });
    [this.step, this.savedStep] = [training.step, training.step];
    [this.tokens, this.loss, this.skipped] = [tokens, loss ?? Number.NaN, skipped];
    this.stopped = stopped;
  }

  /** Whether the run had come to its end, and says so. */
  isOver(): boolean {
    if (this.isUnderWay() || !this.folder.isFinished()) return false;
    this.warn(`${this.options.out}: finished already, after ${this.step} updates; nothing to do`);
    return true;
  }

  result(): RunResult {
    const { step: steps, tokens, loss, skipped, stopped } = this;
    const outcome = this.isUnderWay() ? 'interrupted' : 'done';
    const model = `${this.options.out}/model`;
    return { steps, tokens, loss, skipped, outcome, model, ...(stopped !== undefined && { stopped }) };
  }

  private isUnderWay(): boolean {
    return this.step < this.totalSteps && this.stopped === undefined;
  }

  async train(command: string, signal: AbortSignal): Promise<void> {
    const startedAt = performance.now();
    this.begin(command);
    while (this.isUnderWay() && !signal.aborted) {
      if (!(await this.updateUnlessAborted(signal))) break;
      const { saveEvery } = this.options;
      if (saveEvery && this.step % saveEvery === 0) await this.checkpoint();
    }
    // A run that was stopped before its first update begins anew.
    if (this.savedStep !== this.step && this.step > 0) await this.checkpoint();
    const { outcome, model } = this.result();
    if (outcome === 'done') await this.conclude();
    if (!this.folder.isFollowed) await saveModel(model, this.learner.model, { dtype: this.options.dtype });
    if (outcome === 'interrupted') return;
    const seconds = (performance.now() - startedAt) / 1000;
    this.record({ type: 'finished', step: this.step, tokens: this.tokens, seconds, outcome });
  }

  private begin(command: string): void {
    const { step, totalSteps, learner } = this;
    const { device } = this.options;
    this.folder.continueFrom(step);
    if (this.savedStep >= 0) this.emit({ type: 'resumed', step, totalSteps, device });
    else
      this.record({
        type: 'started',
        step,
        command,
        totalSteps,
        device,
        memory: memoryOfRoles(learner.roles()),
      });
    if (learner.earlyEnd && totalSteps < learner.totalSteps) this.warn(learner.earlyEnd);
  }

  /** @returns false when the signal came before the update had changed anything */
  private async updateUnlessAborted(signal: AbortSignal): Promise<boolean> {
    try {
      await this.update();
      return true;
    } catch (error) {
      if (signal.aborted && error === signal.reason) return false;
      throw error;
    }
  }

  private async update(): Promise<void> {
    const begun = performance.now();
    const update = await this.learner.update(this.step, (event) => this.record(event));
    const { tokens } = update;
    this.tokens += tokens;
    this.step += 1;
    if (update.kind === 'stopped') return this.stop(update);
    if (update.kind === 'skipped') {
      if (update.isFaulty) this.skipped += 1;
      const { reason } = update;
      this.record({ type: 'skipped', step: this.step, what: 'update', count: 1, reason });
      return;
    }
    const { epoch, loss, ...rest } = update.event;
    this.loss = loss;
    const tokensPerSecond = tokens / ((performance.now() - begun) / 1000);
    const { step } = this;
    this.record({ type: 'step', step, epoch, loss, tokens: this.tokens, tokensPerSecond, ...rest });
  }

  private async conclude(): Promise<void> {
    const reason = await this.learner.conclude?.();
    if (reason === undefined) return;
    // The weights are other ones now, and nothing shall train them on.
    this.stop({ reason, metrics: {} });
    this.folder.makeDurable();
    await this.saveState();
  }

  private stop({ reason, metrics }: { reason: string; metrics: Record<string, number> }): void {
    this.stopped = reason;
    this.record({ type: 'stopped', step: this.step, reason, metrics });
  }

  private async checkpoint(): Promise<void> {
    const { step, folder } = this;
    this.savedStep = step;
    if (folder.isFollowed) return;
    this.announceCheckpoint();
    await this.saveState();
  }

  private async saveState(): Promise<void> {
    const { step, tokens, loss, skipped, stopped, learner, folder } = this;
    if (folder.isFollowed) return;
    const { tensors, rest } = await learner.state();
    const state: StoredState = { tokens, loss, skipped, stopped, files: [...learner.files], learner: rest };
    const training: TrainingState = { step, model: learner.model, optimizer: tensors, state };
    const { keepLast } = this.options;
    const { warnings } = await saveTrainingState(folder.checkpoints, training, { keepLast });
    for (const message of warnings) this.warn(message);
  }

  /** An interruption's checkpoint leaves no line, so that the resumed log equals an uninterrupted one. */
  private announceCheckpoint(): void {
    const { step, options } = this;
    const event: RunEvent = { type: 'checkpoint', step, path: 'checkpoints' };
    if (!this.isUnderWay() || (options.saveEvery && step % options.saveEvery === 0)) this.record(event);
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
