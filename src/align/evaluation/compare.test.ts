import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer } from './answers.ts';
import { changesOf, compareEvaluations, pairUp } from './compare.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'heed-compare-'));
});
afterAll(() => rmSync(root, { recursive: true }));

/** A program's answer; gold follows from the two marks. */
function program(index: number, passed: 0 | 1, readability: number, tokens = 10): Answer {
  const gold = passed * readability;
  const common = { prompt: `request ${index}`, text: 'x', finish: 'stop', tokens } as const;
  return { index, ...common, passed, readability, gold };
}

function coached(index: number, right: 0 | 1): Answer {
  return { index, kind: 'coach', prompt: `request ${index}`, text: 'x', finish: 'stop', tokens: 500, right };
}

const before = [
  program(0, 0, 0.5),
  program(1, 1, 0.4),
  program(2, 1, 0.6),
  program(3, 1, 0.8),
  coached(4, 0),
];
const after = [
  program(0, 1, 0.3, 14),
  program(1, 1, 0.6),
  program(2, 1, 0.6),
  program(3, 0, 1),
  coached(4, 1),
];

function put(name: string, answers: readonly Answer[]): string {
  const folder = join(root, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'answers.jsonl'), answers.map((each) => `${JSON.stringify(each)}\n`).join(''));
  return folder;
}

describe('comparing evaluations', () => {
  it('gives changes by hand-counted pairs, coaching apart from the rest', async () => {
    const [evals, baseline] = [put('after', after), put('before', before)];
    const { comparisons } = await compareEvaluations({ evals: [evals], baseline });
    const [{ n, changes }] = comparisons;
    expect(n).toBe(5);
    // One gained and one lost; gold +0.3, +0.2, 0, −0.8; two won, one tie, one lost.
    expect(changes.pass_rate).toMatchObject({ value: 0, n: 4 });
    expect(changes.gold).toMatchObject({ value: expect.closeTo(-0.075, 12), n: 4 });
    expect(changes.win_rate).toMatchObject({ value: 0.625, n: 4 });
    // Only problems 1 and 2 are passed by both.
    expect(changes.readability).toMatchObject({ value: expect.closeTo(0.1, 12), n: 2 });
    expect(changes.length).toMatchObject({ value: 1, n: 4 });
    expect(changes.coaching).toMatchObject({ value: 1, n: 1 });
    expect(Object.keys(changes)).not.toContain('kl');
  });

  it('finds no change of an evaluation from itself', () => {
    const pairs = pairUp({ folder: 'a', answers: after }, { folder: 'a', answers: [...after].reverse() });
    const values = Object.entries(changesOf(pairs)).map(([name, { value }]) => [name, value]);
    expect(Object.fromEntries(values)).toEqual({
      ...{ pass_rate: 0, gold: 0, win_rate: 0.5, readability: 0, length: 0, eos_rate: 0, coaching: 0 },
    });
  });

  it.each([
    [
      'another request',
      [...before.slice(0, 4), { ...before[4], prompt: 'other' }],
      /another request at index 4/,
    ],
    ['one more', [...before, program(5, 1, 1)], /a request at index 5, which the latter lacks/],
    ['one less', before.slice(1), /got 4 answers for 5\. Try evaluating both on the same --data/],
  ])('refuses answers to %s', (_, answers, message) => {
    const pair = () => pairUp({ folder: 'runs/a', answers }, { folder: 'runs/b', answers: before });
    expect(pair).toThrow(/^runs\/a: expected answers to the requests of runs\/b, got /);
    expect(pair).toThrow(message);
  });

  it('names a folder that holds no evaluation, and a broken line', async () => {
    mkdirSync(join(root, 'empty'));
    await expect(compareEvaluations({ evals: [], baseline: join(root, 'empty') })).rejects.toThrow(
      /a folder that heed eval wrote/,
    );
    await expect(compareEvaluations({ evals: [], baseline: join(root, 'nowhere') })).rejects.toThrow(
      /expected a folder, got nothing/,
    );
    const broken = put('broken', before.slice(0, 1));
    writeFileSync(join(broken, 'answers.jsonl'), `${JSON.stringify(before[0])}\n{"index":\n`);
    await expect(compareEvaluations({ evals: [], baseline: broken })).rejects.toThrow(
      /answers\.jsonl:2: expected an answer/,
    );
  });
});
