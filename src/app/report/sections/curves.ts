// 4. Curves: the loss of every run, and what several runs have in common, such as reward, KL and length.

import { type Bilingual, joined, plain, say, significant } from '../bilingual.ts';
import { lineChart, type Series } from '../charts/line-chart.ts';
import type { Chart, Hue, Section } from '../document.ts';
import type { Names } from '../names.ts';
import type { Curve, Report } from '../report-json.ts';
import type { StageRole } from '../roles.ts';

interface Line {
  stage: string;
  metric: string;
  hue: Hue;
  /** Where several lines share a chart. */
  name?: Bilingual;
}

interface ChartPlan {
  title: Bilingual;
  y: Bilingual;
  lines: readonly Line[];
  note?: Bilingual;
}

/** Metrics that are drawn for all runs that have them, in one chart. */
const shared = [
  { title: 'curve.accuracy', metric: 'rewards/accuracies', y: 'axis.share' },
  { title: 'curve.proxy', metric: 'objective/scores', y: 'axis.score' },
  { title: 'curve.kl', metric: 'objective/kl', y: 'axis.natsAnswer' },
  { title: 'curve.length', metric: 'length', y: 'axis.tokens' },
] as const;

export function curvesSection({ curves, stages }: Report, names: Names): Section | undefined {
  const runs = stages.filter(({ name }) => curves[name]);
  const plans = [
    ...runs.flatMap((run) => lossPlan(run, curves[run.name], names)),
    ...runs.flatMap(({ name }) => logProbsPlan(name, names)),
    ...shared.map(({ title, metric, y }) => ({
      title: say(title),
      y: say(y),
      lines: runs.map(({ name }) => ({ stage: name, metric, hue: names.hue(name), name: names.full(name) })),
    })),
  ];
  const charts = plans.flatMap((plan) => drawChart(plan, curves));
  if (charts.length === 0) return undefined;
  return {
    id: 'curves',
    title: say('curves.title'),
    short: say('curves.short'),
    blocks: [
      { kind: 'text', text: say('curves.lead') },
      { kind: 'charts', charts, columns: 3 },
    ],
  };
}

/** The loss of a policy that learns from its own rollouts says little: their reward and KL are drawn instead. */
function lossPlan({ name }: StageRole, metrics: Record<string, Curve>, names: Names): ChartPlan[] {
  if (metrics['objective/kl']) return [];
  const perPair = metrics['rewards/accuracies'] !== undefined;
  return [
    {
      title: say('curve.loss', { stage: names.full(name) }),
      y: say(perPair ? 'axis.natsPair' : 'axis.nats'),
      lines: [{ stage: name, metric: 'loss', hue: names.hue(name) }],
    },
  ];
}

function logProbsPlan(stage: string, names: Names): ChartPlan[] {
  return [
    {
      title: say('curve.logps', { stage: names.full(stage) }),
      y: say('axis.natsAnswer'),
      note: say('curve.logps.note'),
      lines: [
        { stage, metric: 'logps/chosen', hue: 'good', name: say('tokens.chosen') },
        { stage, metric: 'logps/rejected', hue: 'bad', name: say('tokens.rejected') },
      ],
    },
  ];
}

function drawChart({ title, y, lines, note }: ChartPlan, curves: Report['curves']): Chart[] {
  const known = lines.flatMap((line) => {
    const curve = curves[line.stage]?.[line.metric];
    return curve && curve.steps.length > 1 ? [{ ...line, curve }] : [];
  });
  if (known.length === 0) return [];
  const series = known.map(
    ({ hue, name, metric, curve }): Series => ({
      name: name?.en ?? metric,
      hue,
      look: 'trend',
      points: curve.steps.map((step, i) => [step, curve.values[i]] as const),
    }),
  );
  const named = known.filter(({ name }) => name);
  return [
    {
      title,
      svg: lineChart({ x: say('axis.steps'), y, xWord: 'step', series }),
      summary: joined(
        known.map(({ name, curve }) => joined([...(name ? [name] : []), plain(course(curve))], ' ')),
        '; ',
      ),
      legend: named.length > 0 ? named.map(({ name, hue }) => ({ name: name!, hue })) : undefined,
      note,
    },
  ];
}

/** From the first value to the last. */
function course({ steps, values }: Curve): string {
  return `${significant(values[0])} → ${significant(values[values.length - 1])} (${steps[steps.length - 1]})`;
}
