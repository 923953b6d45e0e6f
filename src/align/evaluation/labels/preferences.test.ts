import { describe, expect, it } from 'vitest';
import type { SampledAnswer } from './answer-log.ts';
import type { Judgement } from './comparisons.ts';
import { byPair, decide, preferenceOf, rankingOf } from './preferences.ts';

const texts = ['zero', 'one', 'two', 'three'];
const answers = texts.map(
  (text, sample): SampledAnswer => ({
    step: 1,
    index: 0,
    sample,
    text,
    ids: [10 + sample, 2],
    finish: 'stop',
    readability: 0,
  }),
);
const prompt = { ids: [5, 6], text: 'Ask', problem: 'kata-train-1-0' };
type Choice = Pick<Judgement, 'first' | 'second' | 'choice' | 'strength'>;
const judgement = (choice: Choice, who = 'usual-0'): Judgement => ({
  when: 0,
  pair: 0,
  index: 0,
  who,
  ...choice,
});
const first = { first: 0, second: 1, choice: 'first', strength: 3 } as const;
const second = { first: 0, second: 1, choice: 'second', strength: 1 } as const;
const swapped = { first: 1, second: 0, choice: 'second', strength: 2 } as const;
const tie = { first: 0, second: 1, choice: 'tie', strength: 0 } as const;
const decision = (chosen: number, rejected: number) => ({
  index: 0,
  chosen,
  rejected,
  strength: 1,
  who: 'usual-0',
});

describe('a decision', () => {
  it('is what one person says', () => {
    expect(decide([judgement(second)])).toEqual({
      index: 0,
      chosen: 1,
      rejected: 0,
      strength: 1,
      who: 'usual-0',
    });
    expect(decide([judgement(tie)])).toBeUndefined();
  });

  it('is that of the majority, wherever the answers stood, with the mean strength of those who made it', () => {
    const three = [judgement(first, 'a'), judgement(second, 'b'), judgement(swapped, 'c')];
    expect(decide(three)).toEqual({ index: 0, chosen: 0, rejected: 1, strength: 3, who: 'a, c' });
  });

  it('is none when votes are even; ties abstain', () => {
    expect(decide([judgement(first), judgement(second)])).toBeUndefined();
    expect(decide([judgement(tie), judgement(second), judgement(tie)])?.chosen).toBe(1);
  });

  it('is of one pair', () => {
    const pairs = [4, 9, 4].map((pair, when) => ({ ...judgement(first), pair, when }));
    expect(byPair(pairs).map((same) => same.map(({ when }) => when))).toEqual([[0, 2], [1]]);
  });
});

describe('a preference', () => {
  it('holds the ids as they were sampled, and the texts', () => {
    expect(preferenceOf(decision(2, 0), prompt, answers)).toEqual({
      prompt_ids: [5, 6],
      chosen_ids: [12, 2],
      rejected_ids: [10, 2],
      prompt: 'Ask',
      chosen: 'two',
      rejected: 'zero',
      strength: 1,
      problem: 'kata-train-1-0',
      annotator: 'usual-0',
    });
  });
});

describe('a ranking', () => {
  const ranked = (decisions: [number, number][], of = answers) =>
    rankingOf(
      decisions.map(([chosen, rejected]) => decision(chosen, rejected)),
      prompt,
      of,
    )?.ranked;

  it('goes from the best answer to the worst', () => {
    const decisions: [number, number][] = [
      [3, 0],
      [3, 1],
      [3, 2],
      [1, 0],
      [1, 2],
      [0, 2],
    ];
    expect(ranked(decisions)).toEqual(['three', 'one', 'zero', 'two']);
    expect(
      rankingOf(
        decisions.map(([a, b]) => decision(a, b)),
        prompt,
        answers,
      )?.ranked_ids,
    ).toEqual([
      [13, 2],
      [11, 2],
      [10, 2],
      [12, 2],
    ]);
  });

  it('leaves out what nothing puts before or behind another', () => {
    // One and two were a tie.
    const decisions: [number, number][] = [
      [3, 0],
      [3, 1],
      [3, 2],
      [1, 0],
      [2, 0],
    ];
    expect(ranked(decisions)).toEqual(['three', 'one', 'zero']);
  });

  it('is none of a circle, nor of one text', () => {
    const circle: [number, number][] = [
      [0, 1],
      [1, 2],
      [2, 0],
    ];
    expect(ranked(circle, answers.slice(0, 3))).toBeUndefined();
    expect(
      ranked(
        [],
        answers.map((each) => ({ ...each, text: 'same' })),
      ),
    ).toBeUndefined();
  });
});
