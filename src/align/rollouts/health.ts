// Whether an on-policy run is still sound: the hacking monitor, which knows the reference's own completions, and the hard
// KL limit. It keeps the last weights at which nothing was wrong, where something may go back to them.

import type { Backend } from '../../engine/runtime/backend.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import { type ReferenceNgrams, referenceNgrams } from '../monitor/completion-measures.ts';
import {
  type Alarm,
  type AlarmAction,
  createHackingMonitor,
  type HackingMonitorState,
  type Observation,
  restoreHackingMonitor,
} from '../monitor/hacking.ts';
import type { ReferenceCompletion } from '../monitor/signals.ts';
import type { RunEvent } from '../run/events.ts';
import { trainedParameters } from '../run/gradient-learner.ts';

export interface HealthOptions {
  onAlarm: AlarmAction;
  /** Hard limit of the sequence KL, nats per completion. */
  klBudget?: number;
  completionsPerPrompt: number;
}

/** What is to become of the run. */
interface Outlook {
  /** Present: the run ends, for this reason, with the last healthy weights where there are any. */
  stop?: string;
  /** β is multiplied by it. */
  betaFactor: number;
}

export interface Health {
  readonly ngrams: ReferenceNgrams;
  readonly alarms: number;
  /** By parameter; undefined before the first healthy step, and where nothing can go back. */
  readonly healthy: Map<string, Float32Array> | undefined;
  /** Looks at a step's rollouts before anything is learnt from them. @param completions how many */
  check(
    step: number,
    completions: number,
    measures: Observation['measures'],
    record: (event: RunEvent) => void,
  ): Promise<Outlook>;
  /** What to say of a KL in nats that is beyond the limit, if there is one. */
  beyondLimit(kl: number): string | undefined;
  /** Puts the last healthy weights back, if any were kept, and says which those are. */
  goBack(): Promise<string>;
  state(): { monitor: HackingMonitorState; alarms: number; healthyStep: number };
  restore(state: ReturnType<Health['state']>, healthy: Map<string, Float32Array>): void;
}

/** @param completions of the reference, which the monitor learns from */
export function createHealth(
  completions: readonly ReferenceCompletion[],
  policy: Model,
  backend: Backend,
  { onAlarm, klBudget, completionsPerPrompt }: HealthOptions,
): Health {
  let monitor = createHackingMonitor(completions, { action: onAlarm, klBudget, completionsPerPrompt });
  let healthy: Map<string, Float32Array> | undefined;
  /** Updates that the healthy weights have had. */
  let healthyStep = 0;
  let alarms = 0;

  const trained = trainedParameters(policy);

  async function keepWeights(step: number): Promise<void> {
    if (klBudget === undefined && onAlarm !== 'rollback') return;
    await backend.download([...trained.values()]);
    healthy ??= new Map([...trained].map(([name, { length }]) => [name, new Float32Array(length)]));
    for (const [name, values] of trained) healthy.get(name)!.set(values);
    healthyStep = step;
  }

  function respond(
    step: number,
    { message, signals, response }: Alarm,
    record: (event: RunEvent) => void,
  ): Outlook {
    alarms += 1;
    record({ type: 'alarm', step: step + 1, signals, message });
    if (response.kind === 'raise-beta') return { betaFactor: response.factor };
    if (response.kind === 'warn') return { betaFactor: 1 };
    if (response.kind === 'stop') healthy = undefined;
    return { stop: message, betaFactor: 1 };
  }

  const beyondLimit = (kl: number) =>
    klBudget === undefined || kl <= klBudget
      ? undefined
      : `the KL of ${kl.toFixed(2)} nats per completion is beyond the limit of ${klBudget}`;

  return {
    ngrams: referenceNgrams(completions),
    get alarms() {
      return alarms;
    },
    get healthy() {
      return healthy;
    },
    async check(step, count, measures, record) {
      const stop = beyondLimit(measures['objective/kl'] ?? 0);
      if (stop !== undefined) return { stop, betaFactor: 1 };
      const { alarm, signals } = monitor.observe({ step, completions: count, measures });
      const isDoubtful = onAlarm === 'rollback' && signals.some(({ isOutside }) => isOutside);
      if (!isDoubtful) await keepWeights(step);
      return alarm ? respond(step, alarm, record) : { betaFactor: 1 };
    },
    beyondLimit,
    async goBack() {
      if (!healthy) return 'the weights stay as they are';
      for (const [name, values] of healthy) trained.get(name)!.set(values);
      await backend.upload([...trained.values()]);
      return `back to the weights after ${healthyStep} steps`;
    },
    state: () => ({ monitor: monitor.state(), alarms, healthyStep }),
    restore(state, weights) {
      monitor = restoreHackingMonitor(state.monitor);
      [alarms, healthyStep] = [state.alarms, state.healthyStep];
      if (weights.size > 0) healthy = weights;
    },
  };
}
