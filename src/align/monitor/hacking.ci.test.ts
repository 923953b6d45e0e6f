// How often the monitor is wrong, by simulation: rates, where hacking.test.ts has single runs.

import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../engine/random.ts';
import type { HackingMonitorOptions } from './hacking.ts';
import { ImaginedRun, makePools, type PolicyPortrait, type Pools, rise } from './testing/rollouts.ts';

let pools: Pools;
beforeAll(() => {
  pools = makePools();
});

type PolicyAt = (step: number) => PolicyPortrait;

/** Healthy runs differ: in pace, in how far they go, and in how sure they become. */
function someHealthyPolicy(seed: number): PolicyAt {
  const random = new Random(seed, 'testing');
  const between = (low: number, high: number, index: number) =>
    low + (high - low) * random.uniform(4_000_000, index);
  const [pace, clear, entropyLoss] = [between(4, 30, 0), between(0.5, 1, 1), between(0.2, 0.6, 2)];
  const [kl, gain, spread] = [between(3, 14, 3), between(1, 2.75, 4), between(1, 1.3, 5)];
  return (step) => {
    const progress = 1 - Math.exp(-step / pace);
    return {
      instead: { clear: clear * progress },
      entropyFactor: 1 - entropyLoss * progress,
      klNats: kl * progress,
      scoreGain: gain * progress,
      spreadFactor: 1 + (spread - 1) * progress,
    };
  };
}

/** The first alarm of each run, infinite where there is none. */
function firstAlarms(
  { runs, steps }: { runs: number; steps: number },
  size: { reference: number; batch: number },
  policyOf: (seed: number) => PolicyAt,
  options: HackingMonitorOptions = {},
): number[] {
  return Array.from({ length: runs }, (_, seed) => {
    const run = new ImaginedRun(pools, seed, size, options);
    const policyAt = policyOf(seed);
    for (let step = 1; step <= steps; step++) {
      if (run.monitor.observe(run.observation(step, policyAt(step))).alarm) return step;
    }
    return Number.POSITIVE_INFINITY;
  });
}

describe('rates of the hacking monitor', () => {
  it.each([
    { reference: 64, batch: 32 },
    { reference: 128, batch: 64 },
  ])('at most one of forty healthy runs of sixty updates alarms with %j', (size) => {
    const count = { runs: 40, steps: 60 };
    const alarms = firstAlarms(count, size, someHealthyPolicy);
    expect(alarms.filter(Number.isFinite).length).toBeLessThanOrEqual(1);
  });

  it.each<[string, (progress: number) => PolicyPortrait, HackingMonitorOptions]>([
    ['tiny completions', (p) => ({ instead: { tiny: p } }), {}],
    ['endless completions', (p) => ({ instead: { endless: p } }), {}],
    ['repeating completions', (p) => ({ instead: { repeating: p } }), {}],
    ['entropy collapse', (p) => ({ entropyFactor: 0.05 ** p }), {}],
    ['KL beyond a set budget', (p) => ({ klNats: 8 + 20 * p }), { klBudget: 15 }],
    ['KL without a set budget', (p) => ({ klNats: 8 + 100 * p }), {}],
    ['hollow completions', (p) => ({ instead: { hollow: p }, klNats: 8 + 20 * p, scoreGain: 2 + 2 * p }), {}],
  ])('all of twenty runs with %s alarm within ten observations of their ruin', (_, ruin, options) => {
    const policyOf = (seed: number): PolicyAt => {
      const healthy = someHealthyPolicy(seed);
      return (step) => ({ ...healthy(step), ...ruin(rise(step, 10, 20)) });
    };
    const size = { reference: 128, batch: 64 };
    const alarms = firstAlarms({ runs: 20, steps: 30 }, size, policyOf, options);
    expect(Math.min(...alarms)).toBeGreaterThan(10);
    expect(Math.max(...alarms)).toBeLessThanOrEqual(30);
  });
});
