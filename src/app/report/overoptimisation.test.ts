import { describe, expect, it } from 'vitest';
import { overoptimisationOf } from './overoptimisation.ts';

const steps = Array.from({ length: 12 }, (_, i) => i + 1);
/** KL of 0, 1, 4, 9 … nats: distances 0, 1, 2, 3 … */
const squares = { steps, values: steps.map((step) => (step - 1) ** 2) };
const curve = (at: (distance: number) => number) => ({ steps, values: steps.map((step) => at(step - 1)) });

describe('overoptimisationOf', () => {
  it('finds the law that gold was made from', () => {
    const gold = curve((d) => 0.4 + (d === 0 ? 0 : d * (0.3 - 0.15 * Math.log(d))));
    const scores = curve((d) => d);
    const { ppo_no_kl } = overoptimisationOf({
      ppo_no_kl: { 'objective/kl': squares, 'objective/scores': scores, 'gold/gold': gold },
    });
    const { alpha, beta, start, peak } = ppo_no_kl!.fit!;
    expect(start).toBe(0.4);
    expect([alpha, beta]).toEqual([expect.closeTo(0.3, 9), expect.closeTo(0.15, 9)]);
    expect(peak!.distance).toBeCloseTo(Math.E, 9);
    expect(ppo_no_kl!.proxy[3]).toEqual({ distance: 3, value: 3 });
  });

  it('sets a KL that was estimated below 0 at no distance', () => {
    const scores = { steps: [1, 2], values: [5, 6] };
    const { ppo } = overoptimisationOf({
      ppo: { 'objective/kl': { steps: [1, 2], values: [-0.01, 0.25] }, 'objective/scores': scores },
    });
    expect(ppo!.proxy).toEqual([
      { distance: 0, value: 5 },
      { distance: 0.5, value: 6 },
    ]);
  });

  it('fits nothing to a run that did not move', () => {
    const still = { steps, values: steps.map((step) => 0.001 * step) };
    const { ppo_frozen } = overoptimisationOf({
      ppo_frozen: { 'objective/kl': still, 'objective/scores': curve(() => 1), 'gold/gold': curve((d) => d) },
    });
    expect(ppo_frozen!.fit).toBeUndefined();
  });
});
