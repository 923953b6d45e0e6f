// Every loss that learns from comparisons, on the world kata with the base model that ships: 50 updates on the judgements
// of simulated people, who err as people do.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PreferenceLossKind, preferenceLossKinds } from '../objectives/preference.ts';
import type { RunEvent, StepEvent } from '../run/events.ts';
import { writeMarked } from '../run/testing/tiny-comparisons.ts';
import { trainingDefaults } from '../run/testing/tiny-run.ts';
import { writePairs, writeRankings } from '../worlds/kata/testing/comparisons.ts';
import { dpo } from './dpo.ts';
import { kto } from './kto.ts';
import { type RewardOptions, type RewardResult, reward } from './reward.ts';
import { rewardLossKinds } from './reward-objective.ts';

const base = 'models/kata-base';
const [updates, batchSize] = [50, 4];
let root: string;
let pairs: string;
let rankings: string;
let heldOut: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'heed-kata-'));
  // One pass, so that every comparison is new when it is met.
  pairs = writePairs(root, 'train', updates * batchSize);
  rankings = writeRankings(root, updates * batchSize);
  heldOut = writePairs(root, 'held-out', 120);
}, 600_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

let events: StepEvent[];
function context() {
  events = [];
  const emit = (event: RunEvent) => {
    if (event.type === 'step') events.push(event);
  };
  return { emit, signal: new AbortController().signal };
}

const options = (out: string) => ({
  ...{ ...trainingDefaults, threads: 2, batchSize, microBatchTokens: 4096, truncation: 'drop' as const },
  ...{ model: base, out: join(root, out) },
});

function trainReward(loss: RewardOptions['loss'], data: string, evalData?: string[]): Promise<RewardResult> {
  // The command's own default, for every loss: a head that starts at random has further to go than a policy.
  const settings = { margin: 0, centering: 0, learningRate: 3e-4 };
  return reward({ ...options(loss), ...settings, loss, data: [data], evalData }, context());
}

/** Of the last ten updates. */
function lastAccuracy(): number {
  expect(events).toHaveLength(updates);
  return events.slice(-10).reduce((sum, { metrics }) => sum + metrics!['rewards/accuracies'] / 10, 0);
}

describe.skipIf(!existsSync(base))('after 50 updates from the base model of kata', () => {
  it('a reward model of pairs orders over 60% of them as people did, and of held-out ones too', {
    timeout: 600_000,
  }, async () => {
    const { quality } = await trainReward('bradley-terry', pairs, [heldOut]);
    expect(lastAccuracy()).toBeGreaterThan(0.6);
    expect(quality!.accuracy!.low).toBeGreaterThan(0.6);
    const told = JSON.parse(readFileSync(join(root, 'bradley-terry', 'quality.json'), 'utf8'));
    expect(told.accuracy_by_strength['3'].value).toBeGreaterThan(told.accuracy_by_strength['1'].value);
  });

  it.each(rewardLossKinds.filter((loss) => loss !== 'bradley-terry'))(
    'a reward model by %s of rankings of three orders over 60% of their pairs as people did',
    { timeout: 600_000 },
    async (loss) => {
      await trainReward(loss, rankings);
      expect(lastAccuracy()).toBeGreaterThan(0.6);
    },
  );

  /** While the policy is its own reference. */
  const firstLosses: Partial<Record<PreferenceLossKind | 'kto', number>> = {
    ...{ dpo: Math.LN2, cdpo: Math.LN2, robust: Math.LN2, hinge: 1, kto: 0.5, ipo_sum: 25, ipo_mean: 25 },
  };

  /** The command's own defaults, for every loss: AdamW divides by the gradient's size, in which the losses differ. */
  const settings = { labelSmoothing: 0.1, targetMargin: 1, likelihoodWeight: 0, learningRate: 1e-4 };
  const ktoSettings = { beta: 0.1, desirableWeight: 1, undesirableWeight: 1, learningRate: 1e-4 };

  // For KTO, too: the implicit reward of the answer marked good is above that of the other.
  it.each([...preferenceLossKinds, 'kto'] as const)(
    'a policy by %s prefers over 60% of the chosen answers',
    {
      timeout: 600_000,
    },
    async (loss) => {
      const data = [pairs];
      if (loss === 'kto') await kto({ ...options(loss), ...ktoSettings, data }, context());
      else await dpo({ ...options(loss), ...settings, loss, data }, context());
      const first = firstLosses[loss] ?? events[0].loss;
      expect(Math.abs(events[0].loss - first)).toBeLessThan(1e-4 * Math.max(1, first));
      expect(lastAccuracy()).toBeGreaterThan(0.6);
    },
  );

  it('a policy by kto of single answers gives the good ones more than the bad ones', {
    timeout: 600_000,
  }, async () => {
    const data = [writeMarked(pairs)];
    await kto({ ...options('kto-single'), ...ktoSettings, data }, context());
    expect(Math.abs(events[0].loss - 0.5)).toBeLessThan(1e-4);
    const mean = (of: (event: StepEvent) => number | number[]) => {
      const values = events.slice(-10).flatMap(of);
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    };
    expect(events).toHaveLength(updates);
    expect(mean(({ loss }) => loss)).toBeLessThan(0.49);
    // Of the steps that have both.
    expect(mean(({ metrics }) => metrics!['rewards/margins'] ?? [])).toBeGreaterThan(0.1);
  });
});
