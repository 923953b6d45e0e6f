// What PPO begins with: the policy and the reference that it is held to, the critic, the prompts, the rewards.

import { UserError } from '../../engine/errors.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import { type FrozenBases, frozenBases, type Model } from '../../language/checkpoint/checkpoint.ts';
import { requireOneGraph } from '../../language/checkpoint/compatibility.ts';
import { openWeights } from '../../language/checkpoint/open-model.ts';
import { headBias, headWeight } from '../../language/model/scalar-head.ts';
import { copyWeights, type Weights } from '../../language/model/weights.ts';
import type { RowFault } from '../data/read.ts';
import type { PpoOptions, RewardSpecs } from './ppo-options.ts';
import { loadPromptedPolicy, type PromptedPolicy } from './prompted-policy.ts';
import { parseRewards } from './reward-specs.ts';
import { loadRewards, modelsIn, type Rewards } from './rewards.ts';

export interface PpoParts extends PromptedPolicy {
  /** The folder that the policy began from is the reference, so that their KL begins at exactly 0. */
  isOwnReference: boolean;
  reference: Weights;
  critic: Model;
  rewards: Rewards;
  watched: Rewards;
  ensemble: Rewards;
}

/** @param given the rewards, instead of what the options' texts say */
export async function assemble(
  options: PpoOptions,
  given: RewardSpecs | undefined,
  backend: Backend,
  onFault: (fault: RowFault) => void,
): Promise<PpoParts> {
  requireMeaning(options);
  const specs = given ?? {
    reward: parseRewards(options.reward),
    watch: parseRewards(options.watch),
    ensemble: options.ensemble.map((model) => ({ model })),
  };
  const bases = frozenBases();
  const { reference: other, valueModel } = options;
  const named = [other, ...modelsIn(specs.reward), valueModel].filter((path) => path !== undefined);
  const prompted = await loadPromptedPolicy(options, named, onFault, bases);
  const { policy } = prompted;
  const isOwnReference = options.reference === undefined;
  const reference = await referenceModel(options, policy, bases);
  return {
    ...prompted,
    isOwnReference,
    reference,
    critic: await startingCritic(options, specs, policy, bases),
    rewards: await loadRewards(specs.reward, backend, policy, bases),
    watched: await loadRewards(specs.watch, backend, policy, bases),
    ensemble: await loadRewards(specs.ensemble, backend, policy, bases),
  };
}

function requireMeaning({ beta, klTarget, onAlarm, missingEos, missingEosScore = 0 }: PpoOptions): void {
  const refuse = (where: string, expected: string, found: number) => {
    throw new UserError({ where, expected, found: `${found}` });
  };
  if (beta === 0 && klTarget !== undefined) {
    refuse('--beta', 'above 0 with --kl-target, which multiplies it', beta);
  }
  if (beta === 0 && onAlarm === 'raise-beta') {
    refuse('--beta', 'above 0 with --on-alarm raise-beta, which doubles it', beta);
  }
  if (missingEos === 'subtract' && missingEosScore < 0) {
    refuse('--missing-eos-score', 'a penalty of 0 or more with --missing-eos subtract', missingEosScore);
  }
}

async function referenceModel(options: PpoOptions, policy: Model, bases: FrozenBases): Promise<Weights> {
  if (options.reference === undefined) return copyWeights(policy);
  const { model } = await openWeights(options.reference, {
    ...{ expectKind: ['base', 'policy'], bases, isFrozen: true },
  });
  requireOneGraph(`--reference ${options.reference}`, model, policy);
  return model;
}

/**
 * The critic begins as the first reward model, on the scale on which it is paid (weight · (raw − mean) / deviation);
 * without one, as the policy with a head of zeros, which expects nothing.
 */
async function startingCritic(
  { valueModel }: PpoOptions,
  { reward }: RewardSpecs,
  policy: Model,
  bases: FrozenBases,
): Promise<Model> {
  const { config } = policy;
  const rewardModel = reward.find((spec) => 'model' in spec);
  const from = valueModel ?? rewardModel?.model;
  if (from === undefined) return withHeadOfZeros(policy);
  const { model } = await openWeights(from, { expectKind: ['reward', 'value'], bases });
  requireOneGraph(`the critic ${from}`, model, policy);
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
