// What a study of labels says about itself: how much was labelled, how well people agree with each other and with the
// criterion that they are simulated from, and what the side on which an answer stood did to its chances.

import { type Interval, shareInterval } from '../../scoring/intervals.ts';
import type { SampledAnswer } from './answer-log.ts';
import type { Judgement, Study } from './comparisons.ts';
import { byPair, type Decision, winnerOf } from './preferences.ts';

export interface LabelReport {
  annotators: {
    name: string;
    people: number;
    overlap: number;
    noise: number;
    flip_rate: number;
    position_bias: number;
    laziness: number;
    tie_width: number;
  };
  counts: {
    prompts: number;
    /** Rows without a prompt that can be answered. */
    faults: number;
    answers: number;
    /** Pairs that were judged. */
    pairs: number;
    /** Pairs that were not, because the same text stands in another. */
    repeated_pairs: number;
    judgements: number;
    /** Pairs that were decided. */
    preferences: number;
    rankings: number;
  };
  /** Shares, with intervals that take judgements for independent; absent where there is nothing to count. */
  shares: {
    /** Of judgements that say which: as the criterion says. */
    agree_with_criterion?: Interval;
    /** Of decided pairs: the same. */
    right_preferences?: Interval;
    /** Of two people's judgements of one pair: equal, ties counted as an answer. */
    agree_with_each_other?: Interval;
    ties?: Interval;
    /** Of judgements that say which: the answer shown first. */
    first_shown?: Interval;
  };
  /** Of a judgement, simulated; absent in reports of older versions. */
  median_seconds?: number;
  /** Decided pairs by strength, 1 slightly … 3 much better. */
  strengths: Record<1 | 2 | 3, number>;
  /** Mean criterion. */
  readability: { answers: number; chosen?: number; rejected?: number };
  /** Of all answers, end-of-text tokens included. */
  tokens_generated: number;
}

/** What the report is made from. */
export interface Labelled {
  /** Answers by prompt. */
  prompts: readonly (readonly SampledAnswer[])[];
  judgements: readonly Judgement[];
  decisions: readonly Decision[];
  repeatedPairs: number;
  rankings: number;
  faults: number;
}

export function reportLabels(study: Study, labelled: Labelled): LabelReport {
  const { prompts, judgements, decisions } = labelled;
  const answers = prompts.flat();
  const criterion = (index: number, sample: number) => prompts[index][sample].readability;
  return {
    annotators: describePeople(study),
    counts: {
      prompts: prompts.length,
      faults: labelled.faults,
      answers: answers.length,
      pairs: byPair(judgements).length,
      repeated_pairs: labelled.repeatedPairs,
      judgements: judgements.length,
      preferences: decisions.length,
      rankings: labelled.rankings,
    },
    shares: sharesOf(judgements, decisions, criterion),
    median_seconds: median(judgements.flatMap(({ seconds }) => seconds ?? [])),
    strengths: countStrengths(decisions),
    readability: {
      answers: mean(answers.map(({ readability }) => readability))!,
      chosen: mean(decisions.map(({ index, chosen }) => criterion(index, chosen))),
      rejected: mean(decisions.map(({ index, rejected }) => criterion(index, rejected))),
    },
    tokens_generated: answers.reduce((sum, { ids }) => sum + ids.length, 0),
  };
}

function describePeople({ name, people, overlap, profile }: Study): LabelReport['annotators'] {
  const { noise, flipRate, positionBias, laziness, tieWidth } = profile;
  return {
    name,
    people,
    overlap: people === 1 ? 0 : overlap,
    noise,
    flip_rate: flipRate,
    position_bias: positionBias,
    laziness,
    tie_width: tieWidth,
  };
}

type Criterion = (index: number, sample: number) => number;

function sharesOf(
  judgements: readonly Judgement[],
  decisions: readonly Decision[],
  criterion: Criterion,
): LabelReport['shares'] {
  const decided = judgements.filter(({ choice }) => choice !== 'tie');
  const choices = decided.map((judgement) => {
    const { index, first, second } = judgement;
    const chosen = winnerOf(judgement)!;
    return { index, chosen, rejected: chosen === first ? second : first };
  });
  const couples = byPair(judgements).flatMap(couplesOf);
  return {
    agree_with_criterion: shareRight(choices, criterion),
    right_preferences: shareRight(decisions, criterion),
    agree_with_each_other: share(couples, ([one, other]) => winnerOf(one) === winnerOf(other)),
    ties: share(judgements, ({ choice }) => choice === 'tie'),
    first_shown: share(decided, ({ choice }) => choice === 'first'),
  };
}

/** Where the criterion has an opinion. */
function shareRight(
  choices: readonly Pick<Decision, 'index' | 'chosen' | 'rejected'>[],
  criterion: Criterion,
): Interval | undefined {
  const differences = choices.map(
    ({ index, chosen, rejected }) => criterion(index, chosen) - criterion(index, rejected),
  );
  return share(
    differences.filter((difference) => difference !== 0),
    (difference) => difference > 0,
  );
}

function share<T>(items: readonly T[], holds: (item: T) => boolean): Interval | undefined {
  return shareInterval(items.filter(holds).length, items.length);
}

/** All two judgements of one pair. */
function couplesOf(judgements: readonly Judgement[]): [Judgement, Judgement][] {
  return judgements.flatMap((one, i) =>
    judgements.slice(i + 1).map((other): [Judgement, Judgement] => [one, other]),
  );
}

function countStrengths(decisions: readonly Decision[]): LabelReport['strengths'] {
  const count = (wanted: number) => decisions.filter(({ strength }) => strength === wanted).length;
  return { 1: count(1), 2: count(2), 3: count(3) };
}

function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

function mean(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
