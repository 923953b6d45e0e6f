// A model with an adapter as a whole model without: W + s·B·A in the place of each adapted W. Hu et al. 2021, section 4.1.

import { adapterNames, scalingOf } from '../model/adapter.ts';
import { families } from '../model/families/index.ts';
import { parameterSpecs } from '../model/parameters.ts';
import { weightSpecs } from '../model/weights.ts';
import type { Model } from './checkpoint.ts';

/**
 * Products are summed in float64 and rounded once.
 * @returns a model with arrays of its own, its scalar head kept; its logits are the adapted model's but for rounding
 */
export function mergeAdapter({ adapter, base: _, isFrozen: __, ...model }: Model): Model {
  if (!adapter) throw new Error('a model without an adapter was to be merged');
  const { config, parameters } = model;
  const own = weightSpecs({ ...model, adapter }).filter(({ part }) => part !== 'adapter');
  const merged = new Map(own.map(({ name }) => [name, parameters.get(name)!.slice()]));
  const { isTransposed } = families[config.family].layout;
  const shapes = new Map(parameterSpecs(config).map(({ name, shape }) => [name, shape]));
  for (const module of adapter.modules) {
    const weight = merged.get(`${module}.weight`)!;
    const [rows, columns] = shapes.get(`${module}.weight`)!;
    const { A, B } = adapterNames(module);
    const factors = { A: parameters.get(A)!, B: parameters.get(B)!, rank: adapter.rank };
    const [outputs, inputs] = isTransposed ? [columns, rows] : [rows, columns];
    const place = isTransposed
      ? (output: number, input: number) => input * outputs + output
      : (output: number, input: number) => output * inputs + input;
    addProduct(weight, factors, scalingOf(adapter), { outputs, inputs, place });
  }
  return { ...model, parameters: merged };
}

/** W[o,i] += s · Σ B[o,k]·A[k,i]. */
function addProduct(
  weight: Float32Array,
  { A, B, rank }: { A: Float32Array; B: Float32Array; rank: number },
  scaling: number,
  { outputs, inputs, place }: { outputs: number; inputs: number; place: (o: number, i: number) => number },
): void {
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      let product = 0;
      for (let k = 0; k < rank; k++) product += B[o * rank + k] * A[k * inputs + i];
      weight[place(o, i)] += scaling * product;
    }
  }
}
