// Which tensors make up a model: a base, an adapter over it, a scalar head. Everything that asks for a model's tensors
// (a graph's inputs, a program's key, what is trained, what is stored) asks here.
// With an adapter the base is frozen: it is fed and has no gradient, no moments and no place in a run's checkpoints.
// Models over one base hold the same arrays, so that they share its memory.

import { constant, input } from '../../engine/graph/build.ts';
import type { Feeds } from '../../engine/runtime/backend.ts';
import { type Adapter, adapterSpecs, scalingOf } from './adapter.ts';
import type { ModelConfig } from './config.ts';
import { loraScaling, type Parameters } from './forward.ts';
import { type ParameterSpec, parameterSpecs } from './parameters.ts';
import { headBias, headWeight } from './scalar-head.ts';

export interface Weights {
  config: ModelConfig;
  /** By canonical name: the base's (`parameterSpecs`), an adapter's (`adapterSpecs`), `score.weight` and maybe `score.bias`. */
  parameters: ReadonlyMap<string, Float32Array>;
  adapter?: Adapter;
  /** Nothing of it is trained: others may share its arrays. */
  isFrozen?: boolean;
}

export interface WeightSpec extends ParameterSpec {
  part: 'base' | 'adapter' | 'head';
  isTrained: boolean;
}

/** Every tensor that the model computes with, in canonical order. A scalar head stands in the place of the output head. */
export function weightSpecs({ config, parameters, adapter, isFrozen = false }: Weights): WeightSpec[] {
  const hasHead = parameters.has(headWeight);
  const base = parameterSpecs(config).filter(({ name }) => !(hasHead && name === 'lm_head.weight'));
  const head: ParameterSpec[] = [
    { name: headWeight, shape: [1, config.hiddenSize], role: 'matrix' },
    { name: headBias, shape: [1], role: 'bias' },
  ];
  return [
    ...base.map((spec) => ({ ...spec, part: 'base' as const, isTrained: !adapter && !isFrozen })),
    ...(adapter ? adapterSpecs(config, adapter) : []).map((spec) => {
      return { ...spec, part: 'adapter' as const, isTrained: !isFrozen };
    }),
    ...head
      .filter(({ name }) => parameters.has(name))
      .map((spec) => ({ ...spec, part: 'head' as const, isTrained: !isFrozen })),
  ];
}

/** The tensors as inputs of a graph, by name. */
export function weightInputs(weights: Weights): Parameters {
  const inputs = weightSpecs(weights).map(({ name, shape }) => [name, input(name, shape)]);
  const scaling = weights.adapter && { [loraScaling]: constant(scalingOf(weights.adapter), []) };
  return { ...Object.fromEntries(inputs), ...scaling };
}

/** The arrays that a program with these inputs is fed. */
export function weightFeeds(weights: Weights): Feeds {
  return Object.fromEntries(weightSpecs(weights).map(({ name }) => [name, weights.parameters.get(name)!]));
}

/** Weights of one structure and configuration have the same graphs: part of every program's key. */
export function structureOf({ adapter, parameters }: Weights): string {
  const heads = [headWeight, headBias].filter((name) => parameters.has(name));
  const { rank, modules } = adapter ?? {};
  return JSON.stringify([...heads, ...(adapter ? [{ rank, modules, scaling: scalingOf(adapter) }] : [])]);
}

/** The frozen model under an adapter, by the same arrays. */
export function withoutAdapter({ config, parameters, adapter }: Weights): Weights {
  const base = weightSpecs({ config, parameters, adapter }).filter(({ part }) => part === 'base');
  return { config, parameters: new Map(base.map(({ name }) => [name, parameters.get(name)!])) };
}

/** The same weights, with arrays of their own for all that is trained; a frozen base stays shared. */
export function copyWeights<W extends Weights>(weights: W): W & { parameters: Map<string, Float32Array> } {
  const parameters = new Map(weights.parameters);
  for (const { name, isTrained } of weightSpecs(weights)) {
    if (isTrained) parameters.set(name, weights.parameters.get(name)!.slice());
  }
  return { ...weights, parameters };
}
