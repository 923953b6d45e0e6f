// The events of every run of a pipeline: curves by metric, alarms, and what kept a run from going as planned.

import { type Pipeline, readRowsIfThere, stageNamed } from './read-pipeline.ts';
import { type Alarm, type Curve, type Incident, keyOf, type Report } from './report-json.ts';

interface Step {
  step: number;
  tokens?: number;
  metrics: Record<string, number>;
}

interface RunEvents extends Pick<Incident, 'stopped' | 'skipped'> {
  steps: Step[];
  alarms: Alarm[];
}

/** By stage; of those that have begun. */
export type StageEvents = Record<string, RunEvents>;

type Row = Record<string, unknown>;

export async function readEvents(pipeline: Pipeline): Promise<StageEvents> {
  const events: StageEvents = {};
  for (const { name } of pipeline.stages) {
    const rows = await readRowsIfThere(stageNamed(pipeline, name), 'events.jsonl');
    if (rows.length === 0) continue;
    const ofType = (wanted: string) => rows.filter(({ type }) => type === wanted);
    events[name] = {
      steps: ofType('step').map(readStep),
      alarms: ofType('alarm').map(readAlarm),
      stopped: ofType('stopped').map(readStopped).at(-1),
      skipped: readSkipped(ofType('skipped')),
    };
  }
  return events;
}

/** Counts and rates of tokens are costs, and no curves. */
const notCurves = ['step', 'tokens', 'tokensPerSecond'];

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

/** Updates alone: rows that were left out are told with the data. */
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
  return Object.fromEntries(runs.map(([name, { steps }]) => [keyOf(name), curvesOf(steps)]));
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

/** What runs call the figures that only the world can judge: watched while training, and never learnt from. */
const judgedNames = {
  gold: ['gold/gold', 'watch/gold'],
  pass_rate: ['gold/pass_rate', 'watch/pass'],
} as const;

/** Gold or pass rate along a run, where it was watched. */
export function judgedCurve(
  metrics: Record<string, Curve> | undefined,
  figure: keyof typeof judgedNames,
): Curve | undefined {
  const name = judgedNames[figure].find((each) => metrics?.[each]);
  return name && metrics?.[name];
}
