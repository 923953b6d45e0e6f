import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadModel, saveModel } from '../../language/checkpoint/checkpoint.ts';
import { readSafetensorsHeader } from '../../language/checkpoint/safetensors.ts';
import { Tokenizer } from '../../language/text/tokenizer.ts';
import type { RunEvent, StepEvent } from '../run/events.ts';
import { saveTinyModel, timelessLog, tinyConfig, trainedBytes } from '../run/testing/tiny-run.ts';
import { type PpoOptions, ppo, type RewardSpecs } from './ppo.ts';
import { ppoDefaults, type TinyWorld, tinyWorld } from './testing/tiny-on-policy.ts';

let root: string;
let world: TinyWorld;
let runs = 0;
let events: RunEvent[];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'heed-ppo-'));
  world = await tinyWorld(root);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  events = [];
});

const newRun = () => join(root, `run-${runs++}`);
const reward = (name: string) => ({ module: world.rewards, name });

/** By default 6 steps of 8 answers. @param stopAfter aborts when that step is heard, or at once */
async function train(
  out: string,
  { specs, ...options }: Partial<PpoOptions> & { specs?: Partial<RewardSpecs> } = {},
  stopAfter?: number | 'at once',
) {
  const controller = new AbortController();
  if (stopAfter === 'at once') controller.abort();
  const emit = (event: RunEvent) => {
    events.push(event);
    if (event.type === 'step' && event.step === stopAfter) controller.abort();
  };
  const { model, data } = world;
  const rewards = { reward: [reward('vowels')], watch: [], ensemble: [], ...specs };
  const context = { emit, signal: controller.signal };
  return ppo({ ...ppoDefaults, model, data, out, ...options, specs: rewards }, context);
}

const steps = () => events.filter((event): event is StepEvent => event.type === 'step');
const meanOf = (values: number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
const metric = (name: string) => steps().map(({ metrics }) => metrics![name]);

describe('the same run', () => {
  it.each([1, 2])('gives the same bytes twice with %i threads', async (threads) => {
    const [a, b] = [newRun(), newRun()];
    for (const run of [a, b]) await train(run, { threads, klTarget: 1 });
    expect(trainedBytes(a, 6)).toEqual(trainedBytes(b, 6));
    expect(timelessLog(a)).toEqual(timelessLog(b));
  });
});

describe('a resumed run', () => {
  it.each([
    ['at a checkpoint', 2, 2],
    ['between checkpoints', 3, 2],
    ['before its first checkpoint', 1, undefined],
  ])('interrupted %s equals an uninterrupted one', async (_, stopAfter, saveEvery) => {
    const options: Partial<PpoOptions> = { saveEvery, klTarget: 1, onAlarm: 'rollback' };
    const [whole, cut] = [newRun(), newRun()];
    const uninterrupted = await train(whole, options);
    const first = await train(cut, options, stopAfter);
    expect([first.outcome, first.steps]).toEqual(['interrupted', stopAfter]);
    const second = await train(cut, { ...options, resume: true });
    expect({ ...second, model: '' }).toEqual({ ...uninterrupted, model: '' });
    expect(trainedBytes(cut, uninterrupted.steps)).toEqual(trainedBytes(whole, uninterrupted.steps));
    expect(timelessLog(cut)).toEqual(timelessLog(whole));
  });
});

describe('a run that is stopped while the reference answers', () => {
  it('ends there, before anything is rewarded', async () => {
    const stopped = train(newRun(), { specs: { reward: [reward('broken')] } }, 'at once');
    await expect(stopped).rejects.toThrow('This operation was aborted');
    expect(events).toEqual([]);
  });
});

describe('the KL penalty', () => {
  it('begins at a KL of exactly 0 and a ratio of exactly 1', async () => {
    await train(newRun(), { maxSteps: 1, ppoEpochs: 1, miniBatchSize: 8 });
    expect(metric('objective/kl')).toEqual([0]);
    expect(metric('policy/approxkl')).toEqual([0]);
    expect(metric('val/ratio')[0]).toBeCloseTo(1, 6);
    expect(metric('generation/log_prob_difference')[0]).toBeLessThan(1e-4);
  });

  it('lets the policy go further the cheaper a nat is', async () => {
    const kls: number[] = [];
    for (const beta of [0, 1]) {
      events = [];
      await train(newRun(), { beta, epochs: 30, learningRate: 1e-3 });
      kls.push(meanOf(metric('objective/kl').slice(-8)));
    }
    expect(kls[0]).toBeGreaterThan(4 * Math.abs(kls[1]));
  });

  it('ends the run beyond the limit, with weights that were within it', async () => {
    const out = newRun();
    const result = await train(out, { beta: 0, epochs: 60, learningRate: 1e-3, klBudget: 0.5 });
    expect(result.stopped).toMatch(/beyond the limit of 0.5/);
    expect(result.outcome).toBe('done');
    events = [];
    // As the reference is the policy at its start, the first step's KL is that of the saved weights.
    const options = {
      model: join(out, 'model'),
      reference: world.model,
      maxSteps: 1,
      batchSize: 32,
    };
    await train(newRun(), options);
    expect(metric('objective/kl')[0]).toBeLessThan(0.8);
    expect(metric('objective/kl')[0]).toBeGreaterThan(0);
  });

  it('holds the limit after the last update too, which no rollouts follow', async () => {
    const out = newRun();
    const far = { beta: 0, learningRate: 0.03, warmupRatio: 0, maxSteps: 1, klBudget: 0.5 };
    const whole = await train(out, far);
    const { stopped } = whole;
    expect(stopped).toMatch(
      /beyond the limit of 0.5, after the last update: back to the weights after 0 steps/,
    );
    const [start, end] = await Promise.all([world.model, join(out, 'model')].map((path) => loadModel(path)));
    expect(end.parameters).toEqual(start.parameters);
    // Which no resumption trains on, and which none forgets.
    for (const maxSteps of [1, 4])
      expect(await train(out, { ...far, maxSteps, resume: true })).toEqual(whole);
  });

  it('holds the KL near its target when beta adapts', async () => {
    await train(newRun(), {
      ...{ batchSize: 16, miniBatchSize: 32, klHorizon: 32, epochs: 150 },
      ...{ beta: 0.1, klTarget: 0.5, learningRate: 1e-3, schedule: 'constant' },
    });
    const held = meanOf(metric('objective/kl').slice(-20));
    expect(held).toBeGreaterThan(0.15);
    expect(held).toBeLessThan(1.5);
    expect(new Set(metric('beta')).size).toBeGreaterThan(10);
  });
});

describe('the reward', () => {
  it('rises', async () => {
    await train(newRun(), { beta: 0, epochs: 30, learningRate: 3e-3 });
    const scores = metric('objective/scores');
    expect(meanOf(scores.slice(-8))).toBeGreaterThan(1.3 * meanOf(scores.slice(0, 8)));
  });

  it('may be a sum of functions that see the prompt’s row, and others may be watched', async () => {
    const sum = [
      { ...reward('words'), weight: 2 },
      { ...reward('words'), weight: -1 },
    ];
    await train(newRun(), { specs: { reward: sum, watch: [reward('words')] }, maxSteps: 1 });
    expect(metric('objective/scores')).toEqual(metric('watch/words'));
    expect(metric('ensemble/spread')).toEqual([undefined]);
  });

  it('is watched by an ensemble, which tells how far its members disagree', async () => {
    await train(newRun(), { specs: { ensemble: [reward('vowels'), reward('nothing')] }, maxSteps: 1 });
    expect(metric('ensemble/spread')[0]).toBeCloseTo(metric('objective/scores')[0] / 2, 12);
  });

  it('of an answer without an end is what the rule says', async () => {
    await train(newRun(), { maxSteps: 1, maxTokens: 1, missingEos: 'replace', missingEosScore: -7 });
    const ended = metric('val/num_eos_tokens')[0];
    expect(ended).toBeLessThan(8);
    expect(metric('eos_rate')).toEqual([ended / 8]);
    expect(metric('objective/scores')[0]).toBeLessThanOrEqual((-7 * (8 - ended)) / 8);
  });
});

describe('the value model', () => {
  it('is stored in the type of the policy', async () => {
    const run = newRun();
    await train(run, { maxSteps: 1, dtype: 'BF16' });
    for (const model of ['model', 'value-model']) {
      const { entries } = await readSafetensorsHeader(join(run, model, 'model.safetensors'));
      expect(new Set([...entries.values()].map(({ dtype }) => dtype))).toEqual(new Set(['BF16']));
    }
  });

  it.each([1, 2])(
    'begins as a reward model of weight %i, on the scale on which it is paid',
    async (weight) => {
      const policy = await loadModel(world.model);
      const parameters = new Map(policy.parameters);
      parameters.set('score.weight', new Float32Array(32).fill(0));
      parameters.set('score.bias', Float32Array.of(5));
      const statistics = { mean: 3, deviation: 4 };
      await saveModel(join(root, 'reward'), {
        ...policy,
        kind: 'reward',
        parameters,
        rewardStatistics: statistics,
      });
      const run = newRun();
      await train(run, {
        specs: { reward: [{ model: join(root, 'reward'), weight }] },
        maxSteps: 1,
        beta: 0,
        learningRate: 1e-9,
      });
      const { lineage } = await loadModel(join(run, 'model'));
      expect(lineage?.parents.map(({ name }) => name)).toEqual([
        ...['policy', 'reward'].map((name) => join(basename(root), name)),
      ]);
      // It expects weight · (5 − 3)/4 and gets just that.
      expect(metric('objective/scores')).toEqual([0.5 * weight]);
      expect(metric('loss/value')[0]).toBeLessThan(1e-3);
    },
  );
});

describe('mistakes', () => {
  it.each([
    ['prompts that leave no room', { maxTokens: 64 }, /--max-tokens.*the context 64/],
    ['a target without a price', { beta: 0, klTarget: 1 }, /--beta.*--kl-target/],
    ['an answer to alarms without a price', { beta: 0, onAlarm: 'raise-beta' }, /--beta.*raise-beta/],
    ['a penalty below 0', { missingEosScore: -1 }, /--missing-eos-score/],
    ['a reward that is not there', { specs: { reward: [{ module: 'x.js', name: 'y' }] } }, /x\.js/],
  ])('are told: %s', async (_, options, message) => {
    await expect(train(newRun(), options as Partial<PpoOptions>)).rejects.toThrow(message);
  });

  it('are told: a reference that would compute something else of the same weights', async () => {
    const positions = { kind: 'rotary', theta: 777, scaling: { kind: 'default' } } as const;
    await saveTinyModel(join(root, 'other'), tinyConfig('llama', { positions }));
    const run = train(newRun(), { reference: join(root, 'other') });
    await expect(run).rejects.toThrow(/--reference.*positions.*777/);
  });
});

describe('its files', () => {
  it('hold the value model as the run left it, which another run can begin with', async () => {
    const out = newRun();
    await train(out, { maxSteps: 4 });
    const trained = await loadModel(join(out, 'value-model'), { expectKind: ['value'] });
    const optimizer = await readFile(join(out, 'checkpoints/step-00000004/optimizer.safetensors'));
    for (const name of ['score.weight', 'score.bias', 'model.norm.weight']) {
      const values = trained.parameters.get(name)!;
      expect(values.some((x) => x !== 0 && x !== 1)).toBe(true);
      const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
      expect(optimizer.includes(bytes)).toBe(true);
    }
    events = [];
    // An update too small to matter: the first loss is that of the model it began with.
    const options = { maxSteps: 1, valueModel: join(out, 'value-model'), valueLearningRate: 1e-12 };
    await train(newRun(), options);
    const known = metric('loss/value')[0];
    await train(newRun(), { ...options, valueModel: undefined });
    expect(metric('loss/value')[1]).toBeGreaterThan(1.2 * known);
  });

  it('hold one that began with a head of zeros, where a policy was named', async () => {
    const [policy, copy] = ['policy', 'another-policy'].map((name) => join(root, name));
    cpSync(policy, copy, { recursive: true });
    const losses = [];
    for (const valueModel of [undefined, policy, copy]) {
      events = [];
      await train(newRun(), { maxSteps: 1, valueModel });
      losses.push(metric('loss/value')[0]);
    }
    expect(losses[0]).toBeGreaterThan(0);
    expect(losses).toEqual(Array(3).fill(losses[0]));
  });

  it('are a policy with its lineage, and samples', async () => {
    const out = newRun();
    await train(out, { maxSteps: 4 });
    const model = await loadModel(join(out, 'model'), { expectKind: ['policy'] });
    expect(model.lineage?.parents[0].name).toBe(join(basename(root), 'policy'));
    const samples = readFileSync(join(out, 'samples.jsonl'), 'utf8').trimEnd().split('\n');
    const told = samples.map((line) => JSON.parse(line));
    const tokenizer = await Tokenizer.load(join(out, 'model'));
    expect(told.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
    for (const { completion, episode } of told) {
      const actions = episode.ids.slice(-episode.kl.length);
      expect(tokenizer.decode(actions, { skipSpecial: true })).toBe(completion);
      expect(episode.score).toEqual(expect.any(Number));
    }
    // The policy begins as its reference.
    expect(Math.max(...told[0].episode.kl.map(Math.abs))).toBeLessThan(1e-4);
    expect(Math.max(...told[3].episode.kl.map(Math.abs))).toBeGreaterThan(1e-4);
  });
});
