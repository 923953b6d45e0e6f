// GRPO and RLOO on a tiny model whose reward is the share of vowels.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RewardSpecs } from '../rollouts/on-policy.ts';
import type { RunEvent, StepEvent } from '../run/events.ts';
import { timelessLog, trainedBytes } from '../run/testing/tiny-run.ts';
import { type GrpoOptions, grpo } from './grpo.ts';
import { rloo } from './rloo.ts';
import { groupDefaults, type TinyWorld, tinyWorld } from './testing/tiny-on-policy.ts';

let root: string;
let world: TinyWorld;
let runs = 0;
let events: RunEvent[];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'heed-groups-'));
  world = await tinyWorld(root, { ending: 20 });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  events = [];
});

type Method = 'grpo' | 'rloo';
const newRun = () => join(root, `run-${runs++}`);
const reward = (name: string) => ({ module: world.rewards, name });

/** By default 6 steps of 16 completions. @param stopAfter aborts when that step is heard */
async function train(
  method: Method,
  out: string,
  { specs, ...options }: Partial<GrpoOptions> & { specs?: Partial<RewardSpecs> } = {},
  stopAfter?: number,
) {
  const controller = new AbortController();
  const emit = (event: RunEvent) => {
    events.push(event);
    if (event.type === 'step' && event.step === stopAfter) controller.abort();
  };
  const { model, data } = world;
  const rewards = { reward: [reward('share')], watch: [], ensemble: [], ...specs };
  const given = { ...groupDefaults, model, data, out, ...options, specs: rewards };
  return (method === 'rloo' ? rloo : grpo)(given, { emit, signal: controller.signal });
}

const steps = () => events.filter((event): event is StepEvent => event.type === 'step');
const meanOf = (values: number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
const metric = (name: string) => steps().map(({ metrics }) => metrics![name]);

describe.each(['grpo', 'rloo'] as const)('%s', (method) => {
  it.each([
    ['one update per step', { beta: 0 }],
    ['mini-batches in two passes', { iterations: 2, miniBatchSize: 8 }],
  ])('raises the reward with %s', async (_, options) => {
    await train(method, newRun(), { ...options, epochs: 30, learningRate: 3e-3 });
    const rewards = metric('reward');
    expect(meanOf(rewards.slice(-8))).toBeGreaterThan(1.3 * meanOf(rewards.slice(0, 8)));
    expect(metric('completions/mean_length').every((length) => length >= 1 && length <= 10)).toBe(true);
  });

  it.each([
    ['one update per step', {}],
    ['mini-batches in two passes', { iterations: 2, miniBatchSize: 8, onAlarm: 'rollback' }],
  ] as [string, Partial<GrpoOptions>][])('resumed equals uninterrupted with %s', async (_, options) => {
    const [whole, cut] = [newRun(), newRun()];
    const uninterrupted = await train(method, whole, { ...options, saveEvery: 2 });
    const first = await train(method, cut, { ...options, saveEvery: 2 }, 3);
    expect([first.outcome, first.steps]).toEqual(['interrupted', 3]);
    const second = await train(method, cut, { ...options, saveEvery: 2, resume: true });
    expect({ ...second, model: '' }).toEqual({ ...uninterrupted, model: '' });
    expect(trainedBytes(cut, uninterrupted.steps)).toEqual(trainedBytes(whole, uninterrupted.steps));
    expect(timelessLog(cut)).toEqual(timelessLog(whole));
  });

  it('begins at a KL of exactly 0 where log-probabilities are those of training', async () => {
    await train(method, newRun(), { maxSteps: 1, iterations: 2 });
    expect([metric('kl'), metric('objective/kl')]).toEqual([[0], [0]]);
    expect(metric('generation/log_prob_difference')[0]).toBeLessThan(1e-4);
  });

  it('learns the same from one update per step, whether old log-probabilities are computed or not', async () => {
    // klIn reward with β > 0 computes them; a β so small charges nothing.
    const [without, withOld] = [newRun(), newRun()];
    const options = { maxSteps: 2, warmupRatio: 0 };
    await train(method, without, { ...options, beta: 0 });
    await train(method, withOld, { ...options, beta: 1e-30, klIn: 'reward' });
    const [a, b] = [steps().slice(0, 2), steps().slice(2)];
    expect(b[0].metrics).toHaveProperty('generation/log_prob_difference');
    expect(a[0].metrics).not.toHaveProperty('generation/log_prob_difference');
    for (const [i, step] of a.entries()) {
      expect(step.loss).toBeCloseTo(b[i].loss, 5);
      expect(step.gradientNorm / b[i].gradientNorm).toBeCloseTo(1, 4);
      expect(step.metrics!.reward).toBe(b[i].metrics!.reward);
    }
  });

  it('leaves out groups without variance, and counts them', async () => {
    await train(method, newRun(), { specs: { reward: [reward('ofRed')] }, batchSize: 6, epochs: 1 });
    expect(metric('frac_reward_zero_std')).toEqual([5 / 6]);
    const result = await train(method, newRun(), { specs: { reward: [reward('nothing')] }, maxSteps: 2 });
    expect(metric('frac_reward_zero_std').slice(1)).toEqual([1, 1]);
    expect(
      steps()
        .slice(1)
        .map(({ gradientNorm }) => gradientNorm),
    ).toEqual([0, 0]);
    expect(result.tokensTrained).toBe(0);
  });

  it('needs no reference without β', async () => {
    await train(method, newRun(), { maxSteps: 1, beta: 0 });
    expect(metric('kl')).toEqual([undefined]);
  });

  it('ends beyond the KL limit, with weights from before', async () => {
    const options = { beta: 0, epochs: 60, learningRate: 0.01, klBudget: 0.5 };
    const { stopped } = await train(method, newRun(), options);
    expect(stopped).toMatch(/beyond the limit of 0.5, .*: back to the weights after \d+ steps/);
  });

  it.each([
    ['a group of one', { groupSize: 1 }, /--group-size: expected 2 or more/],
    ['the score of a rule that there is not', { missingEosScore: -5 }, /--missing-eos-score.*-5 alone/],
    ['a β that nothing adapts', { onAlarm: 'raise-beta' }, /--on-alarm: expected warn, stop or rollback/],
  ] as [string, Partial<GrpoOptions>, RegExp][])('refuses %s', async (_, options, message) => {
    await expect(train(method, newRun(), options)).rejects.toThrow(message);
  });
});

describe('grpo', () => {
  it('holds the policy near the reference by its KL in the loss', async () => {
    const kls: number[] = [];
    for (const beta of [1e-9, 1]) {
      events = [];
      await train('grpo', newRun(), { beta, epochs: 30, learningRate: 3e-3 });
      kls.push(meanOf(metric('kl').slice(-8)));
    }
    expect(kls[0]).toBeGreaterThan(4 * kls[1]);
  });

  it.each(['sequence', 'token', 'constant'] as const)(
    'masks truncated completions, mean over %s',
    async (lossMean) => {
      const { tokensTrained, tokensGenerated } = await train('grpo', newRun(), {
        lossMean,
        maskTruncated: true,
      });
      expect(metric('completions/clipped_ratio').some((share) => share > 0)).toBe(true);
      expect(tokensTrained).toBeLessThan(tokensGenerated);
    },
  );
});
