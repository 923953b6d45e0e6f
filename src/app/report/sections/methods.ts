// 5. The models side by side: a table of figures with budgets, and the changes against the model that they started from.

import type { Interval } from '../../../align/scoring/intervals.ts';
import {
  type Bilingual,
  count,
  type Form,
  fixed,
  joined,
  percent,
  plain,
  say,
  signed,
  withBounds,
} from '../bilingual.ts';
import { forestChart } from '../charts/forest-chart.ts';
import type { Block, Cell, Chart, Section } from '../document.ts';
import type { Names } from '../names.ts';
import type { MethodReport, Report } from '../report-json.ts';
import { methodsOf } from '../roles.ts';
import type { ChangeFigure, Figure, World } from '../world.ts';
import { nothing } from './figures.ts';

/** What every evaluation may hold. */
export const commonFigures: readonly Figure[] = [
  { name: 'proxy', label: say('metric.proxy'), form: fixed(2) },
  { name: 'kl', label: say('metric.kl'), form: fixed(2) },
  { name: 'length', label: say('metric.length'), form: fixed(1) },
  { name: 'eos_rate', label: say('metric.eos_rate'), form: percent },
];

export const commonChanges: readonly ChangeFigure[] = [
  {
    ...{ name: 'proxy', title: say('methods.change.proxy'), form: signed(fixed(2)), neutral: 0 },
    axisForm: signed(fixed(1)),
  },
  {
    ...{ name: 'length', title: say('methods.change.length'), form: signed(fixed(1)), neutral: 0 },
    axisForm: signed(fixed(0)),
  },
];

export function methodsSection(report: Report, names: Names, world: World): Section | undefined {
  if (Object.keys(report.methods).length === 0) return undefined;
  const changes = [...world.changes, ...commonChanges];
  const charts = changeCharts(report, names, changes);
  return {
    id: 'methods',
    title: say('methods.title'),
    short: say('methods.short'),
    blocks: [
      { kind: 'text', text: world.words.methods },
      { kind: 'heading', text: say('methods.table') },
      tableOf(report, names, [...world.figures, ...commonFigures], changes),
      { kind: 'text', text: say('methods.budgets'), isNote: true },
      ...(charts.length > 0
        ? ([
            { kind: 'heading', text: changesTitle(report, names) },
            { kind: 'charts', charts, columns: 3 },
          ] satisfies Block[])
        : []),
    ],
  };
}

function changesTitle({ methods }: Report, names: Names): Bilingual {
  const starts = new Set(Object.values(methods).flatMap(({ against }) => against ?? []));
  const [start] = starts;
  if (starts.size > 1) return say('methods.changes.own');
  return say('methods.changes', { start: names.full(start) });
}

function tableOf(
  { methods }: Report,
  names: Names,
  figures: readonly Figure[],
  changes: readonly ChangeFigure[],
): Block {
  const measured = Object.entries(methods);
  const shown = figures.filter(({ name }) => measured.some(([, method]) => method[name]));
  const changed = changes.filter(
    ({ name, column }) => column && measured.some(([, { change }]) => change?.[name]),
  );
  const label = (text: Bilingual, isNumber = true) => ({ label: text, isNumber });
  return {
    kind: 'table',
    columns: [
      label(say('metric.method'), false),
      ...shown.map((figure) => label(figure.label)),
      ...changed.map(({ column }) => label(column!)),
      label(say('metric.generated')),
      label(say('metric.trained')),
    ],
    rows: measured.map(([name, method]) => [
      { text: names.full(name), hue: names.hue(name) },
      ...shown.map((figure) => intervalCell(method[figure.name], figure.form)),
      ...changed.map((figure) => intervalCell(method.change?.[figure.name], figure.form)),
      ...budgetCells(method),
    ]),
  };
}

function intervalCell(interval: Interval | undefined, form: Form): Cell {
  return interval ? { text: plain(withBounds(interval, form)) } : nothing;
}

function budgetCells({ budget }: MethodReport): Cell[] {
  if (!budget) return [nothing, nothing];
  return [budget.tokens_generated, budget.tokens_trained].map((tokens) => ({ text: plain(count(tokens)) }));
}

/** Where there are methods, of them alone: a base model would stretch every axis. */
function changeCharts({ stages, methods }: Report, names: Names, changes: readonly ChangeFigure[]): Chart[] {
  const own = methodsOf(stages).filter(({ name }) => methods[name]?.change);
  const modelOf = (key: string) =>
    methods[key] && (stages.find(({ name, role }) => name === key && role === 'evaluation')?.from ?? key);
  const charted = Object.keys(methods).filter(
    (key) => own.length === 0 || own.some(({ name }) => name === modelOf(key)),
  );
  return changes.flatMap(({ name, title, form, neutral, axisForm }) => {
    const rows = charted.flatMap((key) => {
      const interval = methods[key].change?.[name];
      return interval ? [{ name: names.full(key), hue: names.hue(key), interval }] : [];
    });
    if (rows.length === 0) return [];
    return {
      title,
      svg: forestChart({ rows, form, neutral, axisForm }),
      summary: joined(
        rows.map((row) => joined([row.name, plain(withBounds(row.interval, form))])),
        '; ',
      ),
    };
  });
}
