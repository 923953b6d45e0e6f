// Training adapters over a frozen base, by every method, on a tiny model.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadModel } from '../../language/checkpoint/checkpoint.ts';
import { readSafetensorsHeader } from '../../language/checkpoint/safetensors.ts';
import { merge } from '../evaluation/merge.ts';
import type { RunEvent, StepEvent } from '../run/events.ts';
import { writePreferences } from '../run/testing/tiny-comparisons.ts';
import {
  saveTinyModel,
  timelessLog,
  tinyConfig,
  trainingDefaults,
  writeDemonstrations,
} from '../run/testing/tiny-run.ts';
import { dpo } from './dpo.ts';
import { grpo } from './grpo.ts';
import { kto } from './kto.ts';
import { ppo } from './ppo.ts';
import { reject } from './reject.ts';
import { reward } from './reward.ts';
import { rloo } from './rloo.ts';
import { sft } from './sft.ts';

let root: string;
let runs = 0;
let events: RunEvent[];
const files = { demonstrations: '', pairs: '', prompts: '' };

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'heed-lora-'));
  // Every twentieth token ends a completion, so that even a random model's end.
  const eos = [2, ...Array.from({ length: 14 }, (_, i) => 5 + 20 * i)];
  await saveTinyModel(
    join(root, 'base'),
    tinyConfig('llama', { initializerRange: 0.2, tokens: { pad: 0, bos: 1, eos } }),
  );
  files.demonstrations = writeDemonstrations(root, 24);
  files.pairs = writePreferences(root, 24);
  files.prompts = join(root, 'prompts.jsonl');
  const words = ['red', 'blue', 'cat', 'dog'];
  writeFileSync(
    files.prompts,
    words.map((word) => `${JSON.stringify({ prompt: `${word} runs` })}\n`).join(''),
  );
  writeFileSync(
    join(root, 'rewards.js'),
    'export const vowels = (rows) => rows.map(({ completion }) => (completion.match(/[aeiou]/g) ?? []).length);',
  );
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  events = [];
});

const newRun = () => join(root, `run-${runs++}`);

type Options = Record<string, unknown>;
type Run = (
  options: never,
  context: { emit: (event: RunEvent) => void; signal: AbortSignal },
) => Promise<object>;

const comparing = {
  batchSize: 8,
  truncation: 'drop',
  labelSmoothing: 0,
  targetMargin: 1,
  likelihoodWeight: 0,
};
const online = () => ({
  ...{ data: [files.prompts], template: 'none', reward: [`${join(root, 'rewards.js')}#vowels`] },
  ...{ watch: [], ensemble: [], batchSize: 4, maxTokens: 10, temperature: 1, generationBatchSize: 16 },
  ...{ microBatchTokens: 64, onAlarm: 'warn', epochs: 4 },
});
const groups = () => ({
  ...{ ...online(), groupSize: 4, iterations: 2, beta: 0.05, clipLow: 0.2, clipHigh: 0.2 },
  maskTruncated: false,
});

const methods: Record<string, { run: Run; options: () => Options }> = {
  sft: {
    run: sft as Run,
    options: () => ({ data: [files.demonstrations], truncation: 'drop', loraDropout: 0.2 }),
  },
  dpo: { run: dpo as Run, options: () => ({ ...comparing, data: [files.pairs], loss: 'dpo', epochs: 2 }) },
  kto: {
    run: kto as Run,
    options: () => ({
      ...comparing,
      data: [files.pairs],
      beta: 0.1,
      desirableWeight: 1,
      undesirableWeight: 1,
      epochs: 2,
    }),
  },
  reward: {
    run: reward as Run,
    options: () => ({
      ...comparing,
      data: [files.pairs],
      loss: 'bradley-terry',
      margin: 0,
      centering: 0,
      epochs: 2,
    }),
  },
  reject: {
    run: reject as Run,
    options: () => ({ ...online(), samples: 4, rounds: 2, pick: 'best', batchSize: 2, epochs: 2 }),
  },
  ppo: {
    run: ppo as Run,
    options: () => ({
      ...{ ...online(), samples: 2, ppoEpochs: 2, miniBatchSize: 4, valueLearningRate: 3e-3, beta: 0.05 },
      ...{ klEstimator: 'k1', klHorizon: 100, gamma: 1, lambda: 0.95, clipRange: 0.2, valueClipRange: 0.2 },
      ...{ missingEos: 'subtract', missingEosScore: 0, whitenAdvantages: true, whitenRewards: false },
    }),
  },
  grpo: {
    run: grpo as Run,
    options: () => ({ ...groups(), advantageScaling: 'group', lossMean: 'token', klIn: 'loss' }),
  },
  rloo: { run: rloo as Run, options: groups },
};

/** @param stopAfter aborts when that step is heard */
async function train(name: string, out: string, more: Options = {}, stopAfter?: number) {
  const controller = new AbortController();
  const emit = (event: RunEvent) => {
    events.push(event);
    if (event.type === 'step' && event.step === stopAfter) controller.abort();
  };
  const { run, options } = methods[name];
  const all = {
    ...trainingDefaults,
    model: join(root, 'base'),
    out,
    loraRank: 2,
    saveEvery: 2,
    ...options(),
    ...more,
  };
  return (await run(all as never, { emit, signal: controller.signal })) as { outcome: string; steps: number };
}

const steps = () => events.filter((event): event is StepEvent => event.type === 'step');

/** Everything that is stored of a run's end. */
function storedBytes(run: string, step: number): Buffer[] {
  const checkpoint = `checkpoints/step-${String(step).padStart(8, '0')}`;
  const names = ['model/adapter_model.safetensors', 'optimizer.safetensors', 'state.json'];
  return [join(run, names[0]), ...names.map((name) => join(run, checkpoint, name))].map((path) =>
    readFileSync(path),
  );
}

describe.each(Object.keys(methods))('an adapter trained by %s', (name) => {
  it('leaves its base as it was, is stored without it, and resumes to the same bits', async () => {
    const before = readFileSync(join(root, 'base/model.safetensors'));
    const [whole, cut] = [newRun(), newRun()];
    const uninterrupted = await train(name, whole);
    expect(steps().length).toBeGreaterThan(2);
    const first = await train(name, cut, {}, 2);
    expect([first.outcome, first.steps]).toEqual(['interrupted', 2]);
    await train(name, cut, { resume: true });
    expect(storedBytes(cut, uninterrupted.steps)).toEqual(storedBytes(whole, uninterrupted.steps));
    expect(timelessLog(cut)).toEqual(timelessLog(whole));

    expect(readFileSync(join(root, 'base/model.safetensors'))).toEqual(before);
    const step = `checkpoints/step-${String(uninterrupted.steps).padStart(8, '0')}`;
    const { entries } = await readSafetensorsHeader(join(whole, step, 'optimizer.safetensors'));
    const frozen = [...entries.keys()].filter(
      (tensor) => !/lora_[AB]\.weight$|score\.(?:weight|bias)$/.test(tensor),
    );
    expect(frozen).toEqual([]);
    const [base, trained] = await Promise.all(
      [join(root, 'base'), join(whole, 'model')].map((path) => loadModel(path)),
    );
    expect(trained.adapter!.modules).toHaveLength(14);
    for (const [tensor, values] of base.parameters) expect(trained.parameters.get(tensor)).toEqual(values);
    const moved = [...trained.parameters].filter(
      ([tensor, values]) => tensor.includes('lora_B') && values.some(Boolean),
    );
    expect(moved).toHaveLength(14);
  }, 120_000);
});

describe('an adapter', () => {
  it('begins DPO at ln 2, over the base and over an adapter that is trained further', async () => {
    await train('sft', newRun(), { maxSteps: 3 });
    const adapter = join(root, `run-${runs - 1}`);
    for (const [model, loraRank] of [
      [join(root, 'base'), 2],
      [adapter, undefined],
    ]) {
      events = [];
      await train('dpo', newRun(), { model, loraRank, warmupRatio: 0 });
      const [first, second] = steps();
      expect(Math.abs(first.loss - Math.LN2)).toBeLessThan(1e-5);
      expect(Math.abs(second.loss - Math.LN2)).toBeGreaterThan(1e-5);
    }
  });

  it('has in PPO one frozen base for policy, reference, reward model and value model', async () => {
    const rewardRun = newRun();
    await train('reward', rewardRun);
    events = [];
    await train('ppo', newRun(), { reward: [rewardRun], maxSteps: 2 });
    const started = events.find((event) => event.type === 'started')!;
    const memory = started.type === 'started' ? started.memory! : [];
    expect(memory.map(({ role, shared }) => [role, shared])).toEqual([
      ['policy', false],
      ['reference', true],
      ['reward', false],
      ['value', false],
    ]);
    const base = readFileSync(join(root, 'base/model.safetensors')).length;
    const [policy, , ...others] = memory.map(({ weightsBytes }) => weightsBytes);
    expect(policy).toBeGreaterThan(0.9 * base);
    for (const bytes of others) expect(bytes).toBeLessThan(policy / 3);
    const [step] = steps();
    expect(step.metrics!['objective/kl']).toBe(0);
  });

  it('merged gives a whole model with the head of its reward model', async () => {
    const run = newRun();
    await train('reward', run);
    await merge({ model: run, out: join(root, 'merged') });
    const merged = await loadModel(join(root, 'merged'), { expectKind: ['reward'] });
    const adapted = await loadModel(join(run, 'model'));
    expect(merged.adapter).toBeUndefined();
    expect(merged.parameters.get('score.weight')).toEqual(adapted.parameters.get('score.weight'));
    expect(merged.rewardStatistics).toEqual(adapted.rewardStatistics);
  });

  it.each([
    ['--lora-rank', { model: 'adapter', loraRank: 2 }],
    ['--lora-alpha', { loraRank: undefined, loraAlpha: 3, loraDropout: undefined }],
    ['--lora-dropout', { loraRank: undefined, loraDropout: 0.1 }],
    ['--lora-targets', { loraTargets: ['c_attn'] }],
  ])('is refused where %s has no meaning', async (flag, options) => {
    const run = newRun();
    await train('sft', run, { maxSteps: 1 });
    const model = 'model' in options ? run : join(root, 'base');
    await expect(train('sft', newRun(), { ...options, model })).rejects.toThrow(flag);
  });

  it('of a method with probability ratios has no dropout', async () => {
    await expect(train('ppo', newRun(), { loraDropout: 0.1 })).rejects.toThrow('--lora-dropout: expected 0');
  });
});
