// Proxy and gold of a PPO run against its distance from SFT, and the law fitted to gold above a start of its own.
// Gao, Schulman and Hilton 2022 (arXiv:2210.10760).

import { distanceOf, fitOveroptimisation } from '../../align/objectives/overoptimisation.ts';
import { watchedCurve } from './curves.ts';
import type { Curve, Overoptimisation, Report } from './report-json.ts';
import type { World } from './world.ts';

/** With fewer points an interval of α or β says nothing. */
const LEAST_POINTS = 6;
/** √nats: a run that hardly moved says nothing about what moving does. */
const LEAST_DISTANCE = 1;

export function overoptimisationOf(
  curves: Report['curves'],
  watched: World['watched'],
): Report['overoptimisation'] {
  const runs = Object.keys(curves).filter(
    (name) => curves[name]['objective/kl'] && curves[name]['objective/scores'],
  );
  return Object.fromEntries(runs.map((name) => [name, againstDistance(curves[name], watched)]));
}

function againstDistance(metrics: Record<string, Curve>, watched: World['watched']): Overoptimisation {
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
  const { gold, pass_rate } = watched;
  const golden = points(watchedCurve(metrics, gold?.metrics));
  return {
    proxy: points(metrics['objective/scores']),
    ...(gold && { gold: golden }),
    ...(pass_rate && { pass_rate: points(watchedCurve(metrics, pass_rate.metrics)) }),
    fit: fitOf(golden),
  };
}

function fitOf(points: NonNullable<Overoptimisation['gold']>): Overoptimisation['fit'] {
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
    ...(peak && {
      peak: { distance: peak.distance, kl_nats: peak.klNats, reward: peak.reward },
    }),
  };
}
