// A tiny policy that can learn from its own completions: one whose completions end, prompts, rewards, and options.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OnPolicyOptions } from '../../rollouts/on-policy.ts';
import { saveTinyModel, tinyConfig, trainingDefaults } from '../../run/testing/tiny-run.ts';
import type { GrpoOptions } from '../grpo.ts';
import type { PpoOptions } from '../ppo.ts';

export interface TinyWorld {
  model: string;
  data: string[];
  /** A module of rewards. */
  rewards: string;
}

/** @param ending every so many-th token ends a completion; default: the end of text alone, which hardly ever comes */
export async function tinyWorld(folder: string, { ending }: { ending?: number } = {}): Promise<TinyWorld> {
  const world = {
    model: join(folder, 'policy'),
    data: [join(folder, 'prompts.jsonl')],
    rewards: join(folder, 'rewards.mjs'),
  };
  const others = ending === undefined ? [] : Array.from({ length: 280 / ending }, (_, i) => 5 + ending * i);
  const tokens = { pad: 0, bos: 1, eos: [2, ...others] };
  await saveTinyModel(world.model, tinyConfig('llama', { initializerRange: 0.2, tokens }));
  const words = ['red', 'blue', 'cat', 'dog', 'sun', 'moon'];
  const rows = words.map((word) => `${JSON.stringify({ prompt: `${word} runs`, word })}\n`);
  writeFileSync(world.data[0], rows.join(''));
  writeFileSync(
    world.rewards,
    `const count = (text, letters) => (text.match(letters) ?? []).length;
     export const vowels = (rows) => rows.map(({ completion }) => count(completion, /[aeiou]/g));
     export const share = (rows) => vowels(rows).map((found) => found / 10);
     export const ofRed = (rows) => rows.map(({ completion, row }) => row.word === 'red' ? completion.length : 1);
     export const words = (rows) => rows.map(({ row }) => row.word.length);
     export const nothing = (rows) => rows.map(() => 0);
     export const broken = () => { throw new Error('rewarded'); };`,
  );
  return world;
}

/** Besides the world and the run's folder. */
type Defaults<Options> = Omit<Options, 'model' | 'data' | 'out'>;

const onPolicyDefaults: Defaults<OnPolicyOptions> & { onAlarm: 'warn' } = {
  ...{ ...trainingDefaults, epochs: 4, microBatchTokens: 64 },
  ...{ template: 'none', reward: ['…'], watch: [], ensemble: [] },
  ...{ batchSize: 4, maxTokens: 10, temperature: 1, generationBatchSize: 8, onAlarm: 'warn' },
};

/** GRPO's and RLOO's: 6 steps of 16 completions. */
export const groupDefaults: Defaults<GrpoOptions> = {
  ...onPolicyDefaults,
  ...{ groupSize: 4, generationBatchSize: 16, iterations: 1, beta: 0.05, clipLow: 0.2, clipHigh: 0.2 },
  ...{ maskTruncated: false, advantageScaling: 'group', lossMean: 'token', klIn: 'loss' },
};

/** 6 steps of 8 completions. */
export const ppoDefaults: Defaults<PpoOptions> = {
  ...onPolicyDefaults,
  ...{ samples: 2, ppoEpochs: 2, miniBatchSize: 4, valueLearningRate: 3e-3 },
  ...{ beta: 0.05, klEstimator: 'k1', klHorizon: 100, gamma: 1, lambda: 0.95 },
  ...{ clipRange: 0.2, valueClipRange: 0.2, missingEos: 'subtract', missingEosScore: 0 },
  ...{ whitenAdvantages: true, whitenRewards: false },
};
