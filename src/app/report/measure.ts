// The report's figures, gathered from the folders of a pipeline. Nothing is rounded and nothing is drawn here.

import type { Answer } from '../../align/evaluation/answers.ts';
import { changesOf, pairUp } from '../../align/evaluation/compare.ts';
import { correlationInterval, type Interval } from '../../align/scoring/intervals.ts';
import type { Pipeline, PipelineStage } from '../recipe/pipeline-file.ts';
import { namesReferredTo } from '../recipe/references.ts';
import { isRollouts, readCurves, readEvents, type StageEvents } from './curves.ts';
import { baselineOf, type Evaluation, readEvaluations, withoutNulls } from './evaluations.ts';
import { incidentsOf } from './incidents.ts';
import { methodCosts } from './method-costs.ts';
import { overoptimisationOf } from './overoptimisation.ts';
import { readJsonIfThere, stagesBy } from './read-pipeline.ts';
import type { Figures, MethodReport, Report, RewardModelReport, StageCost } from './report-json.ts';
import { methodsOf, rolesOf, type StageRole } from './roles.ts';
import { firstSamples } from './samples.ts';
import type { World } from './world.ts';
import { worldIn, worldNamed } from './worlds.ts';

export async function measurePipeline(pipeline: Pipeline): Promise<Report> {
  const roles = rolesOf(pipeline.stages);
  const { evaluations, continuations } = await readEvaluations(pipeline, roles);
  const events = await readEvents(pipeline);
  const curves = readCurves(events);
  const name = worldIn(pipeline);
  const world = worldNamed(name);
  const report: Report = {
    ...{ recipe: pipeline.recipe, seed: pipeline.seed },
    ...(name !== undefined && { world: name }),
    stages: roles,
    methods: methodReports(pipeline, roles, { evaluations, continuations }, events),
    reward_models: await rewardModelReports(pipeline, evaluations, world),
    labels: await labelsOf(pipeline),
    coaching: {},
    alarms: alarmsOf(pipeline, events),
    incidents: incidentsOf(pipeline, events),
    curves,
    overoptimisation: overoptimisationOf(curves, world.watched),
    samples: firstSamples(evaluations),
    hacked: [],
    costs: costsOf(pipeline, roles, events),
  };
  return { ...report, ...(await world.measure(pipeline, report, evaluations)) };
}

function methodReports(
  pipeline: Pipeline,
  roles: readonly StageRole[],
  {
    evaluations,
    continuations,
  }: { evaluations: readonly Evaluation[]; continuations: readonly Evaluation[] },
  events: StageEvents,
): Report['methods'] {
  const reports: Report['methods'] = {};
  for (const evaluation of evaluations) {
    const { key, of, metrics } = evaluation;
    const baseline = baselineOf(evaluation, evaluations, roles);
    const stage = pipeline.stages.find(({ name }) => name === key);
    const report: MethodReport = { ...metrics };
    if (baseline) {
      report.change = changesOf(pairUp(evaluation, baseline));
      report.against = baseline.of;
    }
    if (stage && key === of) report.budget = budgetOf(stage, events);
    else if (key === of) report.budget = { tokens_generated: 0, tokens_trained: 0 };
    reports[key] = report;
  }
  // A base model may be measured twice: asked as the others are, and with the questions as plain texts to go on from.
  for (const { key, of, metrics } of continuations) {
    const known = of === undefined ? undefined : reports[of];
    if (known && metrics.continues) known.continues = metrics.continues;
    else if (!known) reports[key] = metrics;
  }
  return reports;
}

/** A supervised run counts what it trained in its events; the others say it in their result. */
function budgetOf(
  { name, result }: PipelineStage,
  events: StageEvents,
): { tokens_generated: number; tokens_trained: number } {
  const { tokensGenerated = 0, tokensTrained, tokens } = result ?? {};
  const trained = tokensTrained ?? tokens ?? events[name]?.steps.at(-1)?.tokens ?? 0;
  return { tokens_generated: Number(tokensGenerated), tokens_trained: Number(trained) };
}

async function rewardModelReports(
  pipeline: Pipeline,
  evaluations: readonly Evaluation[],
  world: World,
): Promise<Report['reward_models']> {
  const reports: Report['reward_models'] = {};
  for (const stage of stagesBy(pipeline, 'reward')) {
    const written = await readJsonIfThere(stage, 'quality.json');
    const scored = answersScoredBy(stage, evaluations, pipeline);
    reports[stage.name] = withoutNulls<RewardModelReport>({
      length_correlation: correlationWith(scored, ({ tokens }) => tokens),
      ...world.correlations(scored),
      ...withoutNulls(written ?? (stage.result?.quality as Figures | undefined) ?? {}),
    });
  }
  return reports;
}

/** Those of the model that the reward model was made from, where an evaluation asked this reward model. */
function answersScoredBy(
  { name, options }: PipelineStage,
  evaluations: readonly Evaluation[],
  { stages }: Pipeline,
): Answer[] {
  const [maker] = namesReferredTo(options.model);
  const own = evaluations.find(
    ({ of, stage }) =>
      of === maker && stages.includes(stage) && namesReferredTo(stage.options.reward)[0] === name,
  );
  return (own?.answers ?? []).filter(({ proxy, right }) => proxy !== undefined && right === undefined);
}

function correlationWith(
  scored: readonly Answer[],
  figure: (answer: Answer) => number | undefined,
): Interval | undefined {
  return correlationInterval(
    scored.flatMap((answer) => {
      const value = figure(answer);
      return value === undefined ? [] : [[answer.proxy!, value] as const];
    }),
  );
}

function alarmsOf({ stages }: Pipeline, events: StageEvents): Report['alarms'] {
  const begun = stages.filter(({ name, command }) => events[name] && isRollouts(command, events[name]));
  return Object.fromEntries(begun.map(({ name }) => [name, events[name].alarms]));
}

/** Without the model's folder and the tokens: one is a path, the others are costs. */
async function labelsOf(pipeline: Pipeline): Promise<Report['labels']> {
  const reports: Report['labels'] = {};
  for (const stage of stagesBy(pipeline, 'label')) {
    const report = await readJsonIfThere(stage, 'report.json');
    if (!report) continue;
    const { model: _, tokens_generated: __, ...labels } = report;
    reports[stage.name] = labels;
  }
  return reports;
}

function costsOf(pipeline: Pipeline, roles: readonly StageRole[], events: StageEvents): Report['costs'] {
  const stages = pipeline.stages.map((stage) => stageCost(stage, events));
  const peaks = stages.flatMap(({ peak_memory_bytes }) => peak_memory_bytes ?? []);
  return {
    seconds: stages.reduce((sum, { seconds }) => sum + (seconds ?? 0), 0),
    peak_memory_bytes: peaks.length > 0 ? Math.max(...peaks) : undefined,
    stages,
    methods: methodCosts(stages, methodsOf(roles)),
  };
}

function stageCost(stage: PipelineStage, events: StageEvents): StageCost {
  const generated = stage.result?.tokensGenerated as number | undefined;
  const trained = budgetOf(stage, events).tokens_trained;
  const tokens = (generated ?? 0) + trained;
  const seconds = stage.seconds ?? undefined;
  return withoutNulls({
    name: stage.name,
    command: stage.command,
    status: stage.status,
    seconds,
    peak_memory_bytes: stage.peakMemoryBytes ?? undefined,
    tokens_generated: generated,
    tokens_trained: trained > 0 ? trained : undefined,
    tokens_per_second: seconds && tokens > 0 ? tokens / seconds : undefined,
    memory: events[stage.name]?.memory,
  });
}
