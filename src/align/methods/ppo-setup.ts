// What PPO begins with: the policy and the reference that it is held to, the critic, the prompts, the rewards.

import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../../engine/errors.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import { loadModel, locateModel, type Model } from '../../language/checkpoint/checkpoint.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import { headBias, headWeight, scalarHeadSpecs } from '../../language/model/scalar-head.ts';
import type { RowFault } from '../data/read.ts';
import type { PpoOptions, RewardSpecs } from './ppo-options.ts';
import { loadPromptedPolicy, type PromptedPolicy } from './prompted-policy.ts';
import { parseRewards } from './reward-specs.ts';
import { loadRewards, type Rewards, requireSameTokenizer } from './rewards.ts';

export interface PpoParts extends PromptedPolicy {
  /** The folder that the policy began from is the reference, so that their KL begins at exactly 0. */
  isOwnReference: boolean;
  reference: ReadonlyMap<string, Float32Array>;
  critic: Model;
  rewards: Rewards;
  watched: Rewards;
  ensemble: Rewards;
}

/** What the options' texts say. @throws UserError for one that names no reward */
export function rewardSpecs({ reward, watch, ensemble }: PpoOptions): RewardSpecs {
  return {
    reward: parseRewards(reward),
    watch: parseRewards(watch),
    ensemble: ensemble.map((model) => ({ model })),
  };
}

export async function assemble(
  options: PpoOptions,
  specs: RewardSpecs,
  backend: Backend,
  onFault: (fault: RowFault) => void,
): Promise<PpoParts> {
  requireMeaning(options);
  const prompted = await loadPromptedPolicy(options, onFault);
  const { policy } = prompted;
  const isOwnReference = options.reference === undefined;
  const reference = await referenceParameters(options, policy);
  return {
    ...prompted,
    isOwnReference,
    reference,
    critic: await startingCritic(options, specs, policy),
    rewards: await loadRewards(specs.reward, backend, policy),
    watched: await loadRewards(specs.watch, backend, policy),
    ensemble: await loadRewards(specs.ensemble, backend, policy),
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

async function referenceParameters(options: PpoOptions, policy: Model): Promise<Map<string, Float32Array>> {
  if (options.reference === undefined) {
    return new Map([...policy.parameters].map(([name, values]) => [name, values.slice()]));
  }
  const folder = await locateModel(options.reference);
  const reference = await loadModel(folder, { expectKind: ['base', 'policy'] });
  const where = `--reference ${options.reference}`;
  requireSameTokenizer(where, reference, policy);
  requireSameDesign(where, reference.config, policy.config);
  return reference.parameters;
}

/**
 * The critic begins as the first reward model, on the scale on which it is paid (weight · (raw − mean) / deviation);
 * without one, as the policy with a head of zeros, which expects nothing.
 */
async function startingCritic(
  { valueModel }: PpoOptions,
  { reward }: RewardSpecs,
  policy: Model,
): Promise<Model> {
  const { config } = policy;
  const rewardModel = reward.find((spec) => 'model' in spec);
  const from = valueModel ?? rewardModel?.model;
  const specs = scalarHeadSpecs(config, { hasBias: true });
  if (from === undefined) {
    const body = specs.map(({ name, shape }) => {
      const zeros = new Float32Array(shape.reduce((product, size) => product * size, 1));
      return [name, policy.parameters.get(name)?.slice() ?? zeros] as const;
    });
    return { kind: 'value', config, parameters: new Map(body) };
  }
  const model = await loadModel(await locateModel(from), { expectKind: ['reward', 'value'] });
  requireSameTokenizer(`the critic ${from}`, model, policy);
  requireSameDesign(`the critic ${from}`, model.config, config);
  const { mean, deviation } = model.rewardStatistics ?? { mean: 0, deviation: 1 };
  const scale = (valueModel === undefined ? (rewardModel?.weight ?? 1) : 1) / deviation;
  const parameters = new Map(model.parameters);
  const [bias] = parameters.get(headBias) ?? [0];
  parameters.set(
    headWeight,
    parameters.get(headWeight)!.map((weight) => weight * scale),
  );
  parameters.set(headBias, Float32Array.of((bias - mean) * scale));
  for (const { name } of specs) requireTensor(parameters, name, from);
  return { kind: 'value', config, parameters };
}

function requireTensor(parameters: ReadonlyMap<string, unknown>, name: string, where: string): void {
  if (parameters.has(name)) return;
  throw new UserError({ where, expected: `the tensor ${name}, as the policy has it`, found: 'none' });
}

/** What may differ between models that make the same of the same tokens. */
const looseFields: ReadonlySet<string> = new Set(['maxPositions', 'initializerRange', 'tokens']);

/** One graph computes them all. */
function requireSameDesign(where: string, found: ModelConfig, expected: ModelConfig): void {
  for (const [field, value] of Object.entries(expected)) {
    const other = found[field as keyof ModelConfig];
    if (looseFields.has(field) || isDeepStrictEqual(other, value)) continue;
    throw new UserError({
      where,
      expected: `${field} ${JSON.stringify(value)}, as in --model`,
      found: JSON.stringify(other),
      advice: 'a model of the same architecture',
    });
  }
}
