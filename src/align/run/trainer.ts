// The part of a training step that all methods share: micro-batches in, gradients summed in a fixed order, clipped,
// one AdamW update.

import { UserError } from '../../engine/errors.ts';
import { gradients } from '../../engine/graph/gradients.ts';
import type { Outputs } from '../../engine/graph/simplify.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import { AdamW, type AdamWOptions, type AdamWSlot } from '../../engine/optimizer/adamw.ts';
import { clipScale, globalNorm } from '../../engine/optimizer/clipping.ts';
import { PairwiseSum } from '../../engine/optimizer/pairwise-sum.ts';
import { type Backend, type Feeds, joined, type TensorData } from '../../engine/runtime/backend.ts';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { ProgramCache } from '../../engine/runtime/program-cache.ts';
import type { NamedTensor } from '../../language/checkpoint/safetensors.ts';
import type { Parameters } from '../../language/model/forward.ts';

/** What a micro-batch computes. The loss and every measure are parts of the step's: they add up over micro-batches. */
export interface Objective {
  /** scalar */
  loss: Tensor;
  measures: Readonly<Record<string, Tensor>>;
}

export interface MicroBatch {
  /** Micro-batches of one key have the same graph. */
  key: string;
  graph: (parameters: Parameters) => Objective;
  feeds: Feeds;
  /** Where its rows come from, for messages. */
  describe: () => string;
}

export interface TrainedParameter {
  name: string;
  values: Float32Array;
  tensor: Tensor;
  weightDecay: number;
}

export interface TrainerOptions {
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

export class Trainer {
  private readonly backend: Backend;
  private readonly trained: readonly TrainedParameter[];
  private readonly parameters: Parameters;
  private readonly options: TrainerOptions;
  private readonly weights: Feeds;
  private readonly slots: readonly AdamWSlot[];
  private readonly sums: PairwiseSum;
  private readonly programs: ProgramCache;
  private optimizer: AdamW | undefined;
  private updates = 0;
  private skippedInARow = 0;

  constructor(backend: Backend, trained: readonly TrainedParameter[], options: TrainerOptions) {
    this.backend = backend;
    this.programs = new ProgramCache(backend);
    this.trained = trained;
    this.options = options;
    this.parameters = Object.fromEntries(trained.map(({ name, tensor }) => [name, tensor]));
    this.weights = Object.fromEntries(trained.map(({ name, values }) => [name, values]));
    const zeros = ({ values }: TrainedParameter) => new Float32Array(values.length);
    this.slots = trained.map((p) => {
      return { parameter: p.values, first: zeros(p), second: zeros(p), weightDecay: p.weightDecay };
    });
    this.sums = new PairwiseSum(() => trained.map(zeros));
  }

  /**
   * One optimiser step over the micro-batches together.
   * @throws UserError naming the rows when updates were skipped `patience` times in a row
   */
  async step(microBatches: readonly MicroBatch[], learningRate: number): Promise<StepResult> {
    const { loss, measures } = await this.accumulate(microBatches);
    const summed = this.sums.finish();
    const gradientNorm = globalNorm(summed);
    const isUpdated = Number.isFinite(loss) && Number.isFinite(gradientNorm);
    if (isUpdated) await this.update(summed, learningRate, clipScale(gradientNorm, this.options.clipNorm));
    else this.countSkipped(microBatches, loss, gradientNorm);
    return { loss, measures, gradientNorm, isUpdated };
  }

  /** Moments and counts, to be stored with a checkpoint. */
  state(): { tensors: NamedTensor[]; updates: number; skippedInARow: number } {
    const tensors = this.trained.flatMap(({ name, tensor: { shape } }, i) => {
      const { first, second } = this.slots[i];
      return [
        { name: `first.${name}`, shape: [...shape], data: first },
        { name: `second.${name}`, shape: [...shape], data: second },
      ];
    });
    return { tensors, updates: this.updates, skippedInARow: this.skippedInARow };
  }

  restore(state: { tensors: readonly NamedTensor[]; updates: number; skippedInARow: number }): void {
    const stored = new Map(state.tensors.map(({ name, data }) => [name, data]));
    this.slots.forEach(({ first, second }, i) => {
      first.set(stored.get(`first.${this.trained[i].name}`)!);
      second.set(stored.get(`second.${this.trained[i].name}`)!);
    });
    this.updates = state.updates;
    this.skippedInARow = state.skippedInARow;
  }

  async close(): Promise<void> {
    await this.programs.release();
    await this.optimizer?.release();
    this.optimizer = undefined;
  }

  private async accumulate(microBatches: readonly MicroBatch[]) {
    let loss = 0;
    const measures: Record<string, number> = {};
    for (const batch of microBatches) {
      const program = await this.programs.get(batch.key, () => this.outputsOf(batch));
      const buffer = this.sums.buffer();
      const into = Object.fromEntries(this.trained.map(({ name }, i) => [gradientName(name), buffer[i]]));
      const outputs = await program.run(joined(this.weights, batch.feeds), into);
      this.sums.add(buffer);
      loss += outputs.loss[0];
      for (const [name, value] of measuresOf(outputs)) measures[name] = (measures[name] ?? 0) + value;
    }
    return { loss, measures };
  }

  private outputsOf({ graph }: MicroBatch): Outputs {
    const { loss, measures } = graph(this.parameters);
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
    this.optimizer ??= await AdamW.compile(await this.hostBackend(), this.slots, this.options.adamw);
    await this.optimizer.update(summed, { learningRate, gradientScale, step: this.updates });
  }

  /** Weights and moments lie in this process: a device would be sent four arrays of each and send three back. */
  private async hostBackend(): Promise<Backend> {
    const { device, threads } = this.backend;
    return device === 'cpu' ? this.backend : await openBackend({ threads });
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

const gradientName = (parameter: string): string => `gradient.${parameter}`;
const measureName = (measure: string): string => `measure.${measure}`;

function* measuresOf(outputs: Record<string, TensorData>): Iterable<[string, number]> {
  for (const [name, [value]] of Object.entries(outputs)) {
    if (name.startsWith('measure.')) yield [name.slice('measure.'.length), value];
  }
}
