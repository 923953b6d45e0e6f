import { describe, expect, it } from 'vitest';
import { rewardQuality, type ScoredPair } from './reward-quality.ts';

const pair = (margin: number, longer = 0, strength?: number): ScoredPair => ({
  chosen: { score: margin, tokens: 10 + longer },
  rejected: { score: 0, tokens: 10 },
  strength,
});

describe('the quality of a reward model', () => {
  it('is the share of pairs that it orders as people did, in all and by strength', () => {
    const pairs = [pair(1, 0, 3), pair(2, 0, 3), pair(-1, 0, 1), pair(0.5, 0, 1), pair(0, 0, 1)];
    const { accuracy, accuracy_by_strength: byStrength } = rewardQuality(pairs);
    expect(accuracy).toMatchObject({ value: 3 / 5, n: 5 });
    expect(byStrength).toMatchObject({ 1: { value: 1 / 3, n: 3 }, 3: { value: 1, n: 2 } });
    expect(Object.keys(byStrength!)).toEqual(['1', '3']);
    expect(rewardQuality([pair(1)])).not.toHaveProperty('accuracy_by_strength');
  });

  it('is calibrated when the model is right as often as it is sure', () => {
    // σ(ln 3) = 0.75, and three of four are right.
    const sure = Math.log(3);
    const honest = rewardQuality([pair(sure), pair(sure), pair(sure), pair(-sure)]).calibration;
    expect(honest.ece).toBeCloseTo(0, 12);
    expect(honest.bins).toEqual([{ predicted: expect.closeTo(0.75, 12), actual: 0.75, n: 4 }]);
    // 0.75 sure and never right, 0.9 sure and always right: (0.75 + 0.1) / 2.
    const proud = rewardQuality([pair(-sure), pair(Math.log(9))]).calibration;
    expect(proud.ece).toBeCloseTo(0.425, 12);
  });

  it('tells what is left of a model that only counts tokens', () => {
    const lengths = [3, 8, 2, 5, 9, 1];
    const counting = lengths.map((longer, i) =>
      pair(2 * (i === 0 ? -longer : longer), i === 0 ? -longer : longer),
    );
    const found = rewardQuality(counting);
    expect(found.accuracy.value).toBeCloseTo(5 / 6, 12);
    expect(found.accuracy_of_length.value).toBeCloseTo(5 / 6, 12);
    expect(found.length_correlation).toMatchObject({ value: expect.closeTo(1, 12), n: 12 });
  });

  it('keeps the accuracy of a model to which length means nothing', () => {
    // The same lengths on both sides of each margin: no slope.
    const blind = [pair(1, 4), pair(1, -4), pair(-2, 4), pair(-2, -4), pair(3, 1), pair(3, -1)];
    const { accuracy, accuracy_without_length: without } = rewardQuality(blind);
    expect(without).toEqual(accuracy);
    expect(rewardQuality([pair(1), pair(2)])).not.toHaveProperty('length_correlation');
  });
});
