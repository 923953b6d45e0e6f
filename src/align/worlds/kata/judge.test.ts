import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { codeOf } from './answer-code.ts';
import { defaultLimits, type Failure, judgeInProcess } from './judge-core.ts';
import type { KataTest } from './problem.ts';

// Threads need built modules.
const built = pathToFileURL(resolve('dist/align/worlds/kata/judge.js')).href;
const { Judge } = (await import(/* @vite-ignore */ built)) as typeof import('./judge.ts');

const addition: KataTest[] = [
  { input: [[1, 2]], expected: 3 },
  { input: [[]], expected: 0 },
  { input: [[5]], expected: 5 },
];
const right = 'function solve(list) { return list.reduce((a, b) => a + b, 0); }';

const failing: readonly [string, Failure, string][] = [
  ['stops an endless loop by its steps', 'steps', 'function solve() { while (1); }'],
  ['stops a loop that catches', 'steps', 'function solve() { for (;;) try { for (;;); } catch {} }'],
  ['stops a loop outside of solve', 'steps', `${right} while (1);`],
  ['stops a regular expression', 'steps', "function solve() { return /(a+)+b/.test('a'.repeat(50)); }"],
  ['refuses one huge allocation', 'memory', "function solve() { return 'a'.repeat(1e9); }"],
  ['sums small ones', 'memory', "function solve() { const a = []; for (;;) a.push('abc'.repeat(999)); }"],
  ['reports a syntax error', 'syntax', 'function solve(list) {'],
  ['reports deep nesting as syntax', 'syntax', '('.repeat(9000)],
  ['misses the function', 'no-function', 'const solve = 3;'],
  ['misses it in an empty answer', 'no-function', ''],
  ['reports what is thrown', 'exception', 'function solve() { throw null; }'],
  ['survives errors with traps', 'exception', 'function solve() { throw { get name() { throw 1; } }; }'],
  ['ends endless recursion', 'exception', 'function solve(list) { return solve(list) + 1; }'],
  [
    'ends native loops',
    'exception',
    'function solve() { const a = []; a.length = 4e9; return a.indexOf(1); }',
  ],
  ['has no random numbers', 'exception', 'function solve() { return Math.random(); }'],
  ['has no clock', 'exception', 'function solve() { return Date.now(); }'],
  [
    'takes no text for a number',
    'wrong',
    "function solve(list) { return '' + list.reduce((a, b) => a + b, 0); }",
  ],
  ['takes no object for a number', 'wrong', 'function solve() { return { valueOf: () => 3 }; }'],
  ['takes no promise', 'wrong', 'async function solve() { return 3; }'],
  ['takes no endless array', 'exception', 'function solve() { const a = []; a.length = 4e9; return a; }'],
  [
    'is not fooled by a changed JSON',
    'wrong',
    'JSON.stringify = () => "3"; JSON.parse = () => [[]]; function solve() { return 3; }',
  ],
  [
    'is not fooled by changed globals',
    'wrong',
    'Array.isArray = Reflect.apply = () => 3; globalThis.solve = () => 3;',
  ],
  [
    'is not fooled by prototypes',
    'wrong',
    'Object.prototype.toJSON = String.prototype.toJSON = () => 3; function solve() { return {}; }',
  ],
];

// Each does next to nothing that QuickJS counts, in one call that takes ages or in many that take long.
const hidden: readonly [string, string][] = [
  ['Array(4294967295).map((x) => x)', 'calls nothing for holes'],
  ['Array(4294967295).forEach((x) => x)', 'and returns nothing'],
  ['[1].flatMap(() => Array(4294967295))', 'an array within'],
  ['const a = []; a[4294967294] = 1; a.filter((x) => x)', 'one item after holes'],
  ['Array.prototype.some.call({ length: 2 ** 53 - 1 }, (x) => x)', 'what is no array'],
  ['[].concat(1, 2, 3, 4, Array(4294967295))', 'a late argument'],
  ['String.raw({ raw: { length: 2 ** 53 - 1 } })', 'a function that few know'],
  ["const s = 'a'.repeat(1e6); for (;;) s.toUpperCase()", 'long texts'],
  ["const s = 'a'.repeat(1e6), t = 'a'.repeat(1e6); for (;;) s === t", 'an operator'],
  ["const s = 'a'.repeat(1e6); for (;;) s.slice(1)", 'copies'],
  ['const a = [...Array(9999).keys()]; for (;;) Math.max(...a)', 'spread'],
  ['const b = 3n ** 9999n; for (;;) b * b', 'large whole numbers'],
];

describe('the judge', () => {
  it('passes a right answer and counts its tests', async () => {
    expect(await judgeInProcess({ answer: right, tests: addition })).toEqual({
      passed: true,
      passedTests: 3,
      tests: 3,
    });
  });

  it('takes arrow functions, fences and printing', async () => {
    const answer = `Here:\n\`\`\`js\nconst solve = (list) => {\n  console.log(1);\n  let sum = 0;\n  for (const n of list) sum += n;\n  return sum;\n};\n\`\`\`\nDone.`;
    expect((await judgeInProcess({ answer, tests: addition })).passed).toBe(true);
  });

  it.each(failing)('%s', async (_, failure, answer) => {
    const verdict = await judgeInProcess({ answer, tests: addition });
    expect(verdict).toMatchObject({ passed: false, tests: 3, failure });
  });

  it.each(hidden)('counts the work that is hidden in %s: %s', async (code) => {
    const request = { answer: `function solve() { ${code}; return 3; }`, tests: addition };
    const verdict = await judgeInProcess(request, { ...defaultLimits, work: 5e6 });
    expect(verdict).toEqual({ passed: false, passedTests: 0, tests: 3, failure: 'steps' });
    expect((await judgeInProcess({ answer: right, tests: addition })).passed).toBe(true);
  });

  it('ends hidden work by its usual limits, and keeps the tests that passed before', async () => {
    const answer =
      'function solve(list) { return list.length ? 3 : Array(4294967295).map((x) => x).length; }';
    const verdict = await judgeInProcess({ answer, tests: addition });
    expect(verdict).toEqual({ passed: false, passedTests: 1, tests: 3, failure: 'steps' });
  }, 60_000);

  it('lets nothing of one answer reach the next', async () => {
    await judgeInProcess({
      answer: 'Array.prototype.reduce = () => 7; var solve = () => 3;',
      tests: addition,
    });
    expect((await judgeInProcess({ answer: right, tests: addition })).passed).toBe(true);
  });

  it('counts the tests that pass', async () => {
    const verdict = await judgeInProcess({ answer: 'function solve() { return 0; }', tests: addition });
    expect(verdict).toEqual({ passed: false, passedTests: 1, tests: 3, failure: 'wrong' });
  });

  it('holds −0 for 0, compares fractions loosely, and other things exactly', async () => {
    const echo = 'function solve(x) { return x === 0 ? -0 : x; }';
    const judge = async (input: KataTest['input'][0], expected: KataTest['expected']) =>
      (await judgeInProcess({ answer: echo, tests: [{ input: [input], expected }] })).passed;
    expect(await judge(0, 0)).toBe(true);
    expect(await judge(0.1 + 0.2, 0.3)).toBe(true);
    expect(await judge(1, 1.001)).toBe(false);
    expect(await judge(['a', 'b'], ['a', 'b'])).toBe(true);
    expect(await judge(['a', 'b'], ['b', 'a'])).toBe(false);
    expect(await judge([1], 1)).toBe(false);
    expect(await judge(1, true)).toBe(false);
  });

  it('holds NaN for NaN only', async () => {
    const tests = [{ input: [1], expected: Number.NaN }];
    expect((await judgeInProcess({ answer: 'const solve = () => NaN', tests })).passed).toBe(true);
    expect((await judgeInProcess({ answer: 'const solve = () => undefined', tests })).passed).toBe(false);
    expect((await judgeInProcess({ answer: 'const solve = () => 0', tests })).passed).toBe(false);
  });

  it('passes nothing without tests', async () => {
    expect((await judgeInProcess({ answer: right, tests: [] })).passed).toBe(false);
  });
});

describe('the code of an answer', () => {
  it('is the first fence, closed or not, or else everything', () => {
    expect(codeOf('a\n```js\nb\n```\n```\nc\n```')).toBe('b\n');
    expect(codeOf('```javascript\nb')).toBe('b');
    expect(codeOf('return 1')).toBe('return 1');
  });
});

describe('the pool', () => {
  it('gives what one thread in process gives, in order', async () => {
    const requests = [...failing.map(([, , answer]) => answer), right, 'x'].map((answer) => ({
      answer,
      tests: addition,
    }));
    const judge = new Judge({ workers: 2 });
    const pooled = await judge.judge(requests);
    await judge.close();
    const alone = [];
    for (const request of requests) alone.push(await judgeInProcess(request));
    expect(pooled).toEqual(alone);
  });

  it('stops with an error, and no verdict, when the wall clock runs out', async () => {
    const judge = new Judge({ workers: 1, limits: { interrupts: 1e9, work: 2 ** 31 - 1 }, backstopMs: 300 });
    const request = { answer: 'function solve() { while (1); }', tests: addition };
    await expect(judge.judge([request])).rejects.toThrow('no verdict within 0.3 s');
    await expect(judge.judge([request])).rejects.toThrow('no verdict within 0.3 s');
  });
});
