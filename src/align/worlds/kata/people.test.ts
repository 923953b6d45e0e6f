import { describe, expect, it } from 'vitest';
import {
  type AnnotatorProfile,
  annotate,
  carefulAnnotator,
  secondsTaken,
  usualAnnotator,
} from './annotators.ts';
import {
  adviceIn,
  coach,
  describeStanding,
  drawStanding,
  isRightAdvice,
  makeCoachingRequest,
} from './coaching.ts';
import { Dice } from './dice.ts';
import { families } from './operation.ts';

const COUNT = 4000;

function judgements(changes: Partial<AnnotatorProfile>, first: number, second: number) {
  const profile = { ...carefulAnnotator, ...changes };
  return Array.from({ length: COUNT }, (_, item) =>
    annotate(profile, { seed: 1, annotator: 2 }, { item, first, second }),
  );
}
const shareOfFirst = (all: readonly { choice: string }[]) =>
  all.filter(({ choice }) => choice === 'first').length / all.length;

describe('annotators', () => {
  it('who are careful name the more readable answer, with how much it is better', () => {
    expect(judgements({}, 0.9, 0.5)[0]).toEqual({ choice: 'first', strength: 3 });
    expect(judgements({}, 0.5, 0.65)[0]).toEqual({ choice: 'second', strength: 2 });
    expect(judgements({}, 0.5, 0.52)[0]).toEqual({ choice: 'second', strength: 1 });
    expect(judgements({}, 0.5, 0.505)[0]).toEqual({ choice: 'tie', strength: 0 });
  });

  it('flip as often as told', () => {
    expect(shareOfFirst(judgements({ flipRate: 0.15 }, 0.9, 0.2))).toBeCloseTo(0.85, 1);
  });

  it('who are lazy choose by a coin', () => {
    expect(shareOfFirst(judgements({ laziness: 0.4 }, 0.2, 0.9))).toBeGreaterThan(0.17);
    expect(shareOfFirst(judgements({ laziness: 0.4 }, 0.2, 0.9))).toBeLessThan(0.23);
  });

  it('with a position bias favour what is shown first', () => {
    expect(shareOfFirst(judgements({ positionBias: 0.1, noise: 0.1 }, 0.5, 0.5))).toBeGreaterThan(0.75);
    expect(shareOfFirst(judgements({ positionBias: 0, noise: 0.1, tieWidth: 0 }, 0.5, 0.5))).toBeCloseTo(
      0.5,
      1,
    );
  });

  it('err through noise as the normal distribution says', () => {
    // Φ(1) = 0.8413
    const share = shareOfFirst(judgements({ noise: 0.1, tieWidth: 0 }, 0.6, 0.5));
    expect(share).toBeGreaterThan(0.82);
    expect(share).toBeLessThan(0.86);
  });

  it('take the time of reading both answers, now less and now more', () => {
    const take = (annotator: number, first: number, second: number) =>
      Array.from({ length: COUNT }, (_, item) =>
        secondsTaken({ seed: 1, annotator }, { item, lengths: [first, second] }),
      );
    const times = take(2, 100, 200);
    const sorted = times.toSorted((a, b) => a - b);
    // 300 characters at 15 a second and 2 s; 68.27% of a normal distribution lie within a deviation of its mean.
    expect(Math.abs(sorted[COUNT / 2] - 22)).toBeLessThan(0.6);
    const within = times.filter((time) => Math.abs(Math.log(time / 22)) < 0.4).length;
    expect(Math.abs(within / COUNT - 0.6827)).toBeLessThan(0.03);
    expect(times.every((time) => time > 0 && time === Number(time.toFixed(1)))).toBe(true);
    expect(take(2, 200, 100)).toEqual(times);
    expect(take(3, 100, 200)).not.toEqual(times);
    expect(take(2, 100, 800).every((time, i) => time > times[i])).toBe(true);
  });

  it('say what they said before their time was told', () => {
    const said = Array.from({ length: 8 }, (_, item) =>
      annotate(usualAnnotator, { seed: 1, annotator: 1 }, { item, first: 0.5, second: 0.55 }),
    );
    expect(said.map(({ choice, strength }) => `${choice} ${strength}`)).toEqual([
      ...['first 1', 'second 2', 'first 1', 'second 1', 'tie 0', 'first 1', 'tie 0', 'first 1'],
    ]);
  });

  it('say the same again, and not the same as another annotator or seed', () => {
    const say = (seed: number, annotator: number) =>
      JSON.stringify(
        Array.from({ length: 50 }, (_, item) =>
          annotate(usualAnnotator, { seed, annotator }, { item, first: 0.5, second: 0.55 }),
        ),
      );
    expect(say(1, 1)).toBe(say(1, 1));
    expect(new Set([say(1, 1), say(1, 2), say(2, 1)]).size).toBe(3);
  });
});

describe('coaching', () => {
  const record = [
    { topic: 'loops', solved: 2 },
    { topic: 'lists', solved: 4 },
    { topic: 'strings', solved: 0 },
  ] as const;

  it('starts with the weakest topic of the test, and passes with 3 of 5 in each', () => {
    expect(coach(record, ['lists', 'loops'])).toEqual({ startWith: 'loops', passes: false });
    expect(coach(record, ['lists'])).toEqual({ startWith: 'lists', passes: true });
    expect(coach([...record, { topic: 'algorithms', solved: 4 }], ['algorithms', 'lists'])).toEqual({
      startWith: 'algorithms',
      passes: true,
    });
  });

  it('has answers that no single one covers, and different records in the two parts', () => {
    const make = (split: 'train' | 'held-out') =>
      Array.from({ length: 1000 }, (_, i) => makeCoachingRequest(1, i, split, 'seen'));
    const training = make('train');
    const counts = new Map<string, number>();
    for (const { answer } of training) {
      const advice = adviceIn(answer);
      counts.set(advice, (counts.get(advice) ?? 0) + 1);
    }
    expect(Math.max(...counts.values()) / training.length).toBeLessThan(0.13);
    const yes = training.filter(({ answer }) => answer.endsWith('yes')).length;
    expect(yes / training.length).toBeCloseTo(0.5, 1);
    const seen = new Set(training.map(({ input }) => input));
    expect(make('held-out').filter(({ input }) => seen.has(input))).toEqual([]);
  });

  it('has the same two parts where there are more topics', () => {
    const dice = new Dice(1, 'requests', 0);
    const drawn = Array.from({ length: 20_000 }, () => {
      const { record, test } = drawStanding(dice, 'train', [...families, 'maps']);
      return describeStanding(record, test);
    });
    const inputs = (split: 'train' | 'held-out') =>
      new Set(Array.from({ length: 3000 }, (_, i) => makeCoachingRequest(1, i, split, 'seen').input));
    const [train, heldOut] = [inputs('train'), inputs('held-out')];
    expect(drawn.filter((input) => heldOut.has(input))).toEqual([]);
    expect(drawn.filter((input) => train.has(input)).length).toBeGreaterThan(10);
    expect(drawn.filter((input) => input.includes('maps')).length).toBeGreaterThan(100);
  });

  it('takes an answer in any case and spacing, and no other', () => {
    const request = makeCoachingRequest(1, 0, 'train', 'seen');
    expect(isRightAdvice(request, ` ${request.answer.toUpperCase()} \n\nGood luck!`)).toBe(true);
    expect(isRightAdvice(request, adviceIn(request.answer))).toBe(true);
    expect(isRightAdvice(request, 'start with: nothing\npass: yes')).toBe(false);
    expect(isRightAdvice(request, request.answer.replace(/pass: .*/, ''))).toBe(false);
  });
});
