// 9. The reward models, the labels that they learnt from, and what the world adds.

import type { Interval } from '../../../align/scoring/intervals.ts';
import {
  type Bilingual,
  fixed,
  isWord,
  joined,
  percent,
  plain,
  say,
  significant,
  withBounds,
} from '../bilingual.ts';
import { forestChart } from '../charts/forest-chart.ts';
import { lineChart } from '../charts/line-chart.ts';
import type { Block, Chart, Section } from '../document.ts';
import type { Names } from '../names.ts';
import type { Figures, Report, RewardModelReport } from '../report-json.ts';
import type { World } from '../world.ts';
import { figureTable } from './figures.ts';

export function rewardModelSection(report: Report, names: Names, world: World): Section | undefined {
  const blocks = [
    ...Object.entries(report.reward_models).flatMap(([name, own]) =>
      rewardModelBlocks(names.full(name), own),
    ),
    ...Object.entries(report.labels).flatMap(([name, labels]) => figuresBlocks(names.full(name), labels)),
    ...(world.blocks.reward?.(report, names) ?? []),
  ];
  if (blocks.length === 0) return undefined;
  return {
    id: 'reward-model',
    title: say('reward.title'),
    short: say('reward.short'),
    blocks: [{ kind: 'text', text: world.words.reward }, ...blocks],
  };
}

function rewardModelBlocks(title: Bilingual, report: RewardModelReport): Block[] {
  const { accuracy, length_correlation, criterion_correlation, calibration } = report;
  const figures = [
    { name: say('reward.accuracy'), text: accuracy && withBounds(accuracy, percent) },
    { name: say('reward.criterion_correlation'), text: figure(criterion_correlation) },
    { name: say('reward.length_correlation'), text: figure(length_correlation) },
    { name: say('reward.ece'), text: figure(calibration?.ece) },
  ];
  const rows = figures.flatMap(({ name, text }) => (text === undefined ? [] : [{ name, text }]));
  const charts = [...strengthChart(report), ...calibrationChart(report)];
  if (rows.length === 0 && charts.length === 0) return [];
  return [
    { kind: 'heading', text: title },
    ...(rows.length > 0 ? [figureTable(rows)] : []),
    ...(charts.length > 0 ? [{ kind: 'charts' as const, charts, columns: 2 as const }] : []),
  ];
}

/** Not every figure has an interval. */
function figure(value: unknown): string | undefined {
  if (isInterval(value)) return withBounds(value, fixed(3));
  return typeof value === 'number' ? fixed(3)(value) : undefined;
}

function strengthChart({ accuracy, accuracy_by_strength = {} }: RewardModelReport): Chart[] {
  const rows = Object.entries(accuracy_by_strength).map(([strength, interval]) => ({
    name: say('reward.strength.row', { strength }),
    hue: 'ink' as const,
    interval,
  }));
  if (rows.length === 0) return [];
  const all = accuracy ? [{ name: say('costs.total'), hue: 'blue' as const, interval: accuracy }] : [];
  return [
    {
      title: say('reward.strength'),
      svg: forestChart({
        rows: [...rows, ...all],
        form: percent,
        neutral: 0.5,
        axisForm: (x) => `${fixed(0)(100 * x)}%`,
      }),
      summary: joined(
        rows.map(({ name, interval }) => joined([name, plain(withBounds(interval, percent))])),
        '; ',
      ),
    },
  ];
}

function calibrationChart({ calibration }: RewardModelReport): Chart[] {
  const bins = (calibration?.bins ?? []).filter(({ n }) => n > 0);
  if (bins.length < 2) return [];
  return [
    {
      title: say('reward.calibration'),
      svg: lineChart({
        x: say('reward.predicted'),
        y: say('reward.actual'),
        xWord: '',
        xFrom: 0.5,
        series: [
          {
            name: '',
            hue: 'quiet',
            look: 'dashed',
            points: [
              [0.5, 0.5],
              [1, 1],
            ],
          },
          {
            name: '',
            hue: 'blue',
            look: 'trend',
            points: bins.map(({ predicted, actual }) => [predicted, actual] as const),
          },
        ],
      }),
      summary: plain(
        bins.map(({ predicted, actual }) => `${percent(predicted)} → ${percent(actual)}`).join(', '),
      ),
      legend: [
        { name: say('reward.measured'), hue: 'blue' },
        { name: say('reward.calibrated'), hue: 'quiet', isDashed: true },
      ],
    },
  ];
}

type FigureRow = { name: Bilingual; text: string };

/** Everything that a stage measured, under the names that it gave. */
function figuresBlocks(title: Bilingual, figures: Figures): Block[] {
  const rows = figureRows(figures, []);
  return rows.length > 0 ? [{ kind: 'heading', text: title }, figureTable(rows)] : [];
}

function figureRows(figures: Figures, above: readonly string[]): FigureRow[] {
  return Object.entries(figures).flatMap(([key, value]): FigureRow[] => {
    const path = [...above, key];
    const form = path.some((name) => shares.has(name)) ? percent : significant;
    const row = (text: string) => [{ name: figureName(path), text }];
    if (typeof value === 'number') return row(form(value));
    if (isInterval(value)) return row(`${withBounds(value, form)}, n = ${value.n}`);
    return value !== null && typeof value === 'object' && !Array.isArray(value)
      ? figureRows(value as Figures, path)
      : [];
  });
}

const shares: ReadonlySet<string> = new Set(['shares', 'flip_rate', 'laziness', 'overlap']);

/** Its words by path, or by its last name; the name itself where there are none. */
function figureName(path: readonly string[]): Bilingual {
  const known = [path.join('.'), path[path.length - 1]].map((name) => `figure.${name}`).find(isWord);
  return known ? say(known) : plain(path.join(' · ').replaceAll('_', ' '));
}

function isInterval(value: unknown): value is Interval {
  const { value: middle, low, high } = Object(value);
  return [middle, low, high].every((end) => typeof end === 'number');
}
