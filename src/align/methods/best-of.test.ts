import { describe, expect, it } from 'vitest';
import { pickAnswers, roundGain, type Sample } from './best-of.ts';

const sample = (prompt: number, index: number, reward: number, hasEos = true): Sample => ({
  ...{ prompt, sample: index, ids: [prompt, index], text: `${prompt}-${index}`, hasEos, reward },
});
const texts = (chosen: readonly Sample[]) => chosen.map(({ text }) => text);

describe('the choice among samples', () => {
  const first = [sample(0, 0, 1), sample(0, 1, 3), sample(1, 0, 2), sample(1, 1, 5)];
  const second = [sample(0, 2, 2), sample(0, 3, 0), sample(1, 2, 5), sample(1, 3, 9)];

  it('is the best of all rounds, not of the last', () => {
    expect(texts(pickAnswers([first], 'best', 0).chosen)).toEqual(['0-1', '1-1']);
    expect(texts(pickAnswers([first, second], 'best', 0).chosen)).toEqual(['0-1', '1-3']);
  });

  it('skips prompts whose answers have equal rewards, and answers without an end', () => {
    const same = [sample(0, 0, 4), sample(0, 1, 4)];
    const cut = [sample(1, 0, 9, false), sample(1, 1, 2), sample(1, 2, 1)];
    const unfinished = [sample(2, 0, 1, false), sample(2, 1, 2, false)];
    const alone = [sample(3, 0, 1, false), sample(3, 1, 2)];
    const { chosen, dropped } = pickAnswers([[...same, ...cut, ...unfinished, ...alone]], 'best', 0);
    expect([texts(chosen), dropped]).toEqual([['1-1'], 3]);
  });

  it('of the control is of the same prompts, blind and the same for one seed', () => {
    const many = Array.from({ length: 900 }, (_, i) => sample(Math.floor(i / 3), i % 3, i % 3));
    const dull = [sample(300, 0, 1), sample(300, 1, 1)];
    const { chosen, dropped } = pickAnswers([[...many, ...dull]], 'random', 7);
    expect([chosen.length, dropped]).toEqual([300, 1]);
    const counts = [0, 1, 2].map((index) => chosen.filter((own) => own.sample === index).length);
    for (const count of counts) expect(Math.abs(count - 100)).toBeLessThan(30);
    expect(texts(pickAnswers([many], 'random', 7).chosen)).toEqual(texts(chosen));
    expect(texts(pickAnswers([many], 'random', 8).chosen)).not.toEqual(texts(chosen));
  });
});

describe('the gain of a round', () => {
  it('is how far the best lies above the median, on average over prompts', () => {
    const samples = [
      ...[1, 2, 9].map((reward, i) => sample(0, i, reward)),
      ...[4, 0, 2, 1].map((reward, i) => sample(1, i, reward)),
    ];
    // Medians 2 and 1.5, means 4 and 1.75.
    expect(roundGain(samples)).toEqual({ mean: 2.875, median: 1.75, max: 6.5, gain: 4.75 });
  });
});
