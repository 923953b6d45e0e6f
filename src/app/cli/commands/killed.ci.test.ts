// The real program on the world kata, with the base model that ships: every method that trains, killed and resumed.

import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeMarked } from '../../../align/run/testing/tiny-comparisons.ts';
import { timelessLog, trainedBytes } from '../../../align/run/testing/tiny-run.ts';
import { writePairs } from '../../../align/worlds/kata/testing/comparisons.ts';
import { Random } from '../../../engine/random.ts';
import { runHeed } from '../testing/run-heed.ts';
import { killAtStep, startHeed } from '../testing/start-heed.ts';

const base = resolve('models/kata-base');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-killed-'));
  const pairsFile = writePairs(folder, 'train', 48);
  writeMarked(pairsFile);
  const pairs = readRows(pairsFile);
  writeRows(
    'demonstrations.jsonl',
    pairs.map(({ prompt, chosen }) => ({ prompt, completion: chosen })),
  );
  writeRows(
    'texts.jsonl',
    pairs.flatMap(({ prompt, chosen, rejected }) => [{ text: prompt + chosen }, { text: prompt + rejected }]),
  );
  // Programs but for their last characters, so that some answers come to their end.
  writeRows(
    'prompts.jsonl',
    pairs.slice(0, 16).map(({ prompt, chosen }) => ({ prompt: prompt + chosen.slice(0, -8) })),
  );
  writeFileSync(
    join(folder, 'rewards.js'),
    'export const brevity = (answers) => answers.map(({ completion }) => -completion.length / 10);',
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const readRows = (path: string): Record<'prompt' | 'chosen' | 'rejected', string>[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const writeRows = (name: string, rows: readonly object[]): void =>
  writeFileSync(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));

/** Of the weights and of the optimizer's state, which are too large to be compared as arrays. */
const trainedHashes = (run: string, lastStep: number): string[] =>
  Object.values(trainedBytes(run, lastStep)).map((bytes) => createHash('sha256').update(bytes).digest('hex'));

const answering = ['--data', 'prompts.jsonl', '--reward', 'rewards.js#brevity', '--max-tokens', '24'];
const methods: Record<string, string[]> = {
  pretrain: ['pretrain', '--data', 'texts.jsonl', '--window-length', '64', '--max-steps', '6'],
  sft: ['sft', '--data', 'demonstrations.jsonl'],
  reward: ['reward', '--data', 'train-pairs.jsonl'],
  dpo: ['dpo', '--data', 'train-pairs.jsonl'],
  kto: ['kto', '--data', 'train-pairs.jsonl'],
  'kto of single answers': ['kto', '--data', 'marked-train-pairs.jsonl'],
  reject: ['reject', ...answering, '--samples', '4', '--rounds', '3', '--epochs', '2'],
  'ppo with a value model': ['ppo', ...answering, '--epochs', '3', '--mini-batch-size', '8'],
};
const common = ['--model', base, '--batch-size', '8', '--save-every', '2', '--threads', '1', '--json'];

// Every run has six steps or more, and two are left to come.
const random = new Random(1, 'testing');
const cases = Object.entries(methods).map(([method, words], place) => ({
  ...{ method, words: [...words, ...common], step: 1 + random.integer(4, place, 0) },
}));

describe.skipIf(!existsSync(base))('on kata', () => {
  it.each(cases)(
    '$method, killed with -9 after step $step and resumed, ends as if nothing had been',
    {
      timeout: 1_200_000,
    },
    async ({ method, words, step }) => {
      const [whole, killed] = [`${method}-whole`, `${method}-killed`];
      const complete = runHeed([...words, '--out', whole], folder);
      const child = startHeed([...words, '--out', killed], folder);
      expect(await killAtStep(child, join(folder, killed), step)).toBeNull();
      const resumed = await runHeed([...words, '--out', killed, '--resume'], folder);
      expect([resumed.code, resumed.stderr]).toEqual([0, expect.not.stringContaining('error:')]);
      const { code, stdout } = await complete;
      expect(code).toBe(0);
      const expected = JSON.parse(stdout);
      expect(JSON.parse(resumed.stdout)).toEqual({ ...expected, model: `${killed}/model` });
      const [found, wanted] = [killed, whole].map((run) => join(folder, run));
      expect(trainedHashes(found, expected.steps)).toEqual(trainedHashes(wanted, expected.steps));
      expect(timelessLog(found)).toEqual(timelessLog(wanted));
    },
  );
});
