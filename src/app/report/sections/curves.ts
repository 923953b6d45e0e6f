// 4. Curves: the loss of every stage that has one, and reward, KL and length along the PPO runs.

import { type Bilingual, joined, plain, say, significant } from '../bilingual.ts';
import { lineChart, type Series } from '../charts/line-chart.ts';
import type { Chart, Hue, Section } from '../document.ts';
import { type Curve, ppoNames, type Report } from '../report-json.ts';
import { methodName } from './methods-of.ts';

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

const lossCharts = [
  { stage: 'pretrain', hue: 'base', y: 'axis.nats' },
  { stage: 'sft', hue: 'sft', y: 'axis.nats' },
  { stage: 'reward', hue: 'quiet', y: 'axis.natsPair' },
  { stage: 'reject', hue: 'reject', y: 'axis.nats' },
  { stage: 'dpo', hue: 'dpo', y: 'axis.natsPair' },
] as const;

const ppoCharts = [
  { title: 'curve.proxy', metric: 'objective/scores', y: 'axis.score' },
  { title: 'curve.kl', metric: 'objective/kl', y: 'axis.natsAnswer' },
  { title: 'curve.length', metric: 'length', y: 'axis.tokens' },
] as const;

export function curvesSection({ curves }: Report): Section | undefined {
  const plans: ChartPlan[] = [
    ...lossCharts.map(({ stage, hue, y }) => ({
      title: say(`curve.${stage}`),
      y: say(y),
      lines: [{ stage, metric: 'loss', hue }],
    })),
    {
      title: say('curve.accuracy'),
      y: say('axis.share'),
      lines: [
        { stage: 'reward', metric: 'rewards/accuracies', hue: 'quiet', name: say('pipeline.name.reward') },
        { stage: 'dpo', metric: 'rewards/accuracies', hue: 'dpo', name: say('method.dpo') },
      ],
    },
    {
      title: say('curve.logps'),
      y: say('axis.natsAnswer'),
      note: say('curve.logps.note'),
      lines: [
        { stage: 'dpo', metric: 'logps/chosen', hue: 'good', name: say('tokens.chosen') },
        { stage: 'dpo', metric: 'logps/rejected', hue: 'bad', name: say('tokens.rejected') },
      ],
    },
    ...ppoCharts.map(({ title, metric, y }) => ({
      title: say(title),
      y: say(y),
      lines: ppoNames.map((name) => ({ stage: name, metric, hue: name, name: methodName(name) })),
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
  const chart = lineChart({ x: say('axis.steps'), y, xWord: 'step', series });
  const named = known.filter(({ name }) => name);
  return [
    {
      title,
      svg: chart,
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
