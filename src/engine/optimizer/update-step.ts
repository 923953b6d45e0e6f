// One optimiser step, which all methods share: micro-batches in, gradients summed in a fixed order, clipped, one AdamW
// update. On a device with a memory of its own, weights, moments and gradients stay there from the first step on, and
// numbers alone come back; `download` brings this process's arrays up to date.

import { UserError } from '../errors.ts';
import { gradients } from '../graph/gradients.ts';
import type { Outputs } from '../graph/simplify.ts';
import type { Shape, Tensor } from '../graph/tensor.ts';
import { type Backend, type Feeds, joined, type TensorData } from '../runtime/backend.ts';
import { openBackend } from '../runtime/onnx-backend.ts';
import { ProgramCache } from '../runtime/program-cache.ts';
import { shareOf } from '../runtime/workers.ts';
import { AdamW, type AdamWOptions, type AdamWSlot } from './adamw.ts';
import { clipScale } from './clipping.ts';
import { deviceArithmetic, type GradientArithmetic, hostArithmetic } from './gradient-arithmetic.ts';
import { PairwiseSum } from './pairwise-sum.ts';

/** What a micro-batch computes. The loss and every measure are parts of the step's: they add up over micro-batches. */
export interface Objective {
  /** scalar */
  loss: Tensor;
  measures: Readonly<Record<string, Tensor>>;
}

export interface MicroBatch {
  /** Micro-batches of one key have the same graph. */
  key: string;
  /** @param weights trained and frozen, by name */
  graph: (weights: Readonly<Record<string, Tensor>>) => Objective;
  /** Called when the micro-batch is run. */
  feeds: () => Feeds;
  /** Where its rows come from, for messages. */
  describe: () => string;
}

/** A weight that is fed to every micro-batch. */
export interface Weight {
  name: string;
  values: Float32Array;
  /** The input that it is fed as. */
  tensor: Tensor;
}

export interface TrainedWeight extends Weight {
  weightDecay: number;
}

export interface UpdatedWeights {
  trained: readonly TrainedWeight[];
  /** Fed as they are: without gradients and moments, and not stored. */
  frozen?: readonly Weight[];
  /** What graphs read besides, by name, and nothing is fed for. */
  constants?: Readonly<Record<string, Tensor>>;
}

/** A micro-batch's part of the step. */
interface StepTerm {
  loss: number;
  measures: Record<string, number>;
}

/** What a step's micro-batches add up to. */
interface StepSums extends StepTerm {
  /** In the order of the trained weights. */
  gradients: readonly Float32Array[];
}

export interface UpdateStepOptions {
  adamw: AdamWOptions;
  clipNorm: number;
  /** After so many skipped updates in a row the run stops. */
  patience: number;
}

export interface StepResult {
  loss: number;
  measures: Record<string, number>;
  /** Before clipping. */
  gradientNorm: number;
  /** False when loss or gradient was not finite; weights and moments are then as before. */
  isUpdated: boolean;
}

/** Moments, by `first.` or `second.` and the weight's name, and counts. */
export interface UpdateState {
  tensors: { name: string; shape: Shape; data: Float32Array }[];
  updates: number;
  skippedInARow: number;
}

export class UpdateStep {
  private readonly backend: Backend;
  private readonly trained: readonly TrainedWeight[];
  private readonly options: UpdateStepOptions;
  private readonly inputs: Readonly<Record<string, Tensor>>;
  private readonly weights: Feeds;
  private readonly slots: readonly AdamWSlot[];
  private readonly sums: PairwiseSum;
  private readonly programs: ProgramCache;
  private optimizer: AdamW | undefined;
  private arithmetic: GradientArithmetic | undefined;
  private updates = 0;
  private skippedInARow = 0;

  constructor(
    backend: Backend,
    { trained, frozen = [], constants }: UpdatedWeights,
    options: UpdateStepOptions,
  ) {
    this.backend = backend;
    this.programs = new ProgramCache(backend);
    this.trained = trained;
    this.options = options;
    const fed = [...trained, ...frozen];
    this.inputs = { ...constants, ...Object.fromEntries(fed.map(({ name, tensor }) => [name, tensor])) };
    this.weights = Object.fromEntries(fed.map(({ name, values }) => [name, values]));
    const zeros = ({ values }: Weight) => new Float32Array(values.length);
    this.slots = trained.map((w) => {
      return { parameter: w.values, first: zeros(w), second: zeros(w), weightDecay: w.weightDecay };
    });
    this.sums = new PairwiseSum(
      () => trained.map(zeros),
      (sum, term) => this.arithmetic!.addInto(sum, term),
    );
  }

  /**
   * One update over the micro-batches together.
   * @throws UserError naming the rows when updates were skipped `patience` times in a row
   */
  async step(microBatches: readonly MicroBatch[], learningRate: number): Promise<StepResult> {
    this.arithmetic ??= await this.begin();
    const { loss, measures, gradients } = await this.accumulate(microBatches);
    const gradientNorm = await this.arithmetic.norm(gradients);
    const isUpdated = Number.isFinite(loss) && Number.isFinite(gradientNorm);
    if (isUpdated) await this.update(gradients, learningRate, clipScale(gradientNorm, this.options.clipNorm));
    else this.countSkipped(microBatches, loss, gradientNorm);
    return { loss, measures, gradientNorm, isUpdated };
  }

  /** Gives the arrays of weights and moments the values that they have on the device. For whoever reads them. */
  async download(): Promise<void> {
    await this.backend.download(this.kept());
  }

  /** The reverse, for whoever has written to them. */
  async upload(): Promise<void> {
    await this.backend.upload(this.kept());
  }

  /** What a checkpoint stores besides the weights, whose arrays are up to date afterwards. */
  async state(): Promise<UpdateState> {
    await this.download();
    const tensors = this.trained.flatMap(({ name, tensor: { shape } }, i) => {
      const { first, second } = this.slots[i];
      return [
        { name: `first.${name}`, shape: [...shape], data: first },
        { name: `second.${name}`, shape: [...shape], data: second },
      ];
    });
    return { tensors, updates: this.updates, skippedInARow: this.skippedInARow };
  }

  /** Goes on from a state, with the weights that their arrays hold. */
  async restore(state: UpdateState): Promise<void> {
    const stored = new Map(state.tensors.map(({ name, data }) => [name, data]));
    this.slots.forEach(({ first, second }, i) => {
      first.set(stored.get(`first.${this.trained[i].name}`)!);
      second.set(stored.get(`second.${this.trained[i].name}`)!);
    });
    this.updates = state.updates;
    this.skippedInARow = state.skippedInARow;
    await this.upload();
  }

  /** What a device has computed since the last `download` is lost. */
  async close(): Promise<void> {
    await this.programs.release();
    await this.optimizer?.release();
    this.optimizer = undefined;
    if (!this.arithmetic) return;
    await this.arithmetic.release();
    this.arithmetic = undefined;
    this.backend.drop([...this.kept(), ...this.sums.buffers.flat()]);
  }

  /** Weights, moments: what lasts from step to step. */
  private kept(): Float32Array[] {
    const moments = this.slots.flatMap(({ first, second }) => [first, second]);
    return [...Object.values(this.weights as Record<string, Float32Array>), ...moments];
  }

  private async begin(): Promise<GradientArithmetic> {
    if (!this.backend.hasOwnMemory) return hostArithmetic;
    await this.backend.hold(this.kept());
    return await deviceArithmetic(
      this.backend,
      this.trained.map(({ tensor }) => tensor.shape),
    );
  }

  /** Each of several workers computes its share; the sums have the bits of one process. */
  private async accumulate(microBatches: readonly MicroBatch[]): Promise<StepSums> {
    const { workers } = this.backend;
    const [start, end] = shareOf(microBatches.length, workers);
    const terms: StepTerm[] = [];
    for (const batch of microBatches.slice(start, end)) terms.push(await this.compute(batch));
    if (workers.size === 1) return { ...sumOf(terms), gradients: await this.sums.finish() };
    const all = (await workers.gather(terms)).flat();
    if (terms.length === 0) await this.sums.add(this.sums.buffer());
    const gradients = await this.sums.finish();
    await this.backend.download(gradients);
    await workers.reduce(gradients, terms.length > 0);
    await this.backend.upload(gradients);
    return { ...sumOf(all), gradients };
  }

  private async compute(batch: MicroBatch): Promise<StepTerm> {
    const names = this.trained.map(({ name }) => gradientName(name));
    const program = await this.programs.get(batch.key, () => this.outputsOf(batch), names);
    const buffer = this.sums.buffer();
    const into = Object.fromEntries(names.map((name, i) => [name, buffer[i]]));
    const outputs = await program.run(joined(this.weights, batch.feeds()), into);
    await this.sums.add(buffer);
    return { loss: outputs.loss[0], measures: Object.fromEntries(measuresOf(outputs)) };
  }

  private outputsOf({ graph }: MicroBatch): Outputs {
    const { loss, measures } = graph(this.inputs);
    const slopes = gradients(
      loss,
      this.trained.map(({ tensor }) => tensor),
    );
    return {
      loss,
      ...Object.fromEntries(Object.entries(measures).map(([name, tensor]) => [measureName(name), tensor])),
      ...Object.fromEntries(this.trained.map(({ name }, i) => [gradientName(name), slopes[i]])),
    };
  }

  private async update(
    summed: readonly Float32Array[],
    learningRate: number,
    gradientScale: number,
  ): Promise<void> {
    this.skippedInARow = 0;
    this.updates += 1;
    this.optimizer ??= await AdamW.compile(await this.ownBackend(), this.slots, this.options.adamw);
    await this.optimizer.update(summed, { learningRate, gradientScale, step: this.updates });
  }

  /** Where weights and moments lie: a device that holds none would be sent four arrays of each and send three back. */
  private async ownBackend(): Promise<Backend> {
    const { device, hasOwnMemory, threads } = this.backend;
    return device === 'cpu' || hasOwnMemory ? this.backend : await openBackend({ threads });
  }

  private countSkipped(microBatches: readonly MicroBatch[], loss: number, gradientNorm: number): void {
    this.skippedInARow += 1;
    if (this.skippedInARow < this.options.patience) return;
    // Micro-batches of one step mostly tell the same rows.
    const places = [...new Set(microBatches.map((batch) => batch.describe()))].join('; ');
    throw new UserError({
      where: `the last ${this.skippedInARow} updates`,
      expected: 'a finite loss and gradient',
      found: `loss ${loss}, gradient norm ${gradientNorm} at ${places}`,
      advice: 'a smaller --learning-rate, or to look at these rows',
    });
  }
}

function sumOf(terms: readonly StepTerm[]): StepTerm {
  const sum: StepTerm = { loss: 0, measures: {} };
  for (const { loss, measures } of terms) {
    sum.loss += loss;
    for (const [name, value] of Object.entries(measures))
      sum.measures[name] = (sum.measures[name] ?? 0) + value;
  }
  return sum;
}

const gradientName = (weight: string): string => `gradient.${weight}`;
const measureName = (measure: string): string => `measure.${measure}`;

function* measuresOf(outputs: Record<string, TensorData>): Iterable<[string, number]> {
  for (const [name, [value]] of Object.entries(outputs)) {
    if (name.startsWith('measure.')) yield [name.slice('measure.'.length), value];
  }
}
