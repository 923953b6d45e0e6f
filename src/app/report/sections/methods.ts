// 5. The methods side by side: a table of figures with budgets, and the changes against SFT.

import type { Changes } from '../../../align/evaluation/compare.ts';
import type { Interval } from '../../../align/scoring/intervals.ts';
import {
  count,
  type Form,
  fixed,
  joined,
  percent,
  plain,
  points,
  say,
  signed,
  withBounds,
} from '../bilingual.ts';
import { forestChart } from '../charts/forest-chart.ts';
import type { Block, Cell, Chart, Section } from '../document.ts';
import type { MethodReport, Report } from '../report-json.ts';
import { measured, methodName, nothing } from './methods-of.ts';

const figures = [
  { name: 'pass_rate', form: percent },
  { name: 'gold', form: fixed(3) },
  { name: 'readability', form: fixed(3) },
  { name: 'proxy', form: fixed(2) },
  { name: 'kl', form: fixed(2) },
  { name: 'length', form: fixed(1) },
  { name: 'eos_rate', form: percent },
] as const;

export function methodsSection(report: Report): Section | undefined {
  if (measured(report).length === 0) return undefined;
  const charts = changeCharts(report);
  return {
    id: 'methods',
    title: say('methods.title'),
    short: say('methods.short'),
    blocks: [
      { kind: 'text', text: say('methods.lead') },
      { kind: 'heading', text: say('methods.table') },
      tableOf(report),
      { kind: 'text', text: say('methods.budgets'), isNote: true },
      ...(charts.length > 0
        ? ([
            { kind: 'heading', text: say('methods.changes') },
            { kind: 'charts', charts, columns: 3 },
          ] satisfies Block[])
        : []),
    ],
  };
}

function tableOf(report: Report): Block {
  const methods = measured(report);
  const shown = figures.filter(({ name }) => methods.some(({ method }) => method[name]));
  const label = (text: ReturnType<typeof say>, isNumber = true) => ({ label: text, isNumber });
  return {
    kind: 'table',
    columns: [
      label(say('metric.method'), false),
      ...shown.map(({ name }) => label(say(`metric.${name}`))),
      label(say('metric.win_rate')),
      label(say('metric.generated')),
      label(say('metric.trained')),
    ],
    rows: methods.map(({ name, method }) => [
      { text: methodName(name), hue: name },
      ...shown.map((figure) => intervalCell(method[figure.name], figure.form)),
      intervalCell(method.change?.win_rate, percent),
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

const changes = [
  { name: 'pass_rate', form: signed(points), neutral: 0, axisForm: (x: number) => signed(fixed(0))(100 * x) },
  { name: 'gold', form: signed(fixed(3)), neutral: 0, axisForm: signed(fixed(2)) },
  { name: 'win_rate', form: percent, neutral: 0.5, axisForm: (x: number) => `${fixed(0)(100 * x)}%` },
  { name: 'readability', form: signed(fixed(3)), neutral: 0, axisForm: signed(fixed(2)) },
  { name: 'proxy', form: signed(fixed(2)), neutral: 0, axisForm: signed(fixed(1)) },
  { name: 'length', form: signed(fixed(1)), neutral: 0, axisForm: signed(fixed(0)) },
] as const satisfies readonly {
  name: keyof Changes;
  form: Form;
  neutral: number;
  axisForm: Form;
}[];

/** The base model stands apart from the others: it would stretch every axis. */
function changeCharts(report: Report): Chart[] {
  const methods = measured(report).filter(({ name }) => name !== 'base' && name !== 'sft');
  return changes.flatMap(({ name, form, neutral, axisForm }) => {
    const rows = methods.flatMap((each) => {
      const interval = each.method.change?.[name];
      return interval ? [{ name: methodName(each.name), hue: each.name, interval }] : [];
    });
    if (rows.length === 0) return [];
    return {
      title: say(`methods.change.${name}`),
      svg: forestChart({ rows, form, neutral, axisForm }),
      summary: joined(
        rows.map((row) => joined([row.name, plain(withBounds(row.interval, form))])),
        '; ',
      ),
    };
  });
}
