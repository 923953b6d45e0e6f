import { describe, expect, it } from 'vitest';
import { Random } from '../../engine/random.ts';
import { kata } from './kata/kata.ts';
import { overoptimisationOf } from './overoptimisation.ts';

const steps = Array.from({ length: 12 }, (_, i) => i + 1);
/** KL of 0, 1, 4, 9 … nats: distances 0, 1, 2, 3 … */
const squares = { steps, values: steps.map((step) => (step - 1) ** 2) };
const curve = (at: (distance: number) => number) => ({ steps, values: steps.map((step) => at(step - 1)) });
const scores = curve((d) => d);
const truth = { start: 0.4, alpha: 0.3, beta: 0.15 };
const law = (d: number) => truth.start + (d === 0 ? 0 : d * (truth.alpha - truth.beta * Math.log(d)));

describe('overoptimisationOf', () => {
  it('finds the law that gold was made from', () => {
    const gold = curve(law);
    const { free } = overoptimisationOf(
      { free: { 'objective/kl': squares, 'objective/scores': scores, 'gold/gold': gold } },
      kata.watched,
    );
    const { alpha, beta, start, peak } = free.fit!;
    expect([start, alpha, beta]).toEqual([0.4, 0.3, 0.15].map((value) => expect.closeTo(value, 9)));
    expect(peak!.distance).toBeCloseTo(Math.E, 9);
    expect(free.proxy[3]).toEqual({ distance: 3, value: 3 });
  });

  it('covers start, α and β in about 95 of 100 runs whose gold is noisy from the first step on', () => {
    const random = new Random(5, 'testing');
    const runs = 400;
    const covered = { start: 0, alpha: 0, beta: 0 };
    for (let run = 0; run < runs; run++) {
      const gold = curve((d) => law(d) + 0.05 * random.normal(run, d));
      const { fit } = overoptimisationOf(
        { ppo: { 'objective/kl': squares, 'objective/scores': scores, 'gold/gold': gold } },
        kata.watched,
      ).ppo;
      for (const name of ['start', 'alpha', 'beta'] as const) {
        const [low, high] = fit![`interval_${name}`];
        if (low <= truth[name] && truth[name] <= high) covered[name]++;
      }
    }
    for (const count of Object.values(covered)) {
      expect(count / runs).toBeGreaterThan(0.92);
      expect(count / runs).toBeLessThan(0.98);
    }
  });

  it('sets a KL that was estimated below 0 at no distance', () => {
    const scores = { steps: [1, 2], values: [5, 6] };
    const { ppo } = overoptimisationOf(
      { ppo: { 'objective/kl': { steps: [1, 2], values: [-0.01, 0.25] }, 'objective/scores': scores } },
      {},
    );
    expect(ppo.proxy).toEqual([
      { distance: 0, value: 5 },
      { distance: 0.5, value: 6 },
    ]);
  });

  it('fits nothing to a run that did not move', () => {
    const still = { steps, values: steps.map((step) => 0.001 * step) };
    const metrics = {
      'objective/kl': still,
      'objective/scores': curve(() => 1),
      'gold/gold': curve((d) => d),
    };
    const { held } = overoptimisationOf({ held: metrics }, kata.watched);
    expect(held.fit).toBeUndefined();
  });
});
