// Learning from rows that are there beforehand: every step is one optimiser update on the rows whose turn it is.
// Pretraining, fine-tuning, reward models and DPO differ in their rows and in the graph of a micro-batch.

import { UserError } from '../../engine/errors.ts';
import type { AdamWOptions } from '../../engine/optimizer/adamw.ts';
import { type ScheduleKind, scheduleMultiplier } from '../../engine/optimizer/schedule.ts';
import { type MicroBatch, UpdateStep, type Weight } from '../../engine/optimizer/update-step.ts';
import { type Backend, joined } from '../../engine/runtime/backend.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import type { NamedTensor } from '../../language/checkpoint/safetensors.ts';
import { dropoutFeeds, type PassRows, withDropout } from '../../language/model/dropout.ts';
import { type WeightSpec, type Weights, weightInputs, weightSpecs } from '../../language/model/weights.ts';
import type { Fingerprint } from '../data/fingerprint.ts';
import type { AdapterOptions } from './adapter-options.ts';
import type { StepEvent } from './events.ts';
import type { RoleModel } from './role-memory.ts';
import type { Learner, RunOptions, Update } from './training-run.ts';

export interface OptimizerOptions extends AdamWOptions {
  learningRate: number;
  schedule: ScheduleKind;
  /** Share of all steps. */
  warmupRatio: number;
  weightDecay: number;
  clipNorm: number;
  /** Updates skipped in a row before the run stops. */
  patience: number;
}

/** Options of every stage that learns from rows, resolved. */
export interface TrainingOptions extends RunOptions, OptimizerOptions, AdapterOptions {
  seed: number;
  threads: number;
  epochs: number;
  batchSize: number;
  microBatchTokens: number;
}

/** A micro-batch of one pass of the model. */
export interface ModelBatch extends MicroBatch {
  rows: PassRows;
}

/** The rows of a step, made ready. */
export interface StepPlan {
  /** None when nothing in them is trained. */
  microBatches: readonly ModelBatch[];
  /** Padding not counted. */
  tokens: number;
}

/** What is learnt from. */
export interface StepSource {
  /** Until every row was used `epochs` times. */
  totalSteps: number;
  stepsPerEpoch: number;
  /** A function of the step, and of the weights where a method asks the model first. */
  planStep: (step: number) => StepPlan | Promise<StepPlan>;
  /** Names the rows of a step, for messages. */
  describeStep: (step: number) => string;
  /** How a step's measures stand in its event. */
  eventOf: (measures: Record<string, number>, update: { step: number; loss: number }) => Partial<StepEvent>;
  files: readonly Fingerprint[];
  /** After the last step, before the model is saved. */
  conclude?: () => Promise<void>;
}

export class GradientLearner implements Learner {
  readonly model: Model;
  readonly totalSteps: number;
  readonly files: readonly Fingerprint[];
  readonly earlyEnd?: string;
  private readonly source: StepSource;
  private readonly options: OptimizerOptions & { seed: number };
  private readonly trainer: UpdateStep;

  constructor(
    backend: Backend,
    model: Model,
    source: StepSource,
    options: OptimizerOptions & { seed: number },
  ) {
    this.model = model;
    this.source = source;
    this.options = options;
    this.totalSteps = source.totalSteps;
    this.files = source.files;
    this.trainer = createTrainer(backend, model, options);
    const { schedule } = options;
    if (schedule === 'constant') return;
    this.earlyEnd = `--max-steps ends the run before its ${schedule} schedule of ${source.totalSteps} updates; fewer --epochs would shorten that`;
  }

  roles(): RoleModel[] {
    const { model } = this;
    return [{ role: model.kind === 'reward' ? 'reward' : 'policy', model, isTrained: true }];
  }

  async update(step: number): Promise<Update> {
    const { source, totalSteps, options } = this;
    const { microBatches, tokens } = await source.planStep(step);
    if (microBatches.length === 0) {
      return { kind: 'skipped', reason: 'no token has a loss', isFaulty: false, tokens: 0 };
    }
    const learningRate = learningRateAt(options, step, totalSteps);
    const batches = microBatches.map((batch, index) => this.dropping(batch, step, index));
    const { loss, measures, gradientNorm, isUpdated } = await this.trainer.step(batches, learningRate);
    if (!isUpdated) {
      const reason = `loss ${loss}, gradient norm ${gradientNorm} at ${source.describeStep(step)}`;
      return { kind: 'skipped', reason, isFaulty: true, tokens };
    }
    const epoch = (step + 1) / source.stepsPerEpoch;
    return {
      kind: 'updated',
      tokens,
      event: { epoch, loss, gradientNorm, learningRate, ...source.eventOf(measures, { step, loss }) },
    };
  }

  private dropping(batch: ModelBatch, step: number, microBatch: number): MicroBatch {
    const { model, options } = this;
    if (!model.adapter?.dropout) return batch;
    return {
      ...batch,
      graph: (weights) => batch.graph(withDropout(weights, model, batch.rows)),
      feeds: () => joined(batch.feeds(), dropoutFeeds(model, batch.rows, { ...options, step, microBatch })),
    };
  }

  async state(): Promise<{ tensors: NamedTensor[]; rest: object }> {
    const { tensors, ...rest } = await this.trainer.state();
    return { tensors, rest };
  }

  async restore({ model, tensors, rest }: Saved): Promise<void> {
    copyParameters(model, this.model);
    await this.trainer.restore({ tensors, ...(rest as { updates: number; skippedInARow: number }) });
  }

  async conclude(): Promise<undefined> {
    await this.source.conclude?.();
    return undefined;
  }

  /** Gives the model's arrays the values that it has on a device. */
  async download(): Promise<void> {
    await this.trainer.download();
  }

  async close(): Promise<void> {
    await this.trainer.close();
  }
}

type Saved = { model: Model; tensors: NamedTensor[]; rest: unknown };

export function learningRateAt(options: OptimizerOptions, step: number, totalSteps: number): number {
  const { schedule: kind, warmupRatio, learningRate } = options;
  // The only update of a run is not given to the warm-up, where it would change nothing.
  const warmupSteps = Math.min(Math.ceil(warmupRatio * totalSteps), totalSteps - 1);
  const schedule = { kind, warmupSteps, totalSteps };
  return learningRate * scheduleMultiplier(schedule, step);
}

/** Updates what is trained of a model: all of it and its scalar head, or an adapter and the head over a frozen base. */
export function createTrainer(backend: Backend, model: Model, options: OptimizerOptions): UpdateStep {
  const inputs = weightInputs(model);
  const specs = weightSpecs(model);
  const weightOf = ({ name }: WeightSpec): Weight => {
    return { name, values: model.parameters.get(name)!, tensor: inputs[name] };
  };
  const trained = specs.filter(({ isTrained }) => isTrained);
  return new UpdateStep(
    backend,
    {
      trained: trained.map((spec) => ({
        ...weightOf(spec),
        weightDecay: decays(spec) ? options.weightDecay : 0,
      })),
      frozen: specs.filter(({ isTrained }) => !isTrained).map(weightOf),
      constants: inputs,
    },
    { adamw: options, clipNorm: options.clipNorm, patience: options.patience },
  );
}

/** Matrices and embeddings decay; norms, biases and the scalar head do not, as in GPT-3 and Transformers' UpdateStep. */
const decays = ({ role, part }: WeightSpec): boolean =>
  (role === 'matrix' || role === 'embedding') && part !== 'head';

/** What training changes of a model. */
export function trainedParameters(model: Weights): Map<string, Float32Array> {
  const trained = weightSpecs(model).filter(({ isTrained }) => isTrained);
  return new Map(trained.map(({ name }) => [name, model.parameters.get(name)!]));
}

/** Gives a model the trained values of a checkpoint. @throws UserError when the two are of different shapes */
export function copyParameters(from: Pick<Model, 'parameters'>, to: Model): void {
  for (const [name, values] of trainedParameters(to)) {
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
