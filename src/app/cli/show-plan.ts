// --dry-run of a recipe: a table of its stages, what would happen to each, and what it would take.

import { type Forecast, forecastPipeline } from '../recipe/forecast.ts';
import { type Plan, type PlannedStage, shown } from '../recipe/plan-pipeline.ts';
import { resumes } from '../recipe/run-pipeline.ts';
import { stageState } from '../recipe/stage-record.ts';
import { bytesText, countText, secondsText } from './quantity-text.ts';
import type { Terminal } from './terminal.ts';

interface Row {
  stage: PlannedStage;
  status: string;
  forecast: Forecast;
}

/** @param selected the stages to run; default: all. @returns the table as data */
export async function showPlan(
  plan: Plan,
  selected: readonly string[] | undefined,
  terminal: Terminal,
): Promise<object> {
  const forecasts = await forecastPipeline(plan);
  const rows: Row[] = [];
  for (const stage of plan.stages) {
    const status = selected?.includes(stage.name) === false ? 'not selected' : await statusOf(stage);
    rows.push({ stage, status, forecast: forecasts.get(stage.name)! });
  }
  terminal.line(`${plan.path}: ${plan.recipe}, seed ${plan.seed} → ${shown(plan.out)}`);
  terminal.table(
    ['stage', 'command', 'reads', 'status', 'parameters', 'memory', 'time', 'basis'],
    rows.map(tableRow),
  );
  terminal.line(total(rows));
  return { recipe: plan.recipe, seed: plan.seed, out: plan.out, stages: rows.map(jsonRow) };
}

async function statusOf(stage: PlannedStage): Promise<string> {
  const state = await stageState(stage);
  if (state.kind === 'finished') return 'unchanged';
  return resumes(stage, state) ? 'would resume' : 'would run';
}

function tableRow({ stage, status, forecast }: Row): string[] {
  const { parameters, memoryBytes, seconds, basis } = forecast;
  return [
    stage.name,
    stage.command.name,
    stage.reads.join(', ') || '–',
    status,
    parameters === undefined ? '–' : countText(parameters),
    bytesText(memoryBytes),
    secondsText(seconds),
    basis,
  ];
}

function total(rows: readonly Row[]): string {
  const toRun = rows.filter(({ status }) => status.startsWith('would'));
  if (toRun.length === 0) return 'nothing would run';
  const seconds = toRun.reduce((sum, { forecast }) => sum + forecast.seconds, 0);
  const isMeasured = toRun.every(({ forecast }) => forecast.basis === 'measured');
  const share = `${toRun.length} of ${rows.length} stages would run`;
  return `${share}, about ${secondsText(seconds)}${isMeasured ? '' : ' (partly estimated)'}`;
}

function jsonRow({ stage, status, forecast }: Row): object {
  const { parameters = null, memoryBytes, seconds, basis } = forecast;
  const { name, command, key, folder, reads, words } = stage;
  return {
    name,
    command: command.name,
    key,
    folder: shown(folder),
    reads,
    options: words,
    status,
    parameters,
    memory_bytes: memoryBytes,
    seconds,
    basis,
  };
}
