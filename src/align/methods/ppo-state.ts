// All that a PPO run needs to go on as if it had never stopped: besides the policy the critic, both optimisers, β,
// the monitor, the weights to go back to, and the counts. Prompts and random numbers follow from the step.

import type { UpdateStep } from '../../engine/optimizer/update-step.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import type { NamedTensor } from '../../language/checkpoint/safetensors.ts';
import { copyParameters } from '../run/gradient-learner.ts';
import type { Health } from './ppo-health.ts';
import type { PpoParts } from './ppo-setup.ts';

export interface Totals {
  tokensGenerated: number;
  tokensTrained: number;
  alarms: number;
}

interface Loose {
  beta: number;
  totals: Totals;
}

type TrainerName = 'policy' | 'critic';
interface StoredRest extends Loose {
  health: ReturnType<Health['state']>;
  trainers: Record<TrainerName, { updates: number; skippedInARow: number }>;
}

export class PpoState {
  private readonly parts: PpoParts;
  private readonly trainers: Record<TrainerName, UpdateStep>;
  private readonly health: Health;

  constructor(parts: PpoParts, trainers: Record<TrainerName, UpdateStep>, health: Health) {
    this.parts = parts;
    this.trainers = trainers;
    this.health = health;
  }

  async save(loose: Loose): Promise<{ tensors: NamedTensor[]; rest: StoredRest }> {
    const { tensors: policy, ...policyCounts } = await this.trainers.policy.state();
    const { tensors: critic, ...criticCounts } = await this.trainers.critic.state();
    return {
      tensors: [
        ...prefixed('policy.', policy),
        ...prefixed('critic.', critic),
        ...flat('critic.parameter.', this.parts.critic.parameters),
        ...flat('healthy.', this.health.healthy ?? new Map()),
      ],
      rest: {
        ...loose,
        health: this.health.state(),
        trainers: { policy: policyCounts, critic: criticCounts },
      },
    };
  }

  async load({
    model,
    tensors,
    rest,
  }: {
    model: Model;
    tensors: NamedTensor[];
    rest: unknown;
  }): Promise<Loose> {
    const { beta, totals, health, trainers } = rest as StoredRest;
    copyParameters(model, this.parts.policy);
    const critic = taken(tensors, 'critic.parameter.');
    copyParameters({ ...this.parts.critic, parameters: byName(critic) }, this.parts.critic);
    await this.trainers.policy.restore({ tensors: taken(tensors, 'policy.'), ...trainers.policy });
    await this.trainers.critic.restore({ tensors: taken(tensors, 'critic.'), ...trainers.critic });
    this.health.restore(health, byName(taken(tensors, 'healthy.')));
    return { beta, totals };
  }
}

function prefixed(prefix: string, tensors: readonly NamedTensor[]): NamedTensor[] {
  return tensors.map((tensor) => ({ ...tensor, name: prefix + tensor.name }));
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
