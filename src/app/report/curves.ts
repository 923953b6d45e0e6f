// The events of every run of a pipeline: curves by metric, alarms, and what kept a run from going as planned.

import { join } from 'node:path';
import type { Pipeline } from '../recipe/pipeline-file.ts';
import { readRowsIfThere } from './read-pipeline.ts';
import type { Alarm, Curve, Incident, Report, RoleMemory } from './report-json.ts';

interface Step {
  step: number;
  tokens?: number;
  metrics: Record<string, number>;
}

interface RunEvents extends Pick<Incident, 'stopped' | 'skipped'> {
  steps: Step[];
  alarms: Alarm[];
  /** Bytes by role, as the run reported when it started. */
  memory?: RoleMemory[];
}

/** By stage; of those that have begun. */
export type StageEvents = Record<string, RunEvents>;

type Row = Record<string, unknown>;

export async function readEvents(pipeline: Pipeline): Promise<StageEvents> {
  const events: StageEvents = {};
  for (const { name, folder } of pipeline.stages) {
    const rows = await readRowsIfThere(join(folder, 'events.jsonl'));
    if (rows.length === 0) continue;
    const ofType = (wanted: string) => rows.filter(({ type }) => type === wanted);
    events[name] = {
      steps: ofType('step').map(readStep),
      alarms: ofType('alarm').map(readAlarm),
      stopped: ofType('stopped').map(readStopped).at(-1),
      skipped: readSkipped(ofType('skipped')),
      memory: ofType('started')[0]?.memory as RoleMemory[] | undefined,
    };
  }
  return events;
}

/** Counts and rates of tokens are costs, and no curves. */
const notCurves = ['step', 'tokens', 'tokens_per_second'];

function readStep(row: Row): Step {
  const { step, tokens, metrics = {} } = row;
  const figures = { ...row, ...(metrics as object) };
  const numbers = Object.entries(figures).filter(
    ([name, value]) => typeof value === 'number' && !notCurves.includes(name),
  );
  return {
    step: step as number,
    tokens: tokens as number | undefined,
    metrics: Object.fromEntries(numbers) as Record<string, number>,
  };
}

function readAlarm({ step, signals, message }: Row): Alarm {
  return {
    step: step as number,
    signals: (signals ?? []) as Alarm['signals'],
    message: String(message ?? ''),
  };
}

function readStopped({ step, reason }: Row): Incident['stopped'] {
  return { step: step as number, reason: String(reason ?? '') };
}

/** Updates alone: rows that were skipped are reported with the data. */
function readSkipped(rows: readonly Row[]): Incident['skipped'] {
  const updates = rows.filter(({ what }) => what === 'update');
  if (updates.length === 0) return undefined;
  return {
    updates: updates.reduce((sum, { count }) => sum + Number(count ?? 1), 0),
    reason: String(updates[0].reason ?? ''),
  };
}

export function readCurves(events: StageEvents): Report['curves'] {
  const runs = Object.entries(events).filter(([, { steps }]) => steps.length > 0);
  return Object.fromEntries(runs.map(([name, { steps }]) => [name, curvesOf(steps)]));
}

function curvesOf(steps: readonly Step[]): Record<string, Curve> {
  const curves: Record<string, Curve> = {};
  for (const { step, metrics } of steps) {
    for (const [name, value] of Object.entries(metrics)) {
      curves[name] ??= { steps: [], values: [] };
      curves[name].steps.push(step);
      curves[name].values.push(value);
    }
  }
  return curves;
}

/** Whether a run learns from answers of its own while a monitor watches: PPO, and what measures its KL as PPO does. */
export function isRollouts(command: string, { steps, alarms }: RunEvents): boolean {
  return command === 'ppo' || alarms.length > 0 || steps.some(({ metrics }) => 'objective/kl' in metrics);
}

/** A figure that only a world can judge, along a run: the first of these metrics that the run has. */
export function watchedCurve(
  metrics: Record<string, Curve> | undefined,
  names: readonly string[] = [],
): Curve | undefined {
  const name = names.find((each) => metrics?.[each]);
  return name === undefined ? undefined : metrics?.[name];
}
