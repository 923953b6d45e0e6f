// Reward models and DPO on programs of kata, with the base model that ships: 50 updates on the judgements of simulated
// annotators, who err as people do.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderAlpacaPrompt } from '../data/template.ts';
import type { RunEvent, StepEvent } from '../run/events.ts';
import { trainingDefaults } from '../run/testing/tiny-run.ts';
import {
  annotate,
  makeRequest,
  readability,
  type Split,
  styles,
  usualAnnotator,
} from '../worlds/kata/index.ts';
import { dpo } from './dpo.ts';
import { reward } from './reward.ts';

const base = 'models/kata-base';
let root: string;
let training: string;
let heldOut: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'heed-kata-'));
  training = writePairs('train', 400);
  heldOut = writePairs('held-out', 120);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Two programs for one request, in different styles, and which of them somebody found the more readable. */
function pairOf(index: number, split: Split): object | undefined {
  const wording = split === 'train' ? 'seen' : 'held-out';
  const inStyle = (n: number) =>
    makeRequest(11, index, {
      ...{ split, wording, kinds: { program: 1 }, koreanShare: 0 },
      style: styles[n % styles.length],
    });
  const [first, second] = [inStyle(index), inStyle(index + 1 + (index % 5))];
  const shown = { item: index, first: readability(first.answer), second: readability(second.answer) };
  const { choice, strength } = annotate(usualAnnotator, { seed: 11, annotator: 0 }, shown);
  if (choice === 'tie' || first.answer === second.answer) return undefined;
  const [chosen, rejected] = choice === 'first' ? [first, second] : [second, first];
  const prompt = renderAlpacaPrompt({ instruction: first.instruction });
  return { prompt, chosen: chosen.answer, rejected: rejected.answer, strength };
}

function writePairs(split: Split, count: number): string {
  const rows: object[] = [];
  for (let index = 0; rows.length < count; index++) {
    const row = pairOf(index, split);
    if (row) rows.push(row);
  }
  const path = join(root, `${split}.jsonl`);
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return path;
}

const events: StepEvent[] = [];
const context = () => ({
  emit(event: RunEvent) {
    if (event.type === 'step') events.push(event);
  },
  signal: new AbortController().signal,
});
const options = (out: string) => ({
  ...{ ...trainingDefaults, threads: 2, batchSize: 8, microBatchTokens: 4096, truncation: 'drop' as const },
  ...{ model: base, data: [training], out: join(root, out) },
});

/** Of the last ten of fifty updates. */
function lastAccuracy(): number {
  expect(events).toHaveLength(50);
  const last = events.splice(0).slice(-10);
  return last.reduce((sum, { metrics }) => sum + metrics!['rewards/accuracies'] / 10, 0);
}

describe.skipIf(!existsSync(base))('after 50 updates from the base model of kata', () => {
  it('a reward model orders over 60% of the pairs as people did, and of held-out ones too', {
    timeout: 600_000,
  }, async () => {
    const settings = { loss: 'bradley-terry', margin: 0, centering: 0, evalData: [heldOut] } as const;
    const { quality } = await reward(
      { ...options('reward'), ...settings, evalData: [heldOut], learningRate: 3e-4 },
      context(),
    );
    expect(lastAccuracy()).toBeGreaterThan(0.6);
    expect(quality!.accuracy!.low).toBeGreaterThan(0.6);
    const told = JSON.parse(readFileSync(join(root, 'reward', 'quality.json'), 'utf8'));
    expect(told.accuracy_by_strength['3'].value).toBeGreaterThan(told.accuracy_by_strength['1'].value);
  });

  it('DPO prefers over 60% of the chosen answers', { timeout: 600_000 }, async () => {
    const settings = { loss: 'dpo', labelSmoothing: 0, targetMargin: 1, likelihoodWeight: 0 } as const;
    await dpo({ ...options('dpo'), ...settings, learningRate: 1e-4 }, context());
    expect(Math.abs(events[0].loss - Math.LN2)).toBeLessThan(1e-4);
    expect(lastAccuracy()).toBeGreaterThan(0.6);
  });
});
