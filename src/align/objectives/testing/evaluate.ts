// Objectives evaluated both ways: by the float64 reference and by the runtime in float32.

import { input } from '../../../engine/graph/build.ts';
import { gradients } from '../../../engine/graph/gradients.ts';
import type { Shape, Tensor } from '../../../engine/graph/tensor.ts';
import { openBackend } from '../../../engine/runtime/onnx-backend.ts';
import { interpret } from '../../../engine/runtime/reference.ts';

export const precisions = ['float64', 'float32'] as const;
export type Precision = (typeof precisions)[number];

export type Numbers = readonly number[];

/** Inputs of one shape (that of a list, when none is given), ready to be differentiated and fed. */
export function inputsOf<N extends string>(values: Readonly<Record<N, Numbers>>, shape?: Shape) {
  const names = Object.keys(values) as N[];
  const tensors = names.map((name) => [name, input(name, shape ?? [values[name].length])]);
  return Object.fromEntries(tensors) as Record<N, Tensor>;
}

/** The loss (with its gradient by each of `differentiated`, named `d name`) and further outputs. */
export async function evaluate(
  precision: Precision,
  outputs: Readonly<Record<string, Tensor>>,
  feeds: Readonly<Record<string, Numbers>>,
  slopes?: { loss: Tensor; of: Readonly<Record<string, Tensor>> },
): Promise<Record<string, number[]>> {
  const names = Object.keys(slopes?.of ?? {});
  const found = slopes ? gradients(slopes.loss, Object.values(slopes.of)) : [];
  const all: Record<string, Tensor> = { ...outputs };
  names.forEach((name, i) => {
    all[`d ${name}`] = found[i];
  });
  const results = precision === 'float64' ? interpret(all, feeds) : await run(all, feeds);
  return Object.fromEntries(Object.entries(results).map(([name, values]) => [name, Array.from(values)]));
}

async function run(outputs: Record<string, Tensor>, feeds: Readonly<Record<string, Numbers>>) {
  const backend = await openBackend({ threads: 1 });
  const program = await backend.compile(outputs);
  try {
    const ports = program.inputs.map(({ name }) => [name, Float32Array.from(feeds[name])]);
    return await program.run(Object.fromEntries(ports));
  } finally {
    await program.release();
  }
}

/** (f(x + h·e) − f(x − h·e)) / 2h for every entry of `x`. */
export function centralDifferences(f: (x: number[]) => number, x: Numbers, step = 1e-5): number[] {
  return x.map((value, i) => {
    const [above, below] = [f(x.with(i, value + step)), f(x.with(i, value - step))];
    return (above - below) / (2 * step);
  });
}
