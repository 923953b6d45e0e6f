// All that an on-policy run needs to go on as if it had never stopped: besides the policy its optimiser, other trained
// models with theirs, the monitor, the weights to go back to, and the counts. Prompts and random numbers follow from the
// step.

import type { UpdateStep } from '../../engine/optimizer/update-step.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import type { NamedTensor } from '../../language/checkpoint/safetensors.ts';
import { copyParameters, trainedParameters } from '../run/gradient-learner.ts';
import type { Health } from './health.ts';

export interface Totals {
  tokensGenerated: number;
  tokensTrained: number;
  alarms: number;
}

/** By the name under which they are stored. */
interface Stateful {
  /** Each with its trainer; the policy is saved with every checkpoint anyway. */
  trained: Readonly<Record<string, { model: Model; trainer: UpdateStep }>>;
  health: Health;
}

interface StoredRest<Own> {
  own: Own;
  health: ReturnType<Health['state']>;
  trainers: Record<string, { updates: number; skippedInARow: number }>;
}

/** @param own what the method keeps besides, as JSON */
export async function saveState<Own>(
  { trained, health }: Stateful,
  own: Own,
): Promise<{ tensors: NamedTensor[]; rest: StoredRest<Own> }> {
  const tensors: NamedTensor[] = [];
  const trainers: StoredRest<Own>['trainers'] = {};
  for (const [name, { model, trainer }] of Object.entries(trained)) {
    const { tensors: moments, ...counts } = await trainer.state();
    tensors.push(...moments.map((tensor) => ({ ...tensor, name: `${name}.${tensor.name}` })));
    if (name !== 'policy') tensors.push(...flat(`${name}.parameter.`, trainedParameters(model)));
    trainers[name] = counts;
  }
  tensors.push(...flat('healthy.', health.healthy ?? new Map()));
  return { tensors, rest: { own, health: health.state(), trainers } };
}

/** @returns what the method kept besides. @throws UserError when the checkpoint is of other models */
export async function restoreState<Own>(
  { trained, health }: Stateful,
  saved: { model: Model; tensors: NamedTensor[]; rest: unknown },
): Promise<Own> {
  const rest = saved.rest as StoredRest<Own>;
  for (const [name, { model, trainer }] of Object.entries(trained)) {
    const stored = byName(taken(saved.tensors, `${name}.parameter.`));
    copyParameters(name === 'policy' ? saved.model : { ...model, parameters: stored }, model);
    await trainer.restore({ tensors: taken(saved.tensors, `${name}.`), ...rest.trainers[name] });
  }
  health.restore(rest.health, byName(taken(saved.tensors, 'healthy.')));
  return rest.own;
}

function flat(prefix: string, parameters: ReadonlyMap<string, Float32Array>): NamedTensor[] {
  return [...parameters].map(([name, data]) => ({ name: prefix + name, shape: [data.length], data }));
}

function taken(tensors: readonly NamedTensor[], prefix: string): NamedTensor[] {
  return tensors
    .filter(({ name }) => name.startsWith(prefix))
    .map((tensor) => ({ ...tensor, name: tensor.name.slice(prefix.length) }));
}

function byName(tensors: readonly NamedTensor[]): Map<string, Float32Array> {
  return new Map(tensors.map(({ name, data }) => [name, Float32Array.from(data)]));
}
