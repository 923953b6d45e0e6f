// Proxy and gold of a PPO run against its distance from SFT, and the law fitted to gold above a start of its own.
// Gao, Schulman and Hilton 2022 (arXiv:2210.10760).

import { distanceOf, fitOveroptimisation } from '../../align/objectives/overoptimisation.ts';
import { judgedCurve } from './curves.ts';
import { type Curve, type Overoptimisation, ppoNames, type Report } from './report-json.ts';

/** With fewer points an interval of α or β says nothing. */
const LEAST_POINTS = 6;
/** √nats: a run that hardly moved says nothing about what moving does. */
const LEAST_DISTANCE = 1;

export function overoptimisationOf(curves: Report['curves']): Report['overoptimisation'] {
  const run = ppoNames.filter((name) => curves[name]?.['objective/kl'] && curves[name]['objective/scores']);
  return Object.fromEntries(run.map((name) => [name, againstDistance(curves[name])]));
}

function againstDistance(metrics: Record<string, Curve>): Overoptimisation {
  const distances = new Map(
    metrics['objective/kl'].steps.map((step, i) => [
      step,
      // An estimate from samples may fall below 0 where the true KL is near it.
      distanceOf(Math.max(0, metrics['objective/kl'].values[i])),
    ]),
  );
  const points = (curve: Curve | undefined) =>
    (curve?.steps ?? []).flatMap((step, i) => {
      const distance = distances.get(step);
      return distance === undefined ? [] : [{ distance, value: curve!.values[i] }];
    });
  const gold = points(judgedCurve(metrics, 'gold'));
  return {
    proxy: points(metrics['objective/scores']),
    gold,
    pass_rate: points(judgedCurve(metrics, 'pass_rate')),
    fit: fitOf(gold),
  };
}

function fitOf(points: Overoptimisation['gold']): Overoptimisation['fit'] {
  const furthest = Math.max(0, ...points.map(({ distance }) => distance));
  const distinct = new Set(points.map(({ distance }) => distance)).size;
  if (distinct < LEAST_POINTS || furthest < LEAST_DISTANCE) return undefined;
  const { start, alpha, beta, peak } = fitOveroptimisation(
    'rl',
    points.map(({ distance }) => distance),
    points.map(({ value }) => value),
  );
  return {
    alpha: alpha.value,
    beta: beta.value,
    start: start.value,
    interval_start: start.interval,
    interval_alpha: alpha.interval,
    interval_beta: beta.interval,
    peak,
  };
}
