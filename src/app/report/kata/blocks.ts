// Blocks that kata adds to sections: coaching, overlap of training and held-out problems, and what hacking looks like.

import {
  type Bilingual,
  type Form,
  fixed,
  joined,
  percent,
  plain,
  points,
  say as sayAny,
  signed,
  significant,
  wholePercent,
  withBounds,
} from '../bilingual.ts';
import { lineChart, type Series } from '../charts/line-chart.ts';
import { watchedCurve } from '../curves.ts';
import type { Block, Chart } from '../document.ts';
import type { Names } from '../names.ts';
import type { Curve, Report } from '../report-json.ts';
import { figureTable } from '../sections/figures.ts';
import { answersBlock } from '../sections/samples.ts';
import type { World } from '../world.ts';
import { freeOf } from './samples.ts';
import { type KataWord, kataWords, say } from './words.ts';

export const passMetrics = ['gold/pass_rate', 'watch/pass'] as const;

export function coachingBlocks({ coaching }: Report, names: Names): Block[] {
  const rows = Object.entries(coaching).map(([name, { right, majority }]) => [
    { text: names.full(name), hue: names.hue(name) },
    { text: plain(withBounds(right, percent)) },
    { text: plain(withBounds(majority, percent)) },
  ]);
  if (rows.length === 0) return [];
  const columns = [
    { label: sayAny('metric.method'), isNumber: false },
    { label: say('coaching.right'), isNumber: true },
    { label: say('coaching.majority'), isNumber: true },
  ];
  return [
    { kind: 'heading', text: say('coaching.table') },
    { kind: 'table', columns, rows },
  ];
}

export function overlapBlocks({ overlap }: Report): Block[] {
  if (!overlap) return [];
  const rows = Object.entries(overlap).flatMap(([key, value]) => {
    if (typeof value !== 'number') return [];
    const word = `overlap.${key}`;
    const name = Object.hasOwn(kataWords, word) ? say(word as KataWord) : plain(key.replaceAll('_', ' '));
    return [{ name, text: key.endsWith('rate') ? percent(value) : String(value) }];
  });
  return [
    { kind: 'heading', text: say('reward.overlap') },
    figureTable(rows),
    { kind: 'text', text: say('reward.overlap.note'), isNote: true },
  ];
}

/** What a run without KL penalty did to proxy and tests, and its answers that please the reward model and fail. */
export function hackingBlocks(world: () => World) {
  return (report: Report, names: Names): Block[] => {
    const both = freeOf(report.stages).flatMap((name): Block[] => {
      const { change: { proxy, pass_rate } = {}, against = '' } = report.methods[name] ?? {};
      if (!proxy || !pass_rate) return [];
      const shown = {
        method: names.full(name),
        start: names.full(against),
        proxy: withBounds(proxy, signed(fixed(2))),
        pass: withBounds(pass_rate, signed(points)),
      };
      return [{ kind: 'text', text: say('hacking.both', shown) }];
    });
    const charts = alongTraining(report, names);
    const samples = report.hacked.map((sample, i) => answersBlock(sample, i + 1, i === 0, names, world()));
    return [
      ...both,
      ...(charts.length > 0
        ? ([
            { kind: 'heading', text: say('hacking.falling') },
            { kind: 'charts', charts, columns: 2 },
          ] satisfies Block[])
        : []),
      ...(samples.length > 0 ? [{ kind: 'heading' as const, text: say('hacking.samples') }, ...samples] : []),
    ];
  };
}

/** What is optimised and what is meant, step by step, of every run that was watched. */
function alongTraining({ curves }: Report, names: Names): Chart[] {
  const runs = Object.keys(curves).filter((name) => hasCourse(watchedCurve(curves[name], passMetrics)));
  const proxy = { title: sayAny('metric.proxy'), y: sayAny('axis.score'), form: significant };
  const passRate = { title: say('metric.pass_rate'), y: say('metric.pass_rate'), form: wholePercent };
  return [
    ...courseOf(proxy, runs, (name) => curves[name]['objective/scores'], names),
    ...courseOf(passRate, runs, (name) => watchedCurve(curves[name], passMetrics), names),
  ];
}

function hasCourse(curve: Curve | undefined): curve is Curve {
  return curve !== undefined && curve.steps.length > 1;
}

function courseOf(
  { title, y, form }: { title: Bilingual; y: Bilingual; form: Form },
  names: readonly string[],
  curveOf: (name: string) => Curve | undefined,
  { full, hue }: Names,
): Chart[] {
  const runs = names.flatMap((name) => {
    const curve = curveOf(name);
    return hasCourse(curve) ? [{ name: full(name), hue: hue(name), curve }] : [];
  });
  if (runs.length === 0) return [];
  const series = runs.map(({ name, hue, curve: { steps, values } }): Series => {
    return { name: name.en, hue, look: 'trend', points: steps.map((step, i) => [step, values[i]] as const) };
  });
  const ends = runs.map(({ name, curve: { values } }) =>
    joined([name, plain(`${form(values[0])} → ${form(values[values.length - 1])}`)]),
  );
  return [
    {
      title,
      svg: lineChart({ x: sayAny('axis.steps'), y, yForm: form, xWord: 'step', series }),
      summary: joined(ends, '; '),
      legend: runs.map(({ name, hue }) => ({ name, hue })),
    },
  ];
}
