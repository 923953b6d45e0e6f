import { describe, expect, it } from 'vitest';
import { carefulAnnotator } from '../../worlds/kata/annotators.ts';
import type { SampledAnswer } from './answer-log.ts';
import { comparablePairs, type Judgement, judge, type Study } from './comparisons.ts';

const answer = (index: number, sample: number, readability: number, text = `${sample}`): SampledAnswer => ({
  step: 1,
  index,
  sample,
  text,
  ids: [sample],
  finish: 'stop',
  readability,
});
/** Four answers a prompt; the later the sample, the better. */
const prompts = Array.from({ length: 500 }, (_, index) =>
  [0.2, 0.4, 0.6, 0.8].map((readability, sample) => answer(index, sample, readability)),
);
const study = (changes: Partial<Study> = {}): Study => ({
  seed: 1,
  profile: carefulAnnotator,
  name: 'careful',
  people: 1,
  overlap: 0.2,
  ...changes,
});
const all = (changes: Partial<Study> = {}) => [...judge(prompts, study(changes))];
const better = ({ first, second, choice }: Judgement) => (choice === 'first' ? first : second);
const share = (judgements: readonly Judgement[], holds: (judgement: Judgement) => boolean) =>
  judgements.filter(holds).length / judgements.length;
const judgementsOfPairs = (judgements: readonly Judgement[]) => {
  const counts = new Map<number, number>();
  for (const { pair } of judgements) counts.set(pair, (counts.get(pair) ?? 0) + 1);
  return counts;
};

describe('judgements', () => {
  it('are one of each pair, numbered from 0, and name the more readable answer', () => {
    const judgements = all();
    expect(judgements).toHaveLength(500 * 6);
    expect(judgements.map(({ when }) => when)).toEqual(judgements.map((_, i) => i));
    expect(judgementsOfPairs(judgements).size).toBe(3000);
    expect(share(judgements, (each) => better(each) === Math.max(each.first, each.second))).toBe(1);
    expect(judgements[0].who).toBe('careful-0');
  });

  it('are blind: either answer of a pair stands first as often', () => {
    expect(share(all(), ({ first, second }) => first < second)).toBeCloseTo(0.5, 1);
  });

  it('are of as many pairs as told, each pair as often as another', () => {
    const judgements = all({ pairs: 2 });
    expect(judgements).toHaveLength(1000);
    for (const index of [0, 7]) {
      const pairs = judgements.filter((each) => each.index === index).map(({ pair }) => pair);
      expect(new Set(pairs).size).toBe(2);
    }
    const byPlace = Array.from({ length: 6 }, (_, place) =>
      share(judgements, ({ pair }) => pair % 6 === place),
    );
    for (const each of byPlace) expect(Math.abs(each - 1 / 6)).toBeLessThan(0.05);
  });

  it('of several people share a part of the pairs, which all judge, each by their own order', () => {
    const judgements = all({ people: 3, overlap: 0.25 });
    const counts = [...judgementsOfPairs(judgements).values()];
    expect(new Set(counts)).toEqual(new Set([1, 3]));
    expect(counts.filter((count) => count === 3).length / 3000).toBeCloseTo(0.25, 1);
    const people = [0, 1, 2].map((person) => share(judgements, ({ who }) => who === `careful-${person}`));
    for (const each of people) expect(Math.abs(each - 1 / 3)).toBeLessThan(0.05);
    const isSwapped = ({ first, second }: Judgement) => first > second;
    const shared = judgements.filter(
      ({ pair }) => judgementsOfPairs(judgements.slice(0, 60)).get(pair) === 3,
    );
    expect(new Set(shared.map(isSwapped)).size).toBe(2);
    expect(judgementsOfPairs(all({ people: 2, overlap: 1 })).get(17)).toBe(2);
  });

  it('are the same again, and others for another seed', () => {
    const noisy = { profile: { ...carefulAnnotator, flipRate: 0.5 } };
    expect(all(noisy)).toEqual(all(noisy));
    expect(all({ ...noisy, seed: 2 })).not.toEqual(all(noisy));
  });

  it('flip as often as told, whatever stands first', () => {
    const judgements = all({ profile: { ...carefulAnnotator, flipRate: 0.15 } });
    const isWrong = (each: Judgement) => better(each) === Math.min(each.first, each.second);
    expect(Math.abs(share(judgements, isWrong) - 0.15)).toBeLessThan(0.02);
    const inOrder = judgements.filter(({ first, second }) => first < second);
    expect(Math.abs(share(inOrder, isWrong) - 0.15)).toBeLessThan(0.03);
  });

  it('never compare a text with itself, nor a pair of texts twice', () => {
    const answers = ['a', 'b', 'a', 'c', 'b'].map((text, i) => answer(0, i, 0.5, text));
    expect(comparablePairs(answers).map(([a, b]) => [a, b])).toEqual([
      [0, 1],
      [0, 3],
      [1, 3],
    ]);
    const same = ['a', 'a'].map((text, i) => answer(0, i, 0.5, text));
    expect([...judge([same], study())]).toEqual([]);
  });
});
