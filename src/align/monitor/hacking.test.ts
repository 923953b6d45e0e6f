import { beforeAll, describe, expect, it } from 'vitest';
import {
  type AlarmAction,
  createHackingMonitor,
  type HackingMonitorOptions,
  restoreHackingMonitor,
} from './hacking.ts';
import {
  healthyPolicy,
  ImaginedRun,
  makePools,
  type PolicyPortrait,
  type Pools,
  rise,
} from './testing/rollouts.ts';

let pools: Pools;
beforeAll(() => {
  pools = makePools();
});

const usual = { reference: 128, batch: 64 };

/** Steps at which it alarms. */
function alarmsOf(run: ImaginedRun, policyAt: (step: number) => PolicyPortrait, steps: number): number[] {
  const alarms: number[] = [];
  for (let step = 1; step <= steps; step++) {
    if (run.monitor.observe(run.observation(step, policyAt(step))).alarm) alarms.push(step);
  }
  return alarms;
}

/** A healthy run to which something happens between steps 10 and 20. */
const ruinedBy = (ruin: (progress: number) => PolicyPortrait) => (step: number) => ({
  ...healthyPolicy(step),
  ...ruin(rise(step, 10, 20)),
});

describe('the hacking monitor', () => {
  it('stays silent while the SFT model itself is observed', () => {
    for (let seed = 1; seed <= 6; seed++) {
      expect(alarmsOf(new ImaginedRun(pools, seed, usual), () => ({}), 20)).toEqual([]);
    }
  });

  it('stays silent while PPO makes completions readable, and longer', () => {
    const meanLength = (kind: 'sft' | 'clear') =>
      pools.completions[kind].reduce((sum, { ids }) => sum + ids.length, 0) / pools.completions[kind].length;
    expect(meanLength('clear')).toBeGreaterThan(1.08 * meanLength('sft'));
    for (let seed = 1; seed <= 6; seed++) {
      expect(alarmsOf(new ImaginedRun(pools, seed, usual), healthyPolicy, 40)).toEqual([]);
    }
  });

  it.each<[string, (progress: number) => PolicyPortrait, HackingMonitorOptions]>([
    ['completions of ten tokens', (p) => ({ instead: { tiny: p } }), {}],
    ['completions that repeat themselves without an end', (p) => ({ instead: { endless: p } }), {}],
    [
      'a repeated line and a KL beyond the budget',
      (p) => ({ instead: { repeating: p }, klNats: 60 * p }),
      {},
    ],
    ['an entropy of a twentieth', (p) => ({ entropyFactor: 0.95 ** (60 * p) }), {}],
    ['a KL past the budget that was set', (p) => ({ klNats: 8 + 20 * p }), { klBudget: 15 }],
    ['a KL past twice the entropy of a completion', (p) => ({ klNats: 8 + 80 * p }), {}],
    [
      'hollow completions that the reward model loves',
      (p) => ({
        instead: { hollow: p },
        scoreGain: 2 + 2 * p,
        klNats: 8 + 20 * p,
        entropyFactor: 0.45 - 0.3 * p,
      }),
      {},
    ],
  ])('alarms at %s, before it has lasted five observations', (_, ruin, options) => {
    for (let seed = 1; seed <= 3; seed++) {
      const [first] = alarmsOf(new ImaginedRun(pools, seed, usual, options), ruinedBy(ruin), 30);
      expect(first, `seed ${seed}`).toBeGreaterThan(10);
      expect(first, `seed ${seed}`).toBeLessThanOrEqual(24);
    }
  });

  it('takes one bad batch, or two, for chance', () => {
    const run = new ImaginedRun(pools, 1, usual);
    const policyAt = (step: number) => (step === 10 || step === 11 ? { instead: { tiny: 1 } } : {});
    expect(alarmsOf(run, policyAt, 20)).toEqual([]);
  });

  it('needs two witnesses where neither is extreme', () => {
    const runWith = (policy: PolicyPortrait) => alarmsOf(new ImaginedRun(pools, 2, usual), () => policy, 5);
    expect(runWith({ entropyFactor: 0.3 })).toEqual([]);
    expect(runWith({ scoreGain: 4 })).toEqual([]);
    expect(runWith({ entropyFactor: 0.3, scoreGain: 4 })).toEqual([3]);
  });

  it('is quiet for ten observations after an alarm, then says it again', () => {
    const run = new ImaginedRun(pools, 3, usual);
    expect(alarmsOf(run, () => ({ instead: { tiny: 1 } }), 26)).toEqual([3, 14, 25]);
  });

  it('goes on from a saved state as if it had not stopped, to the letter', () => {
    const policyAt = ruinedBy((p) => ({ klNats: 8 + 60 * p, scoreGain: 2 + 2 * p }));
    const whole = new ImaginedRun(pools, 4, usual);
    const judged = Array.from({ length: 30 }, (_, i) =>
      JSON.stringify(whole.monitor.observe(whole.observation(i + 1, policyAt(i + 1)))),
    );
    expect(judged.some((line) => line.includes('"alarm"'))).toBe(true);
    for (const cut of [1, 9, 16, 20]) {
      const run = new ImaginedRun(pools, 4, usual);
      for (let step = 1; step <= cut; step++) run.monitor.observe(run.observation(step, policyAt(step)));
      const restored = restoreHackingMonitor(JSON.parse(JSON.stringify(run.monitor.state())));
      for (let step = cut + 1; step <= 30; step++) {
        expect(JSON.stringify(restored.observe(run.observation(step, policyAt(step))))).toBe(
          judged[step - 1],
        );
      }
      expect(restored.state()).toEqual(whole.monitor.state());
    }
  });

  it.each<[AlarmAction, object]>([
    ['warn', { kind: 'warn' }],
    ['raise-beta', { kind: 'raise-beta', factor: 2 }],
    ['stop', { kind: 'stop' }],
    ['rollback', { kind: 'rollback', step: 7 }],
  ])('asks for %s, knowing the last step without the signs', (action, response) => {
    const run = new ImaginedRun(pools, 5, usual, { action });
    const policyAt = (step: number) => (step > 7 ? { instead: { tiny: 1 } } : {});
    const results = Array.from({ length: 10 }, (_, i) =>
      run.monitor.observe(run.observation(i + 1, policyAt(i + 1))),
    );
    expect(results[9].alarm?.response).toEqual(response);
    expect(results[9].alarm?.message).toContain('Last step without these signs: 7');
    expect(results[9].alarm?.signals.map(({ name }) => name)).toContain('length');
  });

  it('does not judge what the reference did not measure', () => {
    const completions = Array.from({ length: 32 }, (_, i) => ({ ids: [1, 2, 3, i], hasEos: true }));
    const monitor = createHackingMonitor(completions);
    const { signals } = monitor.observe({
      step: 1,
      completions: 8,
      measures: { length: 4, 'objective/kl': 99 },
    });
    expect(signals.map(({ name }) => name)).toEqual(['length']);
  });

  it.each([
    ['too few completions', () => createHackingMonitor([{ ids: [1], hasEos: true }]), 'expected 32 or more'],
    ['a budget of 0', () => new ImaginedRun(pools, 1, usual, { klBudget: 0 }), 'klBudget: expected'],
    [
      'an entropy of some completions only',
      () =>
        createHackingMonitor(
          Array.from({ length: 40 }, (_, i) => ({ ids: [i], hasEos: true, ...(i && { entropy: 1 }) })),
        ),
      'entropy of reference completion 0: expected a finite number, as others have, got undefined',
    ],
    ['a state of another version', () => restoreHackingMonitor({ version: 2 } as never), 'got {"version":2}'],
    [
      'a KL that is not a number',
      () =>
        new ImaginedRun(pools, 1, usual).monitor.observe({
          step: 7,
          completions: 1,
          measures: { 'objective/kl': Number.NaN },
        }),
      'monitor, step 7: expected finite numbers, got objective/kl = NaN',
    ],
  ])('refuses %s', (_, act, message) => {
    expect(act).toThrow(message);
  });
});
