// Simulated annotators: people who compare two answers by how readable they are, and err as people do.

import { Dice } from './dice.ts';

export interface AnnotatorProfile {
  /** Standard deviation of what is added to the difference of readability (readability lies in [0, 1]). */
  noise: number;
  /** Share of comparisons in which the opposite is said. */
  flipRate: number;
  /** Added in favour of the answer that is shown first. */
  positionBias: number;
  /** Share of comparisons that are answered without reading, by a fair coin. */
  laziness: number;
  /** Perceived differences smaller than this are ties. */
  tieWidth: number;
}

export const carefulAnnotator: AnnotatorProfile = {
  noise: 0,
  flipRate: 0,
  positionBias: 0,
  laziness: 0,
  tieWidth: 0.01,
};

export const usualAnnotator: AnnotatorProfile = {
  noise: 0.06,
  flipRate: 0.1,
  positionBias: 0.02,
  laziness: 0.05,
  tieWidth: 0.02,
};

/** Perceived differences from which a preference counts as clear (2) and as strong (3). */
const STRENGTHS = [0.1, 0.25] as const;

export interface Comparison {
  /** Number of the comparison; a non-negative integer below 2^32. */
  item: number;
  /** The criterion's score of the answer shown first, and of the other. */
  first: number;
  second: number;
}

export interface Annotation {
  choice: 'first' | 'second' | 'tie';
  /** 1 slightly better, 2 better, 3 much better; 0 for a tie. */
  strength: 0 | 1 | 2 | 3;
}

/**
 * What an annotator says: always the same for the same seed, annotator and item.
 * @param seed of the study; @param annotator number of the person, below 2^16
 */
export function annotate(
  profile: AnnotatorProfile,
  { seed, annotator }: { seed: number; annotator: number },
  { item, first, second }: Comparison,
): Annotation {
  const dice = new Dice(seed * 65536 + annotator, 'annotators', item);
  const [lazy, coin, flip] = [dice.uniform(), dice.uniform(), dice.uniform()];
  if (lazy < profile.laziness) return { choice: coin < 0.5 ? 'first' : 'second', strength: 1 };
  const perceived = first - second + profile.positionBias + profile.noise * normal(dice);
  if (Math.abs(perceived) < profile.tieWidth) return { choice: 'tie', strength: 0 };
  const prefersFirst = perceived > 0 !== flip < profile.flipRate;
  return { choice: prefersFirst ? 'first' : 'second', strength: strengthOf(Math.abs(perceived)) };
}

/** 180 words of five characters a minute: code is read slowly. */
const CHARACTERS_A_SECOND = 15;
/** Of making up one's mind, whatever there was to read. */
const SECONDS_TO_CHOOSE = 2;
/** Deviation of the logarithm: two judgements in three take between 0.67 and 1.5 times the median. */
const PACE_DEVIATION = 0.4;

/**
 * How long a judgement takes, in simulated seconds: both answers are read, and a factor of median 1 is lognormal. Drawn
 * independently of the choice.
 * @param lengths of the two answers, in characters
 * @returns to a tenth; the same for the same seed, annotator, item and lengths
 */
export function secondsTaken(
  { seed, annotator }: { seed: number; annotator: number },
  { item, lengths: [first, second] }: { item: number; lengths: readonly [number, number] },
): number {
  const dice = new Dice(seed * 65536 + annotator, 'reading', item);
  const median = SECONDS_TO_CHOOSE + (first + second) / CHARACTERS_A_SECOND;
  return Math.round(10 * median * Math.exp(PACE_DEVIATION * normal(dice))) / 10;
}

function strengthOf(difference: number): 1 | 2 | 3 {
  if (difference >= STRENGTHS[1]) return 3;
  return difference >= STRENGTHS[0] ? 2 : 1;
}

function normal(dice: Dice): number {
  return Math.sqrt(-2 * Math.log(1 - dice.uniform())) * Math.cos(2 * Math.PI * dice.uniform());
}
