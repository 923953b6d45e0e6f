import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadModel } from '../../language/checkpoint/checkpoint.ts';
import { fromStored } from '../../language/stored-names.ts';
import type { RunEvent, StepEvent } from '../run/events.ts';
import {
  saveTinyModel,
  timelessLog,
  tinyConfig,
  tinyTokenizer,
  trainedBytes,
  trainingDefaults,
} from '../run/testing/tiny-run.ts';
import type { Sample } from './best-of.ts';
import { type RejectOptions, type RejectResult, reject } from './reject.ts';

let root: string;
let prompts: string;
let rewards: string;
let runs = 0;
let events: RunEvent[];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'heed-reject-'));
  // A random model would end its answers once in 290 tokens; every sixth token ends one here.
  const eos = [2, ...Array.from({ length: 48 }, (_, i) => 5 + 6 * i)];
  await saveTinyModel(join(root, 'base'), tinyConfig('llama', { tokens: { pad: 0, bos: 1, eos } }));
  prompts = join(root, 'prompts.jsonl');
  const rows = Array.from({ length: 70 }, (_, i) => ({ prompt: `red cat ${i}?`, wanted: i % 2 }));
  writeFileSync(prompts, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  rewards = join(root, 'rewards.mjs');
  writeFileSync(
    rewards,
    `export const vowels = (answers) => answers.map(({ completion }) => (completion.match(/[aeiou]/g) ?? []).length);
     export const ofRow = (answers) => answers.map(({ row }) => row.wanted);
     import { appendFileSync } from 'node:fs';
     export const close = () => appendFileSync(new URL('closed', import.meta.url), 'x');`,
  );
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  events = [];
});

const newRun = () => join(root, `run-${runs++}`);
const defaults = (): RejectOptions => ({
  ...{ ...trainingDefaults, batchSize: 16, microBatchTokens: 256 },
  ...{ model: join(root, 'base'), data: [prompts], template: 'none', out: '', reward: ['vowels'] },
  ...{ samples: 3, rounds: 2, temperature: 1, maxTokens: 8, generationBatchSize: 32, pick: 'best' },
});

/** @param stopWhen aborts when it hears such an event */
async function train(
  out: string,
  options: Partial<RejectOptions> = {},
  stopWhen: (event: RunEvent) => boolean = () => false,
): Promise<RejectResult> {
  const controller = new AbortController();
  const emit = (event: RunEvent) => {
    events.push(event);
    if (stopWhen(event)) controller.abort();
  };
  const specs = [{ module: rewards, name: options.reward?.[0] ?? 'vowels' }];
  return reject({ ...defaults(), ...options, out, specs }, { emit, signal: controller.signal });
}

const samplesOf = (run: string, round: number): Sample[] =>
  readFileSync(join(run, 'samples', `round-${round}.jsonl`), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => fromStored(JSON.parse(line)) as Sample);
const steps = () => events.filter((event): event is StepEvent => event.type === 'step');

describe('rejection sampling', () => {
  it('tells what each round sampled, chose and generated, as its files have it', async () => {
    const run = newRun();
    const { rounds, tokensGenerated, tokensTrained, klBound, steps: updates } = await train(run);
    expect(rounds.map(({ round }) => round)).toEqual([1, 2]);
    expect(klBound).toBeCloseTo(Math.log(3) - 2 / 3, 12);
    const all = [samplesOf(run, 1), samplesOf(run, 2)];
    expect(all.map((samples) => samples.length)).toEqual([210, 210]);
    expect(tokensGenerated).toBe(all.flat().reduce((sum, { ids }) => sum + ids.length, 0));
    expect(tokensTrained).toBeGreaterThan(0);
    rounds.forEach(({ chosen, dropped, picked, finished }, round) => {
      const known = all.slice(0, round + 1).flat();
      const best = Array.from({ length: 70 }, (_, prompt) => {
        const own = known.filter((sample) => sample.prompt === prompt && sample.hasEos);
        const values = own.map(({ reward }) => reward);
        return new Set(values).size > 1 ? Math.max(...values) : undefined;
      }).filter((value) => value !== undefined);
      expect([chosen, dropped]).toEqual([best.length, 70 - best.length]);
      expect(picked).toBeCloseTo(best.reduce((sum, value) => sum + value, 0) / best.length, 12);
      expect(finished).toBe(all[round].filter(({ hasEos }) => hasEos).length / 210);
    });
    expect(rounds.map(({ chosen }) => Math.ceil(chosen / 16)).reduce((a, b) => a + b, 0)).toBe(updates);
    for (const { text, ids, hasEos } of all[0].slice(0, 20)) {
      expect(text).toBe(tinyTokenizer().decode(hasEos ? ids.slice(0, -1) : ids, { skipSpecial: true }));
    }
    expect((await loadModel(join(run, 'model'))).kind).toBe('policy');
  });

  it('picks answers of more reward than the control, which samples the same', async () => {
    const [best, random] = [newRun(), newRun()];
    const found = await train(best, { rounds: 1 });
    const control = await train(random, { rounds: 1, pick: 'random' });
    expect(samplesOf(random, 1)).toEqual(samplesOf(best, 1));
    expect(control.rounds[0]).toEqual({ ...found.rounds[0], picked: control.rounds[0].picked });
    expect(found.rounds[0].picked).toBeGreaterThan(control.rounds[0].picked + 0.3);
    expect(control.steps).toBe(found.steps);
  });

  it('begins each round with its own schedule, and says its figures there', async () => {
    await train(newRun(), { warmupRatio: 0 });
    const begins = steps().filter(({ metrics }) => metrics?.['objective/scores'] !== undefined);
    expect(begins.map(({ metrics }) => metrics?.round)).toEqual([1, 2]);
    expect(begins.map(({ learningRate }) => learningRate)).toEqual([3e-3, 3e-3]);
    expect(steps().at(-1)!.epoch).toBeGreaterThanOrEqual(2);
  });

  it('closes its rewards, also when it fails', async () => {
    const closings = () => (existsSync(join(root, 'closed')) ? readFileSync(join(root, 'closed')).length : 0);
    const before = closings();
    await train(newRun(), { rounds: 1 });
    await expect(train(newRun(), { reward: ['ofRow'] })).rejects.toThrow('round 1');
    expect(closings()).toBe(before + 2);
  });

  it('refuses prompts whose answers are all worth the same', async () => {
    await expect(train(newRun(), { reward: ['ofRow'] })).rejects.toThrow(
      /round 1: expected prompts with two finished answers of different rewards, got none \(\d+% of the answers/,
    );
  });
});

describe('a resumed run of rejection sampling equals an uninterrupted one', () => {
  const options = { saveEvery: 2 };
  let whole: string;
  let lastStep: number;
  beforeAll(async () => {
    whole = newRun();
    lastStep = (await train(whole, options)).steps;
  });

  async function expectSame(run: string): Promise<void> {
    const result = await train(run, { ...options, resume: true });
    expect(result.outcome).toBe('done');
    expect(trainedBytes(run, lastStep)).toEqual(trainedBytes(whole, lastStep));
    expect(timelessLog(run)).toEqual(timelessLog(whole));
    for (const round of [1, 2]) expect(samplesOf(run, round)).toEqual(samplesOf(whole, round));
  }

  it.each([1, 2, 3, 4, 5, 6])('when it stops after step %i', async (step) => {
    const run = newRun();
    await train(run, options, (event) => event.type === 'step' && event.step === step);
    await expectSame(run);
  });

  it('when it stops before the first answer', async () => {
    const run = newRun();
    const { outcome, steps: done } = await train(run, options, ({ type }) => type === 'started');
    expect([outcome, done]).toEqual(['interrupted', 0]);
    await expectSame(run);
  });

  it('when it died in the middle of writing a chunk of samples', async () => {
    const run = newRun();
    await train(run, options, ({ type }) => type === 'started');
    const file = join(run, 'samples', 'round-1.jsonl');
    const lines = readFileSync(join(whole, 'samples', 'round-1.jsonl'), 'utf8').split('\n');
    // A whole chunk of 64 prompts, and a half of the next.
    appendFileSync(file, `${lines.slice(0, 64 * 3 + 5).join('\n')}\n{"prompt":`);
    await expectSame(run);
  });

  it('unless the samples that it learnt from are gone', async () => {
    const run = newRun();
    await train(run, options, (event) => event.type === 'step' && event.step === 2);
    truncateSync(join(run, 'samples', 'round-1.jsonl'), 1000);
    await expect(train(run, { ...options, resume: true })).rejects.toThrow(
      /round-1\.jsonl: expected the 210 samples that the run has learnt from, got 0/,
    );
  });
});
