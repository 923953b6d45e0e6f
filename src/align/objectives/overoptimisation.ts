// Scaling laws of over-optimisation: how the gold reward rises and falls with the distance d = √KL(π‖π_init) while
// the proxy that is optimised keeps rising. Gao, Schulman and Hilton 2022 (arXiv:2210.10760).

import { ShapeError, UserError } from '../../engine/errors.ts';
import { requireAbove } from './requirements.ts';

export type OveroptimisationLaw = 'bestOfN' | 'rl';

interface Law {
  /** The law is linear in its parameters: R = α·d + β·slopeOfBeta(d), above the start. */
  slopeOfBeta: (d: number) => number;
  /** Where R is largest, for β > 0. */
  peakDistance: (alpha: number, beta: number) => number;
}

const laws: { readonly [K in OveroptimisationLaw]: Law } = {
  /** R = d(α − βd). */
  bestOfN: { slopeOfBeta: (d) => -d * d, peakDistance: (alpha, beta) => alpha / (2 * beta) },
  /** R = d(α − β·log d), 0 at d = 0. */
  rl: {
    slopeOfBeta: (d) => (d === 0 ? 0 : -d * Math.log(d)),
    peakDistance: (alpha, beta) => Math.exp(alpha / beta - 1),
  },
};

/** √KL for a KL ≥ 0 in nats, in which the laws are written. @throws UserError when it is below 0 */
export function distanceOf(klNats: number): number {
  requireAbove('KL', klNats, 0, { isIncluded: true });
  return Math.sqrt(klNats);
}

/** Gold reward above the initial policy's, at distance d ≥ 0. */
export function predictedReward(
  law: OveroptimisationLaw,
  { alpha, beta }: { alpha: number; beta: number },
  distance: number,
): number {
  return alpha * distance + beta * laws[law].slopeOfBeta(distance);
}

export interface FittedParameter {
  value: number;
  standardError: number;
  /** 95%, by Student's t with N − 3 degrees of freedom. */
  interval: readonly [number, number];
}

export interface OveroptimisationFit {
  /** c: gold reward of the initial policy. */
  start: FittedParameter;
  alpha: FittedParameter;
  beta: FittedParameter;
  /** √(Σ residual² / (N − 3)), in units of reward. */
  residualDeviation: number;
  /**
   * Where more optimisation begins to hurt, its reward above the start; absent when β ≤ 0 or α ≤ 0: nothing falls, or
   * nothing rises.
   */
  peak?: { distance: number; klNats: number; reward: number };
}

/**
 * Start, α and β of a law by least squares: R = c + α·d + β·slopeOfBeta(d). Gao et al. set c to 0; here it is fitted, as
 * the reward that was measured at the initial policy is as noisy as every other. Distances count as exact, errors as
 * independent and of one size.
 * @param distances d = √KL ≥ 0, N of them
 * @param rewards   gold reward, N of them
 * @throws ShapeError when the lists differ in length; UserError when fewer than 4 points are given, when one is not
 *   finite or a distance below 0, or when the law cannot tell the distances apart: 3 at least must differ
 */
export function fitOveroptimisation(
  law: OveroptimisationLaw,
  distances: ArrayLike<number>,
  rewards: ArrayLike<number>,
): OveroptimisationFit {
  const { mean, centred } = centre(pointsOf(law, distances, rewards));
  const [aa, ab, bb] = [dot(centred, 'a', 'a'), dot(centred, 'a', 'b'), dot(centred, 'b', 'b')];
  const [ar, br] = [dot(centred, 'a', 'reward'), dot(centred, 'b', 'reward')];
  const determinant = aa * bb - ab * ab;
  if (!(determinant > 1e-12 * aa * bb)) {
    throw new UserError({
      where: `fit of ${law}`,
      expected: 'distances that differ, three at least',
      found: `${Array.from(distances).slice(0, 5).join(', ')}`,
    });
  }
  const alpha = (bb * ar - ab * br) / determinant;
  const beta = (aa * br - ab * ar) / determinant;
  const freedom = centred.length - 3;
  const squares = centred.reduce((sum, { a, b, reward }) => sum + (reward - alpha * a - beta * b) ** 2, 0);
  const variance = squares / freedom;
  const quantile = studentQuantile95(freedom);
  const withError = (value: number, spread: number) => fitted(value, Math.sqrt(variance * spread), quantile);
  const startSpread = (mean.a ** 2 * bb - 2 * mean.a * mean.b * ab + mean.b ** 2 * aa) / determinant;
  return {
    start: withError(mean.reward - alpha * mean.a - beta * mean.b, 1 / centred.length + startSpread),
    alpha: withError(alpha, bb / determinant),
    beta: withError(beta, aa / determinant),
    residualDeviation: Math.sqrt(variance),
    peak: alpha > 0 && beta > 0 ? peakOf(law, alpha, beta) : undefined,
  };
}

/** What α and β are multiplied by at a point, and what came of it. */
interface Point {
  a: number;
  b: number;
  reward: number;
}

function pointsOf(
  law: OveroptimisationLaw,
  distances: ArrayLike<number>,
  rewards: ArrayLike<number>,
): Point[] {
  if (distances.length !== rewards.length) {
    const [expected, found] = [`${distances.length} rewards, one a distance`, `${rewards.length}`];
    throw new ShapeError({ where: `fit of ${law}`, expected, found });
  }
  if (distances.length < 4) {
    throw new UserError({
      where: `fit of ${law}`,
      expected: '4 points or more',
      found: `${distances.length}`,
    });
  }
  return Array.from(distances, (d, i) => {
    requireAbove(`fit of ${law}: distance ${i}`, d, 0, { isIncluded: true });
    requireAbove(`fit of ${law}: reward ${i}`, rewards[i], Number.NEGATIVE_INFINITY);
    return { a: d, b: laws[law].slopeOfBeta(d), reward: rewards[i] };
  });
}

/** Less their means, which takes the start out of the equations of α and β. */
function centre(points: readonly Point[]): { mean: Point; centred: Point[] } {
  const meanOf = (key: keyof Point) => points.reduce((sum, point) => sum + point[key], 0) / points.length;
  const mean = { a: meanOf('a'), b: meanOf('b'), reward: meanOf('reward') };
  const centred = points.map(({ a, b, reward }) => {
    return { a: a - mean.a, b: b - mean.b, reward: reward - mean.reward };
  });
  return { mean, centred };
}

const dot = (points: readonly Point[], x: keyof Point, y: keyof Point): number =>
  points.reduce((sum, point) => sum + point[x] * point[y], 0);

function fitted(value: number, standardError: number, quantile: number): FittedParameter {
  return {
    value,
    standardError,
    interval: [value - quantile * standardError, value + quantile * standardError],
  };
}

function peakOf(law: OveroptimisationLaw, alpha: number, beta: number) {
  const distance = laws[law].peakDistance(alpha, beta);
  return { distance, klNats: distance ** 2, reward: predictedReward(law, { alpha, beta }, distance) };
}

/** t with P(|T| ≤ t) = 0.95 for whole degrees of freedom ≥ 1, by halving. */
export function studentQuantile95(freedom: number): number {
  let [low, high] = [0, 13];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (studentWithin(middle, freedom) < 0.95) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** P(|T| ≤ t): finite series in θ = atan(t/√ν). Abramowitz and Stegun 26.7.3 (ν odd) and 26.7.4 (ν even). */
function studentWithin(t: number, freedom: number): number {
  const angle = Math.atan(t / Math.sqrt(freedom));
  const cosine = Math.cos(angle);
  const isOdd = freedom % 2 === 1;
  let term = isOdd ? cosine : 1;
  let series = freedom === 1 ? 0 : term;
  for (let k = isOdd ? 3 : 2; k <= freedom - 2; k += 2) {
    term *= ((k - 1) / k) * cosine * cosine;
    series += term;
  }
  return isOdd ? (2 / Math.PI) * (angle + Math.sin(angle) * series) : Math.sin(angle) * series;
}
