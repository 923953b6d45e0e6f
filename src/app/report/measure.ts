// The report's figures, gathered from the folders of a pipeline. Nothing is rounded and nothing is drawn here.

import type { Answer } from '../../align/evaluation/answers.ts';
import { changesOf, pairUp } from '../../align/evaluation/compare.ts';
import type { Metrics, Summary } from '../../align/evaluation/summary.ts';
import { correlationInterval, type Interval } from '../../align/scoring/intervals.ts';
import { readCurves, readEvents, type StageEvents } from './curves.ts';
import { incidentsOf } from './incidents.ts';
import { methodCosts } from './method-costs.ts';
import { overoptimisationOf } from './overoptimisation.ts';
import { type Pipeline, readJsonIfThere, readRowsIfThere, type Stage, stageNamed } from './read-pipeline.ts';
import {
  type Figures,
  type MethodName,
  type MethodReport,
  methodNames,
  ppoNames,
  type Report,
  type RewardModelReport,
  type StageCost,
  stageOf,
} from './report-json.ts';
import { chooseHacked, chooseSamples, readHeldOut } from './samples.ts';

/** One stage `eval-…`: its summary, and its answers in the order of the requests. */
interface Evaluation {
  folder: string;
  metrics: Metrics;
  coaching?: { right: Interval; majority: Interval };
  answers: Answer[];
}

export async function measurePipeline(pipeline: Pipeline): Promise<Report> {
  const evaluations = await readEvaluations(pipeline);
  const events = await readEvents(pipeline);
  const requests = await readHeldOut(pipeline);
  const answers = mapValues(evaluations, (evaluation) => evaluation.answers);
  const curves = readCurves(events);
  return {
    recipe: pipeline.recipe,
    seed: pipeline.seed,
    methods: await methodReports(pipeline, evaluations, events),
    reward_model: await rewardModelReport(pipeline, evaluations.sft?.answers ?? []),
    labels: await labelsOf(pipeline),
    coaching: coachingOf(evaluations),
    alarms: alarmsOf(events),
    incidents: incidentsOf(pipeline, events),
    overlap: await overlapOf(pipeline),
    curves,
    overoptimisation: overoptimisationOf(curves),
    samples: chooseSamples(requests, answers),
    hacked: chooseHacked(requests, answers),
    costs: costsOf(pipeline, events),
  };
}

async function readEvaluations(pipeline: Pipeline): Promise<Partial<Record<MethodName, Evaluation>>> {
  const evaluations: Partial<Record<MethodName, Evaluation>> = {};
  for (const name of methodNames) {
    const stage = stageNamed(pipeline, `eval-${stageOf(name)}`);
    const summary = await readJsonIfThere(stage, 'summary.json');
    if (!summary) continue;
    const { metrics, coaching } = summary as unknown as Summary;
    const answers = (await readRowsIfThere(stage, 'answers.jsonl')).map(withoutNulls) as unknown as Answer[];
    evaluations[name] = { folder: stage!.folder, metrics: withoutNulls(metrics), coaching, answers };
  }
  return evaluations;
}

/** What was not measured may be written as null. */
function withoutNulls<T extends object>(record: T): T {
  const known = Object.entries(record).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(known) as T;
}

async function methodReports(
  pipeline: Pipeline,
  evaluations: Partial<Record<MethodName, Evaluation>>,
  events: StageEvents,
): Promise<Report['methods']> {
  const baseline = evaluations.sft;
  const reports: Report['methods'] = {};
  for (const [name, evaluation] of entriesOf(evaluations)) {
    const report: MethodReport = { ...evaluation.metrics };
    if (baseline && name !== 'sft') report.change = changesOf(pairUp(evaluation, baseline));
    const stage = stageNamed(pipeline, stageOf(name));
    if (stage) report.budget = budgetOf(stage, events);
    else if (name === 'base') report.budget = { tokens_generated: 0, tokens_trained: 0 };
    reports[name] = report;
  }
  const continues = await baseContinues(pipeline);
  if (reports.base && continues) reports.base.continues = continues;
  return reports;
}

/** The base is measured twice: asked as the others are, and with the questions as plain texts that it goes on from. */
async function baseContinues(pipeline: Pipeline): Promise<Interval | undefined> {
  const summary = await readJsonIfThere(stageNamed(pipeline, 'continuation'), 'summary.json');
  return (summary as unknown as Summary | undefined)?.metrics.continues;
}

/** A supervised run counts what it trained in its events; the others say it in their result. */
function budgetOf(stage: Stage, events: StageEvents): { tokens_generated: number; tokens_trained: number } {
  const { tokensTrained, tokens } = stage.result;
  const trained = tokensTrained ?? tokens ?? events[stage.name]?.steps.at(-1)?.tokens ?? 0;
  return { tokens_generated: generatedBy(stage) ?? 0, tokens_trained: Number(trained) };
}

/** Training stages and evaluations spell it differently. */
function generatedBy({ result: { tokensGenerated, tokens_generated } }: Stage): number | undefined {
  return (tokensGenerated ?? tokens_generated) as number | undefined;
}

async function rewardModelReport(
  pipeline: Pipeline,
  answers: readonly Answer[],
): Promise<RewardModelReport | undefined> {
  const stage = stageNamed(pipeline, 'reward');
  if (!stage) return undefined;
  const written =
    (await readJsonIfThere(stage, 'quality.json')) ?? (stage.result.quality as Figures | undefined) ?? {};
  const scored = answers.filter(({ proxy, right }) => proxy !== undefined && right === undefined);
  const against = (figure: 'tokens' | 'readability') =>
    correlationInterval(
      scored.flatMap(({ proxy, [figure]: value }) => (value === undefined ? [] : [[proxy!, value] as const])),
    );
  return withoutNulls({
    length_correlation: against('tokens'),
    criterion_correlation: against('readability'),
    ...withoutNulls(written),
  });
}

function coachingOf(evaluations: Partial<Record<MethodName, Evaluation>>): Report['coaching'] {
  const measured = entriesOf(evaluations).filter(([, { coaching }]) => coaching);
  return Object.fromEntries(measured.map(([name, { coaching }]) => [name, coaching]));
}

function alarmsOf(events: StageEvents): Report['alarms'] {
  const begun = ppoNames.filter((name) => events[stageOf(name)]);
  return Object.fromEntries(begun.map((name) => [name, events[stageOf(name)].alarms]));
}

/** Without the model's folder and the tokens: one is a path, the others are costs. */
async function labelsOf(pipeline: Pipeline): Promise<Figures | undefined> {
  const report = await readJsonIfThere(stageNamed(pipeline, 'preferences'), 'report.json');
  if (!report) return undefined;
  const { model: _, tokens_generated: __, ...labels } = report;
  return labels;
}

async function overlapOf(pipeline: Pipeline): Promise<Figures | undefined> {
  return readJsonIfThere(stageNamed(pipeline, 'data'), 'overlap.json');
}

function costsOf(pipeline: Pipeline, events: StageEvents): Report['costs'] {
  const stages = pipeline.stages.map((stage) => stageCost(stage, events));
  const peaks = stages.flatMap(({ peak_memory_bytes }) => peak_memory_bytes ?? []);
  return {
    seconds: stages.reduce((sum, { seconds }) => sum + (seconds ?? 0), 0),
    peak_memory_bytes: peaks.length > 0 ? Math.max(...peaks) : undefined,
    stages,
    methods: methodCosts(stages),
  };
}

function stageCost(stage: Stage, events: StageEvents): StageCost {
  const generated = generatedBy(stage);
  const trained = budgetOf(stage, events).tokens_trained;
  const tokens = (generated ?? 0) + trained;
  const { seconds } = stage;
  return withoutNulls({
    name: stage.name,
    command: stage.command,
    status: stage.status,
    seconds,
    peak_memory_bytes: stage.peakMemoryBytes,
    tokens_generated: generated,
    tokens_trained: trained > 0 ? trained : undefined,
    tokens_per_second: seconds && tokens > 0 ? tokens / seconds : undefined,
  });
}

function entriesOf<Key extends string, Value>(
  record: Partial<Record<Key, Value>>,
): [Key, NonNullable<Value>][] {
  return Object.entries(record) as [Key, NonNullable<Value>][];
}

function mapValues<Key extends string, From, To>(
  record: Partial<Record<Key, From>>,
  change: (value: NonNullable<From>) => To,
): Partial<Record<Key, To>> {
  return Object.fromEntries(entriesOf(record).map(([key, value]) => [key, change(value)])) as Partial<
    Record<Key, To>
  >;
}
