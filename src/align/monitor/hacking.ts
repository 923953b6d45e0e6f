// Notices a policy that pleases its reward and nobody else, from what a user without a gold reward has. Gao et al.
// 2022 (arXiv:2210.10760) show why it is needed: the proxy goes on rising while what people want falls.
// The monitor says; the method acts.

import { UserError } from '../../engine/errors.ts';
import { requireFinite } from './invariants.ts';
import { accelerationWindow, klAcceleration } from './kl-acceleration.ts';
import {
  type Baseline,
  type Bounds,
  boundsOf,
  learnBaseline,
  type MeasureName,
  type RangedName,
  type ReferenceCompletion,
  rangeRules,
  type SignalFamily,
  type SignalName,
} from './signals.ts';

export const alarmActions = ['warn', 'raise-beta', 'stop', 'rollback'] as const;
export type AlarmAction = (typeof alarmActions)[number];

export interface HackingMonitorOptions {
  /** Default warn. */
  action?: AlarmAction;
  /** nats per completion. Default: the mean entropy of a reference completion, where entropies are given. */
  klBudget?: number;
  /** Default 1. Completions to one prompt stand side by side, in the reference too, and count as one for chance. */
  completionsPerPrompt?: number;
  /** Observations in a row that a signal must be outside. Default 3. */
  persistence?: number;
  /** Observations after an alarm without another. Default 10. */
  quiet?: number;
  /** By which 'raise-beta' asks to multiply β. Default 2. */
  betaFactor?: number;
}

/** One batch of rollouts. A measure that is missing is ignored. */
export interface Observation {
  step: number;
  /** In the batch. */
  completions: number;
  measures: Partial<Record<MeasureName, number>>;
}

/** A bound is absent where nothing is too low or too high. */
export interface ObservedSignal {
  name: SignalName;
  value: number;
  low?: number;
  high?: number;
  isOutside: boolean;
  /** So far outside that it is reason enough alone. */
  isExtreme: boolean;
}

/** What the method is asked to do. */
export type AlarmResponse =
  | { kind: 'warn' }
  | { kind: 'raise-beta'; factor: number }
  | { kind: 'stop' }
  /** To a checkpoint of this step or before: the last at which none of the alarm's signals was outside. */
  | { kind: 'rollback'; step: number };

export interface Alarm {
  message: string;
  /** Those that persist outside. */
  signals: Omit<ObservedSignal, 'isOutside' | 'isExtreme'>[];
  response: AlarmResponse;
}

interface Streak {
  observations: number;
  lastInsideStep: number;
}

/** Plain JSON. It holds all that a restored monitor needs. */
export interface HackingMonitorState {
  version: 1;
  options: Required<Omit<HackingMonitorOptions, 'klBudget'>> & { klBudget?: number };
  baseline: Baseline;
  streaks: Partial<Record<SignalName, Streak>>;
  klHistory: number[];
  quietLeft: number;
}

export interface HackingMonitor {
  /**
   * Judges one batch of rollouts, once each, in order.
   * @throws UserError when a measure is not finite
   */
  observe(observation: Observation): { signals: ObservedSignal[]; alarm?: Alarm };
  /** A copy, to be kept in a checkpoint. */
  state(): HackingMonitorState;
}

const defaults: HackingMonitorState['options'] = {
  action: 'warn',
  completionsPerPrompt: 1,
  persistence: 3,
  quiet: 10,
  betaFactor: 2,
};

/**
 * A monitor that knows the SFT model's own ranges.
 * @param reference 32 or more completions by the SFT model, sampled as the rollouts will be; some 128 to 256 are better
 * @throws UserError when there are too few, a measure is given for some only, or an option makes no sense
 */
export function createHackingMonitor(
  reference: readonly ReferenceCompletion[],
  options: HackingMonitorOptions = {},
): HackingMonitor {
  const complete = { ...defaults, ...withoutUndefined(options) };
  for (const name of ['completionsPerPrompt', 'persistence'] as const)
    requireAtLeast(name, complete[name], 1);
  if (options.klBudget !== undefined) requireAtLeast('klBudget', options.klBudget, Number.MIN_VALUE);
  requireAtLeast('quiet', complete.quiet, 0);
  requireAtLeast('betaFactor', complete.betaFactor, 1);
  const baseline = learnBaseline(reference);
  const fresh = { streaks: {}, klHistory: [], quietLeft: 0 };
  return new RangeMonitor({ version: 1, options: complete, baseline, ...fresh });
}

/** @throws UserError when the state is not one of this version's */
export function restoreHackingMonitor(state: HackingMonitorState): HackingMonitor {
  if (state?.version !== 1 || !state.baseline?.statistics || !state.streaks || !state.klHistory) {
    throw new UserError({
      where: 'monitor: saved state',
      expected: 'version 1',
      found: `${JSON.stringify(state)?.slice(0, 80)}`,
      advice: 'the version of heed that wrote the checkpoint',
    });
  }
  return new RangeMonitor(structuredClone(state));
}

class RangeMonitor implements HackingMonitor {
  private readonly own: HackingMonitorState;

  constructor(state: HackingMonitorState) {
    this.own = state;
  }

  state(): HackingMonitorState {
    return structuredClone(this.own);
  }

  observe(observation: Observation): { signals: ObservedSignal[]; alarm?: Alarm } {
    requireFinite(`monitor, step ${observation.step}`, observation.measures);
    const signals = [...this.rangeSignals(observation), ...this.klSignals(observation)];
    for (const signal of signals) this.follow(signal, observation.step);
    const persistent = signals.filter(
      ({ name }) => this.own.streaks[name]!.observations >= this.own.options.persistence,
    );
    if (this.own.quietLeft > 0) {
      this.own.quietLeft--;
      return { signals };
    }
    if (!isReasonEnough(persistent)) return { signals };
    this.own.quietLeft = this.own.options.quiet;
    return { signals, alarm: this.alarm(persistent) };
  }

  private rangeSignals({ completions, measures }: Observation): ObservedSignal[] {
    const { baseline, options } = this.own;
    return (Object.keys(rangeRules) as RangedName[]).flatMap((name) => {
      const [value, statistics] = [measures[name], baseline.statistics[name]];
      if (value === undefined || !statistics) return [];
      const { completionsPerPrompt } = options;
      return [judge(name, value, boundsOf(name, statistics, { completions, completionsPerPrompt }))];
    });
  }

  /** A budget that the user set is a line that alone must not be passed; the derived one is a sign. */
  private klSignals({ measures }: Observation): ObservedSignal[] {
    const kl = measures['objective/kl'];
    const { options, baseline, klHistory } = this.own;
    const budget = options.klBudget ?? baseline.completionEntropy;
    if (kl === undefined || budget === undefined) return [];
    klHistory.push(kl);
    if (klHistory.length > accelerationWindow) klHistory.shift();
    const level = judge('objective/kl', kl, { high: budget, extremeHigh: options.klBudget ?? 2 * budget });
    if (klHistory.length < accelerationWindow) return [level];
    const { value, high } = klAcceleration(klHistory, budget);
    return [level, judge('objective/kl_acceleration', value, { high })];
  }

  private follow({ name, isOutside }: ObservedSignal, step: number): void {
    const { observations, lastInsideStep } = this.own.streaks[name] ?? { observations: 0, lastInsideStep: 0 };
    this.own.streaks[name] = isOutside
      ? { observations: observations + 1, lastInsideStep }
      : { observations: 0, lastInsideStep: step };
  }

  private alarm(persistent: readonly ObservedSignal[]): Alarm {
    const { action, persistence, betaFactor } = this.own.options;
    const healthyStep = Math.min(...persistent.map(({ name }) => this.own.streaks[name]!.lastInsideStep));
    const responses: { readonly [K in AlarmAction]: AlarmResponse } = {
      warn: { kind: 'warn' },
      'raise-beta': { kind: 'raise-beta', factor: betaFactor },
      stop: { kind: 'stop' },
      rollback: { kind: 'rollback', step: healthyStep },
    };
    const facts = persistent.map(describeSignal).join(', ');
    const signals = persistent.map(({ isOutside, isExtreme, ...signal }) => signal);
    const message =
      `the completions are no longer like the SFT model's: ${facts}, for ${persistence} observations or ` +
      `more; the reward may be hacked. Last step without these signs: ${healthyStep}`;
    return { message, signals, response: responses[action] };
  }
}

function judge(name: SignalName, value: number, bounds: Bounds): ObservedSignal {
  const { low, high, extremeLow, extremeHigh } = bounds;
  return {
    ...{ name, value },
    ...(low !== undefined && { low }),
    ...(high !== undefined && { high }),
    isOutside: isBeyond(value, low, high),
    isExtreme: isBeyond(value, extremeLow, extremeHigh),
  };
}

function isBeyond(value: number, low: number | undefined, high: number | undefined): boolean {
  return (low !== undefined && value < low) || (high !== undefined && value > high);
}

function isReasonEnough(persistent: readonly ObservedSignal[]): boolean {
  const families = new Set(persistent.map(({ name }) => familyOf(name)));
  return families.size >= 2 || persistent.some(({ isExtreme }) => isExtreme);
}

function familyOf(name: SignalName): SignalFamily {
  if (name === 'objective/kl' || name === 'objective/kl_acceleration') return 'drift';
  return rangeRules[name].family;
}

function describeSignal({ name, value, low, high }: ObservedSignal): string {
  const [shown, least, most] = [value, low, high].map((x) => x && Number(x.toPrecision(3)));
  if (least === undefined) return `${name} ${shown} (usually up to ${most})`;
  if (most === undefined) return `${name} ${shown} (usually from ${least})`;
  return `${name} ${shown} (usually ${least} … ${most})`;
}

function withoutUndefined(options: HackingMonitorOptions): HackingMonitorOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function requireAtLeast(name: string, value: number, least: number): void {
  if (Number.isFinite(value) && value >= least) return;
  const expected = least === Number.MIN_VALUE ? 'a finite number > 0' : `a finite number ≥ ${least}`;
  throw new UserError({ where: `monitor: ${name}`, expected, found: `${value}` });
}
