import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writePreferences } from '../../../align/run/testing/tiny-comparisons.ts';
import { saveTinyModel, timelessLog, tinyConfig, trainedBytes } from '../../../align/run/testing/tiny-run.ts';
import { runHeed } from '../testing/run-heed.ts';
import { killAtStep, startHeed } from '../testing/start-heed.ts';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-comparisons-'));
  // Every sixth token ends an answer.
  const eos = [2, ...Array.from({ length: 48 }, (_, i) => 5 + 6 * i)];
  await saveTinyModel(join(folder, 'base'), tinyConfig('llama', { tokens: { pad: 0, bos: 1, eos } }));
  writePreferences(folder, 40);
  writePreferences(folder, 20, 'held-out.jsonl', 100);
  const prompts = Array.from({ length: 80 }, (_, i) => `{"prompt":"red cat ${i}?"}\n`);
  writeFileSync(join(folder, 'prompts.jsonl'), prompts.join(''));
  writeFileSync(
    join(folder, 'rewards.js'),
    'export const letters = (answers) => answers.map(({ completion }) => (completion.match(/[a-z]/g) ?? []).length);',
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const common = ['--model', 'base', '--batch-size', '4', '--threads', '2', '--save-every', '2', '--json'];
const briefly = ['--data', 'prompts.jsonl', '--template', 'none', '--max-tokens', '8'];
const methods: Record<string, string[]> = {
  reward: ['reward', '--data', 'pairs.jsonl', '--eval-data', 'held-out.jsonl', ...common],
  dpo: ['dpo', '--data', 'pairs.jsonl', ...common],
  kto: ['kto', '--data', 'pairs.jsonl', ...common],
  reject: [...['reject', ...briefly, '--reward', 'rewards.js#letters*2', '--rounds', '2', ...common]],
};

describe.each(Object.entries(methods))('heed %s', (name, words) => {
  it('killed with -9 ends as an uninterrupted run, and gives the same result', async () => {
    const whole = `${name}-whole`;
    const complete = await runHeed([...words, '--out', whole], folder);
    expect([complete.code, complete.stderr]).toEqual([0, expect.not.stringContaining('error:')]);
    const expected = JSON.parse(complete.stdout);
    const { steps } = expected;
    for (const step of [1, 2 + Math.floor(Math.random() * (steps - 3))]) {
      const killed = `${name}-killed-${step}`;
      await killAtStep(startHeed([...words, '--out', killed], folder), join(folder, killed), step);
      const { code, stdout, stderr } = await runHeed([...words, '--out', killed, '--resume'], folder);
      expect([code, stderr]).toEqual([0, expect.not.stringContaining('error:')]);
      expect(JSON.parse(stdout)).toEqual({ ...expected, model: `${killed}/model` });
      expect(trainedBytes(join(folder, killed), steps)).toEqual(trainedBytes(join(folder, whole), steps));
      expect(timelessLog(join(folder, killed))).toEqual(timelessLog(join(folder, whole)));
    }
  });
});

describe('the methods together', () => {
  it('pass a reward model on, with its scale, to rejection sampling', async () => {
    const words = ['reject', ...briefly, ...common];
    const { code, stdout } = await runHeed(
      [...words, '--reward', 'reward-whole', 'kata:readability*0.5', '--out', 'both'],
      folder,
    );
    expect(code).toBe(0);
    const { rounds, tokens_generated, tokens_trained } = JSON.parse(stdout);
    expect(rounds[0].max).toBeGreaterThan(rounds[0].median);
    expect(tokens_generated).toBe(rounds[0].tokens_generated);
    expect(tokens_trained).toBeGreaterThan(0);
  });

  it('refuse what is no reward', async () => {
    const words = ['reject', ...briefly, ...common, '--out', 'refused', '--reward'];
    const refusal = async (reward: string) => (await runHeed([...words, reward], folder)).stderr;
    expect(await refusal('kata:beauty')).toMatch(
      /--reward kata:beauty: expected kata:readability, kata:pass/,
    );
    expect(await refusal('rewards.js#letters*much')).toMatch(/expected a number after \*, got much/);
    expect(await refusal('base')).toMatch(/base: expected a reward model, got a base model/);
  });

  it('repeat a run from its recipe', async () => {
    const words = ['reject', '--config', 'reject-whole/recipe.yaml', '--out', 'again', '--json'];
    const { code, stdout } = await runHeed(words, folder);
    expect(code).toBe(0);
    const { steps } = JSON.parse(stdout);
    expect(trainedBytes(join(folder, 'again'), steps)).toEqual(
      trainedBytes(join(folder, 'reject-whole'), steps),
    );
  });
});
