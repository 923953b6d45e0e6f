// AdamW: Adam with decoupled weight decay. Loshchilov and Hutter 2019 (arXiv:1711.05101), Algorithm 2.
// An update is a program like any other, over all parameters at once: twice as fast as a loop in JavaScript, and the
// float64 reference can run it too.

import { add, divide, input, multiply, sqrt, subtract } from '../graph/build.ts';
import type { Outputs } from '../graph/simplify.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Backend, Program } from '../runtime/backend.ts';

export interface AdamWOptions {
  beta1: number;
  beta2: number;
  epsilon: number;
}

/** A parameter and the running averages of its gradient and of its square. */
export interface AdamWState<T> {
  parameter: T;
  first: T;
  second: T;
}

/** What changes from update to update; scalars. */
export interface AdamWRates<T> {
  /** The gradient is multiplied by this first (clipping). */
  gradientScale: T;
  /** η / (1 − β₁ᵗ) */
  stepSize: T;
  /** 1 / √(1 − β₂ᵗ) */
  correction: T;
  /** 1 − η·λ */
  kept: T;
}

/** The rates of update t ≥ 1. @param weightDecay λ, 0 for parameters that do not decay */
export function adamwRates(
  { beta1, beta2 }: AdamWOptions,
  { learningRate, weightDecay, gradientScale, step }: AdamWUpdate & { weightDecay: number },
): AdamWRates<number> {
  return {
    gradientScale,
    stepSize: learningRate / (1 - beta1 ** step),
    correction: 1 / Math.sqrt(1 - beta2 ** step),
    kept: 1 - learningRate * weightDecay,
  };
}

/** One update, elementwise. The gradient has the parameter's shape. */
export function adamw(
  { parameter, first, second }: AdamWState<Tensor>,
  gradient: Tensor,
  rates: AdamWRates<Tensor>,
  { beta1, beta2, epsilon }: AdamWOptions,
): AdamWState<Tensor> {
  const g = multiply(gradient, rates.gradientScale);
  const m = add(multiply(first, beta1), multiply(g, 1 - beta1));
  const v = add(multiply(second, beta2), multiply(multiply(g, g), 1 - beta2));
  const denominator = add(multiply(sqrt(v), rates.correction), epsilon);
  const change = divide(multiply(m, rates.stepSize), denominator);
  return { parameter: subtract(multiply(parameter, rates.kept), change), first: m, second: v };
}

export interface AdamWUpdate {
  learningRate: number;
  gradientScale: number;
  /** t: updates so far, this one included. */
  step: number;
}

/** A parameter with its moments, updated in place. */
export interface AdamWSlot extends AdamWState<Float32Array> {
  weightDecay: number;
}

/**
 * Updates all slots at once, in place, or where a device holds them. Writing an output over the input that it comes from is safe here: each state
 * is read by one operation only, on whose result the writing operation depends.
 */
export class AdamW {
  private readonly program: Program;
  private readonly options: AdamWOptions;
  /** What an update reads: the slots, their gradients, and the rates of each weight decay. Made once, filled anew. */
  private readonly feeds: Record<string, Float32Array> = {};
  private readonly into: Record<string, Float32Array> = {};
  private readonly rates = new Map<number, AdamWRates<Float32Array>>();

  private constructor(program: Program, slots: readonly AdamWSlot[], options: AdamWOptions) {
    this.program = program;
    this.options = options;
    slots.forEach(({ parameter, first, second, weightDecay }, i) => {
      for (const [name, values] of Object.entries({ parameter, first, second })) {
        this.feeds[slotName(name, i)] = values;
        this.into[slotName(`new ${name}`, i)] = values;
      }
      if (!this.rates.has(weightDecay)) this.rates.set(weightDecay, scalars());
    });
    for (const [weightDecay, rates] of this.rates) {
      for (const [name, values] of Object.entries(rates)) this.feeds[rateName(name, weightDecay)] = values;
    }
  }

  static async compile(backend: Backend, slots: readonly AdamWSlot[], options: AdamWOptions): Promise<AdamW> {
    const outputs = slots.map((slot, i) => {
      const tensor = (name: string) => input(slotName(name, i), [slot.parameter.length]);
      const state = { parameter: tensor('parameter'), first: tensor('first'), second: tensor('second') };
      return named(adamw(state, tensor('gradient'), rateInputs(slot.weightDecay), options), (name) =>
        slotName(`new ${name}`, i),
      );
    });
    const all: Outputs = Object.assign({}, ...outputs);
    return new AdamW(await backend.compile(all, Object.keys(all)), slots, options);
  }

  /** @param gradients in the slots' order, each as long as its parameter */
  async update(gradients: readonly Float32Array[], update: AdamWUpdate): Promise<void> {
    for (const [i, gradient] of gradients.entries()) this.feeds[slotName('gradient', i)] = gradient;
    for (const [weightDecay, rates] of this.rates) {
      fill(rates, adamwRates(this.options, { weightDecay, ...update }));
    }
    await this.program.run(this.feeds, this.into);
  }

  release(): Promise<void> {
    return this.program.release();
  }
}

const slotName = (name: string, index: number): string => `${name} ${index}`;
const rateName = (name: string, weightDecay: number): string => `${name} at decay ${weightDecay}`;

function rateInputs(weightDecay: number): AdamWRates<Tensor> {
  const scalar = (name: string) => input(rateName(name, weightDecay), []);
  return {
    gradientScale: scalar('gradientScale'),
    stepSize: scalar('stepSize'),
    correction: scalar('correction'),
    kept: scalar('kept'),
  };
}

function scalars(): AdamWRates<Float32Array> {
  const scalar = () => new Float32Array(1);
  return { gradientScale: scalar(), stepSize: scalar(), correction: scalar(), kept: scalar() };
}

function fill(into: AdamWRates<Float32Array>, rates: AdamWRates<number>): void {
  into.gradientScale[0] = rates.gradientScale;
  into.stepSize[0] = rates.stepSize;
  into.correction[0] = rates.correction;
  into.kept[0] = rates.kept;
}

function named<T>(values: object, name: (key: string) => string): Record<string, T> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [name(key), value]));
}
