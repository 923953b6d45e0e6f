// Estimates, held against what the stages of the quickstart took on two cores, with no stage beside to be measured by.

import { resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { everyStage } from '../stages/stages.ts';
import { type Forecast, forecastPipeline } from './forecast.ts';
import { planPipeline } from './plan-pipeline.ts';
import { readRecipe } from './read-recipe.ts';
import { SmallPipeline } from './testing/small-pipeline.ts';

let pipeline: SmallPipeline;
beforeEach(() => {
  pipeline = new SmallPipeline();
  pipeline.stages = everyStage;
});
afterEach(() => pipeline.remove());

type Costs = Readonly<Record<string, readonly [seconds: number, megabytes: number]>>;

/** Of runs of recipes/quickstart.yaml, from the costs in their reports. */
const quickstart: Costs = {
  data: [3.5, 218],
  sft: [197.6, 587],
  preferences: [19.1, 497],
  'held-out-preferences': [7.5, 470],
  reward: [30.3, 884],
  'reward-2': [33.2, 866],
  reject: [50.9, 1040],
  dpo: [35.5, 929],
  ppo: [105.1, 1388],
  'ppo-no-kl': [54.9, 1367],
  'ppo-frozen': [23.2, 1180],
  continuation: [5.9, 420],
  'eval-base': [13.2, 576],
  'eval-sft': [12.3, 598],
  'eval-reject': [13.9, 563],
  'eval-dpo': [14.6, 612],
  'eval-ppo': [14.6, 573],
  'eval-ppo-no-kl': [15.7, 581],
  'eval-ppo-frozen': [12.8, 602],
};
/** Of recipes/pretrain-kata.yaml, as the first stages of a pipeline from scratch. */
const pretraining: Costs = { data: [11.4, 280], tokenizer: [2.2, 170], pretrain: [2354, 729] };

const factor = (estimated: number, found: number): number => Math.max(estimated / found, found / estimated);

it.each([
  ['recipes/quickstart.yaml', quickstart],
  ['recipes/pretrain-kata.yaml', pretraining],
])('estimates every stage of %s to a factor of two in time and memory', async (path, costs) => {
  const { version } = pipeline;
  const plan = await planPipeline(readRecipe(path), {
    out: pipeline.path('out'),
    seed: 1,
    version,
  });
  const forecasts = await forecastPipeline(plan);
  expect([...forecasts.keys()]).toEqual(Object.keys(costs));
  expect([...forecasts.values()].filter(({ basis }) => basis === 'measured')).toEqual([]);
  const factors = [...forecasts].map(([name, { seconds, memoryBytes }]) => {
    const [foundSeconds, foundMegabytes] = costs[name];
    return { name, time: factor(seconds, foundSeconds), memory: factor(memoryBytes / 1e6, foundMegabytes) };
  });
  expect(factors.filter(({ time, memory }) => time > 2 || memory > 2)).toEqual([]);
});

describe('an estimate', () => {
  const start = 3;

  async function forecasts(stages: string): Promise<Map<string, Forecast>> {
    const base = resolve('models/kata-base');
    return forecastPipeline(await pipeline.plan(`models:\n  base: { folder: ${base} }\nstages:\n${stages}`));
  }

  it('counts held-out coaching by the option that says how much of it is made', async () => {
    const found = await forecasts(`
  data: { command: kata, problems: 300, coaching: 100 }
  programs: { command: eval, model: '\${base}', data: ['\${data}/held-out.jsonl'] }
  coaching: { command: eval, model: '\${base}', data: ['\${data}/held-out-coaching.jsonl'] }`);
    const [programs, coaching] = ['programs', 'coaching'].map((name) => found.get(name)!.seconds - start);
    expect(programs / coaching).toBeCloseTo(3, 6);
  });

  it('counts the pairs that a labelling stage compares', async () => {
    const found = await forecasts(`
  data: { command: kata, prompts: 100 }
  one: { command: label, model: '\${base}', data: ['\${data}/prompts.jsonl'], samples: 4, pairs: 1 }
  all: { command: label, model: '\${base}', data: ['\${data}/prompts.jsonl'], samples: 4 }
  of-one: { command: reward, model: '\${base}', data: ['\${one}/preferences.jsonl'] }
  of-all: { command: reward, model: '\${base}', data: ['\${all}/preferences.jsonl'] }`);
    const [one, all] = ['of-one', 'of-all'].map((name) => found.get(name)!.seconds - start);
    expect(all / one).toBeCloseTo(6, 6);
  });

  const prompts = `
  data: { command: kata, instructions: 1000, prompts: 1000 }
  sft: { command: sft, model: '\${base}', data: ['\${data}/instructions.jsonl'], batch-size: 8, micro-batch-tokens: 512 }
  reward: { command: reward, model: '\${sft}', data: ['\${data}/instructions.jsonl'] }`;
  const ppo = (name: string, more: string) => `
  ${name}: { command: ppo, model: '\${sft}', reward: ['\${reward}'], data: ['\${data}/prompts.jsonl'], ${more} }`;

  it('has room for the value model with its optimiser, the reference and the reward model of PPO', async () => {
    const found = await forecasts(`${prompts}${ppo('ppo', 'batch-size: 8, micro-batch-tokens: 512')}`);
    const [sft, other] = [found.get('sft')!, found.get('ppo')!];
    // Weights, gradient and two moments of the value model; weights of the other two; in float32.
    const least = (4 + 2) * 4 * sft.parameters!;
    expect(other.memoryBytes - sft.memoryBytes).toBeGreaterThanOrEqual(least);
  });

  it('counts the completions of a group, and every pass over them', async () => {
    const grpo = (name: string, more: string) => `
  ${name}: { command: grpo, model: '\${sft}', reward: ['\${reward}'], data: ['\${data}/prompts.jsonl'], ${more} }`;
    const found = await forecasts(
      `${prompts}${grpo('few', 'group-size: 4')}${grpo('many', 'group-size: 16')}${grpo('often', 'group-size: 4, iterations: 3')}`,
    );
    const [few, many, often] = ['few', 'many', 'often'].map((name) => found.get(name)!.seconds - start);
    expect(many / few).toBeCloseTo(4, 6);
    expect(often).toBeGreaterThan(few);
  });

  it('has no optimiser states of the base under an adapter, until it is merged', async () => {
    const sft = (name: string, model: string, more = '') => `
  ${name}: { command: sft, model: '\${${model}}', data: ['\${data}/instructions.jsonl'], batch-size: 8, micro-batch-tokens: 512${more} }`;
    const found = await forecasts(
      `${prompts}${sft('lora', 'base', ', lora-rank: 2')}${sft('on', 'lora')}
  merged: { command: merge, model: '\${lora}' }${sft('whole', 'merged')}`,
    );
    const [full, lora, on, whole] = ['sft', 'lora', 'on', 'whole'].map((name) => found.get(name)!);
    // 8 × 4 bytes of each parameter against 3 × 4.
    expect(full.memoryBytes - lora.memoryBytes).toBeGreaterThan(4 * 4 * full.parameters!);
    expect([on, whole].map(({ memoryBytes }) => memoryBytes)).toEqual([lora.memoryBytes, full.memoryBytes]);
    expect(lora.seconds).toBeLessThan(full.seconds);
  });

  it('counts no epoch that --max-steps cuts off', async () => {
    const found = await forecasts(
      `${prompts}${ppo('three', 'epochs: 3, max-steps: 5')}${ppo('thirty', 'epochs: 30, max-steps: 5')}`,
    );
    expect(found.get('three')).toEqual(found.get('thirty'));
  });
});
