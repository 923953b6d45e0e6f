import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadModel } from '../../language/checkpoint/checkpoint.ts';
import type { RunEvent, StepEvent } from '../run/events.ts';
import {
  saveTinyModel,
  timelessLog,
  tinyConfig,
  tinyTokenizer,
  trainedBytes,
  trainingDefaults,
} from '../run/testing/tiny-run.ts';
import { type PretrainOptions, pretrain } from './pretrain.ts';

let root: string;
let corpus: string;
let runs = 0;
let events: RunEvent[];

const subjects = ['the red cat', 'the blue dog', 'the sun', 'the moon'];
const verbs = ['sings', 'sleeps', 'runs', 'falls'];
/** Each subject has one verb: after the subject nothing is left to guess. */
const sentence = (i: number) =>
  `${subjects[(i * 7) % 4]} ${verbs[(i * 7) % 4]} and ${subjects[(i * 5 + 1) % 4]} waits.`;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'heed-pretrain-'));
  await tinyTokenizer().save(join(root, 'tokenizer'));
  corpus = join(root, 'corpus.jsonl');
  const rows = Array.from({ length: 40 }, (_, i) =>
    JSON.stringify({ text: `${sentence(i)} ${sentence(i + 1)}` }),
  );
  writeFileSync(corpus, `${rows.join('\n')}\n`);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  events = [];
});

const newRun = () => join(root, `run-${runs++}`);

async function train(out: string, options: Partial<PretrainOptions> = {}, stopAfter?: number) {
  const controller = new AbortController();
  const emit = (event: RunEvent) => {
    events.push(event);
    if (event.type === 'step' && event.step === stopAfter) controller.abort();
  };
  const architecture = { family: 'llama', layers: 2, hiddenSize: 32, heads: 4, context: 64 } as const;
  const defaults: PretrainOptions = {
    ...{ ...trainingDefaults, ...architecture, windowLength: 32 },
    ...{ tokenizer: join(root, 'tokenizer'), data: [corpus], out, maxSteps: 4 },
  };
  return pretrain({ ...defaults, ...options }, { emit, signal: controller.signal });
}

const steps = () => events.filter((event): event is StepEvent => event.type === 'step');

describe('pretraining', () => {
  it.each(['llama', 'qwen2', 'qwen3', 'gpt2'] as const)(
    'starts a fresh %s at a loss of ln V',
    async (family) => {
      await train(newRun(), { family, maxSteps: 1 });
      expect(Math.abs(steps()[0].loss - Math.log(290))).toBeLessThan(0.05);
    },
  );

  it('brings the loss far below the entropy of the tokens on their own', async () => {
    const tokenizer = tinyTokenizer();
    const ids = Array.from({ length: 40 }, (_, i) =>
      tokenizer.encode(`${sentence(i)} ${sentence(i + 1)}`),
    ).flat();
    const counts = new Map<number, number>();
    for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
    const unigram = [...counts.values()].reduce(
      (sum, c) => sum - (c / ids.length) * Math.log(c / ids.length),
      0,
    );
    const options = {
      epochs: 12,
      maxSteps: undefined,
      batchSize: 16,
      microBatchTokens: 512,
      learningRate: 1e-2,
    };
    const { loss } = await train(newRun(), options);
    expect(unigram).toBeGreaterThan(2);
    expect(loss).toBeLessThan(0.35 * unigram);
  });

  it('counts each document with its EOS, and its tokens once an epoch', async () => {
    const tokenizer = tinyTokenizer();
    const lengths = Array.from({ length: 40 }, (_, i) =>
      tokenizer.encode(`${sentence(i)} ${sentence(i + 1)}`, { addSpecialTokens: true }),
    ).map((ids) => ids.length + 1);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    const windows = Math.ceil(total / 32);
    const result = await train(newRun(), { batchSize: windows, maxSteps: undefined, microBatchTokens: 4096 });
    expect(result).toMatchObject({ documents: 40, corpusTokens: total, tokens: total, steps: 1, skipped: 0 });
  });

  it('counts the rows that it sets aside, and keeps their places', async () => {
    const [file, run] = [join(root, 'faulty.jsonl'), newRun()];
    writeFileSync(file, `{"text":"the sun falls"}\n{"text":\n{"words":"a"}\n`);
    expect(await train(run, { data: [file], maxSteps: 1 })).toMatchObject({ documents: 1, faults: 2 });
    const quarantine = readFileSync(join(run, 'quarantine.jsonl'), 'utf8').trimEnd().split('\n');
    expect(quarantine.map((line) => JSON.parse(line))).toMatchObject([
      { file, line: 2, offset: 25 },
      { file, line: 3, offset: 34 },
    ]);
  });

  it.each([1, 2])('interrupted and resumed equals uninterrupted, with %i threads', async (threads) => {
    const [whole, cut] = [newRun(), newRun()];
    const options = { threads, saveEvery: 2, maxSteps: 5 };
    await train(whole, options);
    expect((await train(cut, options, 3)).outcome).toBe('interrupted');
    await train(cut, { ...options, resume: true });
    expect(trainedBytes(cut, 5)).toEqual(trainedBytes(whole, 5));
    expect(timelessLog(cut)).toEqual(timelessLog(whole));
  });

  it('goes on from a model, and keeps where it came from', async () => {
    await saveTinyModel(join(root, 'base'), tinyConfig('qwen3'));
    const run = newRun();
    await train(run, { model: join(root, 'base'), tokenizer: undefined, maxSteps: 1 });
    const { config, kind, lineage } = await loadModel(join(run, 'model'));
    expect([config.family, kind]).toEqual(['qwen3', 'base']);
    expect(lineage?.parents.map(({ name }) => name)).toEqual([join(basename(root), 'base')]);
    expect(lineage?.data.map(({ name }) => name)).toEqual([
      join(basename(dirname(corpus)), basename(corpus)),
    ]);
  });

  it('is refused when resumed on another corpus', async () => {
    const other = join(root, 'other.txt');
    writeFileSync(other, 'the sun falls. '.repeat(40));
    const run = newRun();
    await train(run, { data: [other], maxSteps: 1 });
    writeFileSync(other, 'the sun rises. '.repeat(40));
    await expect(train(run, { data: [other], maxSteps: 2, resume: true })).rejects.toThrow(
      /other\.txt: expected the file that this run began with/,
    );
  });
});
