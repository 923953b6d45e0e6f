// Made-up events of training runs, with the courses that those of real runs have.

import { Random } from '../../../engine/random.ts';

const random = new Random(7, 'testing');
const wave = (step: number, stream: number) => random.uniform(100 + stream, step) - 0.5;

function stepEvent(step: number, steps: number, loss: number, metrics?: Record<string, number>): object {
  return {
    ...{ time: '2026-01-01T00:00:00.000Z', step, type: 'step', epoch: step / steps, loss },
    ...{ tokens: 4900 * step, tokens_per_second: 5000 + 1000 * wave(step, 9), gradient_norm: 0.4 },
    ...{ learning_rate: 1e-3, ...(metrics && { metrics }) },
  };
}

function overSteps(steps: number, at: (step: number, progress: number) => object): object[] {
  return Array.from({ length: steps }, (_, i) => at(i + 1, i / (steps - 1)));
}

export function lossEvents(steps: number, from: number, to: number): object[] {
  return overSteps(steps, (step, t) =>
    stepEvent(step, steps, to + (from - to) * Math.exp(-6 * t) + 0.06 * from * wave(step, 1)),
  );
}

export function pairEvents(steps: number, from: number, to: number): object[] {
  return overSteps(steps, (step, t) =>
    stepEvent(step, steps, to + (from - to) * Math.exp(-4 * t) + 0.05 * wave(step, 2), {
      'rewards/accuracies': 0.5 + 0.3 * (1 - Math.exp(-5 * t)) + 0.1 * wave(step, 3),
    }),
  );
}

export function dpoEvents(steps: number): object[] {
  return overSteps(steps, (step, t) =>
    stepEvent(step, steps, 0.69 - 0.22 * t + 0.04 * wave(step, 4), {
      'rewards/accuracies': 0.5 + 0.3 * (1 - Math.exp(-4 * t)) + 0.08 * wave(step, 5),
      'logps/chosen': -31 - 9 * t + 3 * wave(step, 6),
      'logps/rejected': -34 - 24 * t + 3 * wave(step, 7),
    }),
  );
}

/** KL and gold at the end; gold at the best. */
const courses = {
  ppo: { kl: 5, gain: 1.6, bend: 0 },
  'ppo-no-kl': { kl: 55, gain: 3.4, bend: 0.62 },
  'ppo-frozen': { kl: 0.03, gain: 0.05, bend: 0 },
};

export function ppoEvents(steps: number, name: keyof typeof courses): object[] {
  const { kl, gain, bend } = courses[name];
  const at = (step: number, t: number) => {
    const fall = bend * Math.max(0, t - 0.25) * 1.3;
    return stepEvent(step, steps, 0.02 * wave(step, 8), {
      'objective/kl':
        Math.max(0, kl * (t < 1 && name === 'ppo' ? 1 - Math.exp(-4 * t) : t ** 1.4)) *
        (1 + 0.1 * wave(step, 10)),
      'objective/scores': 0.4 + gain * (1 - Math.exp(-3 * t)) + 0.25 * wave(step, 11),
      length: 61 + (bend > 0 ? -28 * t : 4 * t) + 4 * wave(step, 12),
      ...(step % 5 === 1 && {
        'watch/gold': 0.5 + (gain > 1 ? 0.09 * Math.min(1, 4 * t) : 0) - fall + 0.03 * wave(step, 13),
        'watch/pass': 0.69 + 0.03 * Math.min(1, 4 * t) - 1.15 * fall + 0.04 * wave(step, 14),
      }),
    });
  };
  const alarm = {
    ...{ time: '2026-01-01T00:00:01.000Z', type: 'alarm', step: Math.ceil(steps / 3) },
    signals: [
      { name: 'objective/scores', value: 2.91, high: 2.42 },
      { name: 'length', value: 41.2, low: 48.6, high: 77.1 },
      { name: 'distinct_2', value: 0.31, low: 0.52 },
    ],
    message: 'score, length and variety have left what is usual for SFT: the reward may be hacked',
  };
  return [...overSteps(steps, at), ...(bend > 0 ? [alarm, { ...alarm, step: alarm.step + 5 }] : [])];
}
