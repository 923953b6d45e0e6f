// How good a reward model is, from its scores of held-out pairs: how often it agrees with people, how far its
// confidence is right, and how much of it is only the answers' length.

import { comoments, correlationInterval, type Interval, shareInterval } from './intervals.ts';

export interface ScoredPair {
  /** Raw scores, and tokens of the answers. */
  chosen: { score: number; tokens: number };
  rejected: { score: number; tokens: number };
  /** By how much the chosen answer was preferred, where the label says so. */
  strength?: number;
}

/** Keys as they stand in quality.json. */
export interface RewardQuality {
  /** Share of pairs whose chosen answer has the higher score. */
  accuracy: Interval;
  accuracy_by_strength?: Record<string, Interval>;
  /** Expected calibration error, and its bins: how sure the model is of its choice, and how often it is right. */
  calibration: { ece: number; bins: { predicted: number; actual: number; n: number }[] };
  /** Pearson, of score and tokens over all answers; absent where either does not vary. */
  length_correlation?: Interval;
  /** Accuracy of the scores less what a line through (tokens, score) explains. */
  accuracy_without_length: Interval;
  /** Accuracy of preferring the longer answer, for comparison; ties counted as wrong. */
  accuracy_of_length: Interval;
}

const binCount = 10;

/** @param pairs one at least */
export function rewardQuality(pairs: readonly ScoredPair[]): RewardQuality {
  const answers = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const lengthsAndScores = answers.map(({ tokens, score }) => [tokens, score] as const);
  const correlation = correlationInterval(lengthsAndScores);
  const slope = slopeThrough(lengthsAndScores);
  const margin = ({ chosen, rejected }: ScoredPair) => chosen.score - rejected.score;
  const longer = ({ chosen, rejected }: ScoredPair) => chosen.tokens - rejected.tokens;
  const strengths = byStrength(pairs, margin);
  return {
    accuracy: agreement(pairs, margin),
    ...(strengths && { accuracy_by_strength: strengths }),
    calibration: calibration(pairs.map(margin)),
    ...(correlation && { length_correlation: correlation }),
    accuracy_without_length: agreement(pairs, (pair) => margin(pair) - slope * longer(pair)),
    accuracy_of_length: agreement(pairs, longer),
  };
}

function agreement(pairs: readonly ScoredPair[], margin: (pair: ScoredPair) => number): Interval {
  return shareInterval(pairs.filter((pair) => margin(pair) > 0).length, pairs.length)!;
}

function byStrength(
  pairs: readonly ScoredPair[],
  margin: (pair: ScoredPair) => number,
): Record<string, Interval> | undefined {
  const known = pairs.flatMap(({ strength }) => (strength === undefined ? [] : [strength]));
  if (known.length === 0) return undefined;
  const strengths = [...new Set(known)].sort((a, b) => a - b);
  const of = (wanted: number) => pairs.filter(({ strength }) => strength === wanted);
  return Object.fromEntries(strengths.map((strength) => [`${strength}`, agreement(of(strength), margin)]));
}

/**
 * Σ n_b/n · |share right − mean confidence| over bins of the confidence σ(|margin|) in the model's own choice, from ½
 * to 1. Guo et al. 2017 (arXiv:1706.04599), Eq. 3.
 */
function calibration(margins: readonly number[]): RewardQuality['calibration'] {
  const bins = Array.from({ length: binCount }, () => ({ sure: 0, right: 0, n: 0 }));
  for (const margin of margins) {
    const confidence = 1 / (1 + Math.exp(-Math.abs(margin)));
    const bin = bins[Math.min(binCount - 1, Math.floor((confidence - 0.5) * 2 * binCount))];
    bin.sure += confidence;
    bin.right += margin > 0 ? 1 : 0;
    bin.n += 1;
  }
  const filled = bins.filter(({ n }) => n > 0);
  return {
    ece: filled.reduce((sum, { sure, right }) => sum + Math.abs(right - sure), 0) / margins.length,
    bins: filled.map(({ sure, right, n }) => ({ predicted: sure / n, actual: right / n, n })),
  };
}

/** Least squares of y by x; 0 where either does not vary. */
function slopeThrough(pairs: readonly (readonly [number, number])[]): number {
  const { xx, xy, yy } = comoments(pairs);
  return xx > 0 && yy > 0 ? xy / xx : 0;
}
