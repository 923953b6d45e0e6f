// What PPO's value model is before its first update.

import { resolve } from 'node:path';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import { requireOneGraph } from '../../language/checkpoint/compatibility.ts';
import { openWeights } from '../../language/checkpoint/open-model.ts';
import { headBias, headWeight } from '../../language/model/scalar-head.ts';
import { copyWeights } from '../../language/model/weights.ts';
import type { Participants, RewardSpecs } from '../rollouts/on-policy.ts';

/**
 * The value model begins as the first reward model, on the scale of the rewards (weight · (raw − mean) / deviation);
 * without one, as the policy with a head of zeros, which expects nothing. A model that is named is taken as it is, or,
 * where it has no head, with a head of zeros; the policy's own with the policy's adapter.
 */
export async function startingValueModel(
  { model: start, valueModel }: { model: string; valueModel?: string },
  { reward }: RewardSpecs,
  { policy, bases }: Participants,
): Promise<Model> {
  const { config } = policy;
  const rewardModel = reward.find((spec) => 'model' in spec);
  const from = valueModel ?? rewardModel?.model;
  const isPolicy = valueModel !== undefined && resolve(valueModel) === resolve(start);
  if (from === undefined || isPolicy) return withHeadOfZeros(policy);
  const { model } = await openWeights(from, { expectKind: ['base', 'policy', 'reward', 'value'], bases });
  requireOneGraph(`the value model ${from}`, model, policy);
  if (!model.parameters.has(headWeight)) return withHeadOfZeros(model);
  const { mean, deviation } = model.rewardStatistics ?? { mean: 0, deviation: 1 };
  const scale = (valueModel === undefined ? (rewardModel?.weight ?? 1) : 1) / deviation;
  const parameters = new Map(model.parameters);
  const [bias] = parameters.get(headBias) ?? [0];
  parameters.set(
    headWeight,
    parameters.get(headWeight)!.map((weight) => weight * scale),
  );
  parameters.set(headBias, Float32Array.of((bias - mean) * scale));
  return { kind: 'value', config, adapter: model.adapter, base: model.base, parameters };
}

function withHeadOfZeros({ config, adapter, base, parameters }: Model): Model {
  const headed = new Map(parameters)
    .set(headWeight, new Float32Array(config.hiddenSize))
    .set(headBias, new Float32Array(1));
  headed.delete('lm_head.weight');
  return copyWeights({ kind: 'value', config, adapter, base, parameters: headed });
}
