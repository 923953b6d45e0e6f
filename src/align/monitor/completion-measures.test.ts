import { describe, expect, it } from 'vitest';
import { Random } from '../../engine/random.ts';
import {
  distinctShares,
  measureCompletions,
  novelty,
  referenceNgrams,
  repetition,
} from './completion-measures.ts';

const completion = (ids: number[], hasEos = true) => ({ ids, hasEos });

describe('measures of completions', () => {
  it.each([
    ['none of a sentence without returns', [1, 2, 3, 4, 5, 6], 0],
    // 123 231 312 123 231 312 123: four of seven were there before.
    ['four of seven 3-grams of three words said three times', [1, 2, 3, 1, 2, 3, 1, 2, 3], 4 / 7],
    ['all but one of a stutter', [7, 7, 7, 7, 7, 7], 3 / 4],
    ['none where no 3-gram fits', [7, 7], 0],
  ])('finds repeated %s', (_, ids, share) => {
    expect(repetition(ids)).toBeCloseTo(share, 12);
  });

  it('takes a 4-gram that only the completion itself has for new, among the reference completions', () => {
    const known = referenceNgrams([
      completion([1, 2, 3, 4, 5]),
      completion([1, 2, 3, 4, 6]),
      completion([9, 9, 9, 9, 9]),
    ]);
    expect(novelty([1, 2, 3, 4, 5], known)).toBe(0);
    expect(novelty([1, 2, 3, 4, 5], known, { isReference: true })).toBe(1 / 2);
    expect(novelty([9, 9, 9, 9, 9], known, { isReference: true })).toBe(1);
    expect(novelty([1, 2, 3, 4, 8, 8], known)).toBe(2 / 3);
  });

  it('tells tokens apart beyond sixteen bits', () => {
    const known = referenceNgrams([completion([70_000, 1, 2, 3])]);
    expect(novelty([70_000, 1, 2, 3], known)).toBe(0);
    expect(novelty([70_000 - 65_536, 1, 2, 3], known)).toBe(1);
  });

  it('compares completions with their neighbours, four at a time', () => {
    const [a, b] = [completion([1, 2, 3]), completion([4, 5, 6])];
    expect(distinctShares([a, a, a, a])).toEqual([1 / 4]);
    expect(distinctShares([a, a, a, a, a, a, b, b, b])).toEqual([1 / 4, 1 / 2]);
    expect(distinctShares([a, b])).toEqual([1]);
    expect(distinctShares([completion([]), completion([])])).toEqual([0]);
  });

  it('averages over the completions of a batch', () => {
    const known = referenceNgrams([completion([1, 2, 3, 4])]);
    expect(
      measureCompletions([completion([1, 2, 3, 4]), completion([5, 5, 5, 5, 5, 5], false)], known),
    ).toEqual({
      length: 5,
      eos_rate: 0.5,
      repetition: 3 / 8,
      distinct_2: 4 / 8,
      novelty: 0.5,
    });
  });

  it('does not depend on how many completions there are, of one kind', () => {
    const random = new Random(1, 'testing');
    const completions = Array.from({ length: 400 }, (_, i) =>
      completion(Array.from({ length: 30 }, (_, t) => random.integer(12, i, t))),
    );
    const known = referenceNgrams(completions.slice(0, 100));
    const [few, many] = [completions.slice(100, 140), completions.slice(100)].map((all) =>
      measureCompletions(all, known),
    );
    for (const name of ['repetition', 'distinct_2', 'novelty'] as const) {
      expect(Math.abs(few[name] / many[name] - 1), name).toBeLessThan(0.1);
    }
  });

  it('refuses an empty batch', () => {
    expect(() => measureCompletions([], new Map())).toThrow('expected completions, got none');
  });
});
