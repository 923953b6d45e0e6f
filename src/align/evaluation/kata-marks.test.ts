import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Dice, makeCoachingRequest, makeProblem, readability, solution } from '../worlds/kata/index.ts';

// The judge's threads need built modules.
const built = pathToFileURL(resolve('dist/align/evaluation/kata-marks.js')).href;
const { markKata } = (await import(/* @vite-ignore */ built)) as typeof import('./kata-marks.ts');

const source = { file: 'held-out.jsonl', line: 7 };
const problem = makeProblem(1, 2, 'held-out');
const right = solution(problem.composition, 'clear', new Dice(1, 'solutions', 0));
const { answer: advice } = makeCoachingRequest(1, 0, 'held-out', 'held-out');
const coaching = { kind: 'coach', answer: advice };

describe('the marks of the world kata', () => {
  it('are tests and criterion for programs, the right advice for coaching, none for the rest', async () => {
    const rows = [
      { text: right, row: { problem: problem.id } },
      { text: 'Good luck with it!', row: {} },
      { text: `${right}\nsolve = null;`, row: { problem: problem.id } },
      { text: advice.toUpperCase(), row: coaching },
      { text: 'start with: luck\npass: yes', row: coaching },
    ];
    const marks = await markKata(
      rows.map((each) => ({ ...each, source })),
      1,
    );
    const quality = readability(right);
    expect(quality).toBeGreaterThan(0.7);
    expect(marks).toEqual([
      { passed: 1, readability: quality, gold: quality },
      {},
      { passed: 0, readability: expect.any(Number), gold: 0 },
      { right: 1 },
      { right: 0 },
    ]);
    expect(marks[2].readability).toBeGreaterThan(0.5);
  });

  it('refuse a problem of another world by its line, and data without any', async () => {
    const foreign = markKata([{ text: '', row: { problem: 'leetcode-1' }, source }], 1);
    await expect(foreign).rejects.toThrow(
      'held-out.jsonl:7: expected a problem of the world kata, got "leetcode-1".',
    );
    const none = markKata([{ text: '', row: { instruction: 'Say hi' }, source }], 1);
    await expect(none).rejects.toThrow(/--world kata: expected rows with a problem, .* got neither/);
  });
});
