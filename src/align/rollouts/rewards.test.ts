import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { type Model, saveModel } from '../../language/checkpoint/checkpoint.ts';
import { initialHeadWeight } from '../../language/model/scalar-head.ts';
import { trainTokenizer } from '../../language/text/train.ts';
import { saveTinyModel } from '../run/testing/tiny-run.ts';
import { sequenceScores } from '../scoring/sequences.ts';
import { loadRewards, type RewardedAnswer, type RewardSpec } from './rewards.ts';

let root: string;
let policy: Model;
let judge: Model;
let functions: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'heed-rewards-'));
  policy = await saveTinyModel(join(root, 'policy'));
  const score = initialHeadWeight(policy.config, 5);
  const parameters = new Map([...policy.parameters, ['score.weight', score]]);
  judge = { ...policy, kind: 'reward', parameters };
  await saveModel(join(root, 'judge'), judge);
  functions = join(root, 'functions.mjs');
  writeFileSync(
    functions,
    `export const letters = (answers) => answers.map(({ completion }) => completion.length);
     export const ofRow = async (answers) => answers.map(({ row }) => row.worth);
     export const missing = (answers) => answers.map(({ completion }) => completion === 'dog' ? NaN : 1);
     export const short = () => [1];
     export const broken = () => { throw new TypeError('no such thing'); };
     export const version = 3;
     let closings = 0;
     export const closed = (answers) => answers.map(() => closings);
     export const close = async () => { closings += 1; };`,
  );
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const answer = (completion: string, ids: number[], worth = 0): RewardedAnswer => ({
  prompt: 'red?',
  completion,
  row: { worth },
  tokens: {
    ids: Int32Array.from(ids),
    isTrained: Uint8Array.from(ids, (_, i) => Number(i > 0)),
    source: { file: '', line: 0 },
  },
});
const answers = [
  answer('cat', [5, 6, 7], 2),
  answer('dog', [5, 9], -1),
  answer('moonlight', [5, 6, 8, 2], 4),
];

const score = async (...specs: RewardSpec[]) => {
  const rewards = await loadRewards(specs, await openBackend({ threads: 1 }), policy);
  return [...(await rewards.score(answers))];
};
const from = (name: string) => ({ module: functions, name });

describe('rewards', () => {
  it('are functions of the text or of the row, added up by their weights', async () => {
    expect(await score(from('letters'))).toEqual([3, 3, 9]);
    expect(await score({ ...from('letters'), weight: 2 }, { ...from('ofRow'), weight: -0.5 })).toEqual([
      5, 6.5, 16,
    ]);
  });

  it('are told of the end of the run by the function close of their module', async () => {
    const rewards = await loadRewards([from('closed')], await openBackend({ threads: 1 }), policy);
    expect([...(await rewards.score(answers))]).toEqual([0, 0, 0]);
    await rewards.close();
    expect([...(await rewards.score(answers))]).toEqual([1, 1, 1]);
  });

  it('are told of it when another reward of the run cannot be loaded', async () => {
    const backend = await openBackend({ threads: 1 });
    const [closings] = await score(from('closed'));
    await expect(loadRewards([from('closed'), from('absent')], backend, policy)).rejects.toThrow('absent');
    expect((await score(from('closed')))[0]).toBe(closings + 1);
  });

  it("are a model's raw scores, or these on the scale of its statistics", async () => {
    const backend = await openBackend({ threads: 1 });
    const tokens = answers.map((each) => each.tokens);
    const raw = await sequenceScores(backend, judge, tokens, { batchTokens: 512 });
    expect(await score({ model: join(root, 'judge') })).toEqual([...raw]);
    const scaled = { ...judge, rewardStatistics: { mean: 0.5, deviation: 4 } };
    await saveModel(join(root, 'scaled'), scaled);
    expect(await score({ model: join(root, 'scaled') })).toEqual([...raw].map((r) => (r - 0.5) / 4));
  });

  it.each([
    ['missing', /reward missing of the prompt "red\?": expected a finite number, got NaN for .*"dog"/],
    ['short', /reward short: expected 3 numbers, one for each answer, got 1/],
    ['broken', /reward broken: expected numbers, got TypeError: no such thing.*functions\.mjs:5/],
    [
      'version',
      /#version: expected a module that exports this function, got one that exports letters, ofRow/,
    ],
    [
      'absent',
      /functions\.mjs#absent: expected a module that exports this function, got one that exports letters/,
    ],
  ])('name what is wrong: %s', async (name, message) => {
    await expect(score(from(name))).rejects.toThrow(message);
  });

  it('need a module that is there', async () => {
    await expect(score({ module: 'nowhere.js', name: 'f' })).rejects.toThrow(
      /reward nowhere\.js#f: expected a module that exports this function, got .*nowhere/,
    );
  });

  it('refuse a policy, and a model with another tokenizer', async () => {
    await expect(score({ model: join(root, 'policy') })).rejects.toThrow(
      /expected a reward model, got a base/,
    );
    const tokenizer = trainTokenizer(['quite another text'], { vocabularySize: 290, eos: '<|eos|>' });
    const tokenizerFiles = { 'tokenizer.json': tokenizer.toJson() as object };
    await saveModel(join(root, 'foreign'), { ...judge, tokenizerFiles });
    await expect(score({ model: join(root, 'foreign') })).rejects.toThrow(
      /foreign: expected the same tokens as --model has, got another tokenizer: its vocabulary differs/,
    );
  });

  it('asks a model that two of them name once', async () => {
    const backend = await openBackend({ threads: 1 });
    let compiled = 0;
    const compile: typeof backend.compile = (...given) => {
      compiled += 1;
      return backend.compile(...given);
    };
    const models = new Map();
    const load = (weight: number) =>
      loadRewards([{ model: join(root, 'judge'), weight }], { ...backend, compile }, policy, { models });
    const [first, second] = [await load(1), await load(2)];
    const scores = [...(await first.score(answers))];
    expect(compiled).toBeGreaterThan(0);
    const before = compiled;
    expect([...(await second.score(answers))]).toEqual(scores.map((score) => 2 * score));
    expect(compiled).toBe(before);
  });
});
