import { describe, expect, it } from 'vitest';
import type { Answer } from './answers.ts';
import { holdsCode } from './continuation.ts';
import { summarise } from './summary.ts';

const common = { prompt: 'a', text: 'b', finish: 'stop' } as const;

describe('the summary of an evaluation', () => {
  const answers: Answer[] = [
    { ...common, index: 0, tokens: 10, passed: 1, readability: 0.8, gold: 0.8, kl: 2, proxy: -1 },
    { ...common, index: 1, tokens: 30, passed: 0, readability: 0.4, gold: 0, kl: -1, proxy: 2 },
    { ...common, index: 2, tokens: 20, finish: 'length' },
    { ...common, index: 3, tokens: 7, right: 1, kl: 100 },
    { ...common, index: 4, tokens: 7, right: 0 },
  ];
  const summary = summarise(answers, ['no', 'yes', 'no']);

  it('takes each figure over the answers that have it, coaching apart', () => {
    const found = Object.entries(summary.metrics).map(([name, { value, n }]) => [name, value, n]);
    expect(found).toEqual([
      ['pass_rate', 0.5, 2],
      ['gold', 0.4, 2],
      ['readability', expect.closeTo(0.6, 12), 2],
      ['proxy', 0.5, 2],
      ['kl', 0.5, 2],
      ['length', 20, 3],
      ['eos_rate', expect.closeTo(2 / 3, 12), 3],
    ]);
    expect([summary.n, summary.tokens_generated]).toEqual([5, 74]);
  });

  it('sets right advice beside that of always giving the commonest', () => {
    expect(summary.coaching).toMatchObject({
      right: { value: 0.5, n: 2 },
      majority: { value: expect.closeTo(2 / 3, 12), n: 3 },
    });
    expect(summarise(answers.slice(0, 3), []).coaching).toBeUndefined();
  });
});

describe('a continuation', () => {
  it.each([
    'Write a function solve(text) that takes a text. It should return the first letter.',
    'Has anyone tried this? I must return it by Monday; please help.',
    'function of the heart (see below)',
    '',
  ])('holds no code in %j', (text) => {
    expect(holdsCode(text)).toBe(false);
  });

  it.each([
    'Sure:\nfunction solve(a) {',
    'const solve = (list) => list.length',
    '  return total;\n}',
    'Try function (x) { x',
  ])('holds code in %j', (text) => {
    expect(holdsCode(text)).toBe(true);
  });
});
