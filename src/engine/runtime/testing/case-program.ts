// A case as a graph: its value, and the gradient of the value's sum with fixed random weights.

import { input, multiply, total } from '../../graph/build.ts';
import { gradients } from '../../graph/gradients.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { TensorData } from '../backend.ts';
import type { Trial } from './operation-cases.ts';
import { drawAll, normal } from './samples.ts';

export interface CaseProgram {
  value: Tensor;
  /** Σ value·weights, a scalar. */
  loss: Tensor;
  /** ∂ loss / ∂ x for each differentiated input x, under the name `gradient_x`. */
  gradients: Record<string, Tensor>;
  feeds: Record<string, TensorData>;
}

export const gradientName = (inputName: string): string => `gradient_${inputName}`;

export function caseProgram(testCase: Trial, seed = 0): CaseProgram {
  const inputs = Object.entries(testCase.inputs).map(([name, { shape, dtype }]) => input(name, shape, dtype));
  const value = testCase.build(...inputs);
  const loss = total(multiply(value, input('weights', value.shape)));
  const differentiated = inputs.filter((_, i) =>
    testCase.differentiated.includes(Object.keys(testCase.inputs)[i]),
  );
  const results = gradients(loss, differentiated);
  const named = testCase.differentiated.map((name, i) => [gradientName(name), results[i]]);
  const feeds = drawAll({ ...testCase.inputs, weights: normal(...value.shape) }, seed);
  return { value, loss, gradients: Object.fromEntries(named), feeds };
}
