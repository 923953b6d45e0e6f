// What PPO begins with: the policy and the reference that it is held to, the critic, the prompts, the rewards.

import { UserError } from '../../engine/errors.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import { loadModel, locateModel, type Model } from '../../language/checkpoint/checkpoint.ts';
import { headBias, headWeight, scalarHeadSpecs } from '../../language/model/scalar-head.ts';
import type { Prompt } from '../data/prompts.ts';
import type { RowFault } from '../data/read.ts';
import type { PpoOptions, RewardSpecs } from './ppo-options.ts';
import { loadPromptedPolicy, type PromptedPolicy } from './prompted-policy.ts';
import { loadRewards, type Rewards } from './rewards.ts';

export interface PpoParts extends PromptedPolicy {
  /** The folder that the policy began from is the reference, so that their KL begins at exactly 0. */
  isOwnReference: boolean;
  reference: ReadonlyMap<string, Float32Array>;
  critic: Model;
  /** Of every window that rows are packed into: the longest prompt and answer fit. */
  windowLength: number;
  rewards: Rewards;
  watched: Rewards;
}

export async function assemble(
  options: PpoOptions,
  specs: RewardSpecs,
  backend: Backend,
  onFault: (fault: RowFault) => void,
): Promise<PpoParts> {
  const prompted = await loadPromptedPolicy(options, onFault);
  const { policy, prompts } = prompted;
  const isOwnReference = options.reference === undefined;
  const reference = await referenceParameters(options, policy);
  return {
    ...prompted,
    isOwnReference,
    reference,
    critic: await startingCritic(options, specs, policy),
    windowLength: windowLengthFor(prompts, options.maxTokens, policy.config.maxPositions),
    rewards: await loadRewards(specs.reward, backend, policy),
    watched: await loadRewards(specs.watch, backend, policy),
  };
}

function windowLengthFor(prompts: readonly Prompt[], maxTokens: number, context: number): number {
  const longest = prompts.reduce((most, { ids }) => Math.max(most, ids.length), 0) + maxTokens;
  return Math.min(context, Math.ceil(longest / 64) * 64);
}

async function referenceParameters(options: PpoOptions, policy: Model): Promise<Map<string, Float32Array>> {
  if (options.reference === undefined) {
    return new Map([...policy.parameters].map(([name, values]) => [name, values.slice()]));
  }
  const { parameters } = await loadModel(await locateModel(options.reference), {
    expectKind: ['base', 'policy'],
  });
  requireSameShapes(policy.parameters, parameters, `--reference ${options.reference}`);
  return parameters;
}

/**
 * The critic begins as the reward model, on the scale on which rewards are paid ((raw − mean) / deviation); without
 * one, as the policy with a head of zeros, which expects nothing.
 */
async function startingCritic(
  { valueModel }: PpoOptions,
  { reward }: RewardSpecs,
  policy: Model,
): Promise<Model> {
  const { config } = policy;
  const from = valueModel ?? reward.find((spec) => 'model' in spec)?.model;
  const specs = scalarHeadSpecs(config, { hasBias: true });
  if (from === undefined) {
    const body = specs.map(({ name, shape }) => {
      const zeros = new Float32Array(shape.reduce((product, size) => product * size, 1));
      return [name, policy.parameters.get(name)?.slice() ?? zeros] as const;
    });
    return { kind: 'value', config, parameters: new Map(body) };
  }
  const model = await loadModel(await locateModel(from), { expectKind: ['reward', 'value'] });
  const { mean, deviation } = model.rewardStatistics ?? { mean: 0, deviation: 1 };
  const parameters = new Map(model.parameters);
  const [bias] = parameters.get(headBias) ?? [0];
  parameters.set(
    headWeight,
    parameters.get(headWeight)!.map((weight) => weight / deviation),
  );
  parameters.set(headBias, Float32Array.of((bias - mean) / deviation));
  const critic: Model = { kind: 'value', config, parameters };
  for (const { name } of specs) requireTensor(critic.parameters, name, from);
  const body = new Map([...parameters].filter(([name]) => policy.parameters.has(name)));
  requireSameShapes(body, policy.parameters, `the critic ${from}`);
  return critic;
}

function requireTensor(parameters: ReadonlyMap<string, unknown>, name: string, where: string): void {
  if (parameters.has(name)) return;
  throw new UserError({ where, expected: `the tensor ${name}, as the policy has it`, found: 'none' });
}

function requireSameShapes(
  expected: ReadonlyMap<string, Float32Array>,
  found: ReadonlyMap<string, Float32Array>,
  where: string,
): void {
  for (const [name, { length }] of expected) {
    const other = found.get(name)?.length ?? 0;
    if (other === length) continue;
    throw new UserError({
      where,
      expected: `${name} of ${length} numbers, as in --model`,
      found: `${other}`,
      advice: 'a model of the same architecture',
    });
  }
}
