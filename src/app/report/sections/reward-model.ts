// 9. The reward model, the labels that it learnt from, and how far held-out answers could be remembered.

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
import type { Block, Cell, Chart, Section } from '../document.ts';
import type { Figures, Report, RewardModelReport } from '../report-json.ts';

export function rewardModelSection({ reward_model, labels, overlap }: Report): Section | undefined {
  if (!reward_model && !labels && !overlap) return undefined;
  const blocks: Block[] = [{ kind: 'text', text: say('reward.lead') }];
  if (reward_model) blocks.push(...rewardModelBlocks(reward_model));
  if (labels) blocks.push(...figuresBlocks(say('reward.labels'), labels));
  if (overlap) {
    blocks.push(...figuresBlocks(say('reward.overlap'), overlap));
    blocks.push({ kind: 'text', text: say('reward.overlap.note'), isNote: true });
  }
  return { id: 'reward-model', title: say('reward.title'), short: say('reward.short'), blocks };
}

function rewardModelBlocks(report: RewardModelReport): Block[] {
  const rows: Cell[][] = [];
  const add = (name: Bilingual, text: string | undefined) => {
    if (text !== undefined) rows.push([{ text: name }, { text: plain(text) }]);
  };
  const { accuracy, length_correlation, criterion_correlation, calibration } = report;
  add(say('reward.accuracy'), accuracy && withBounds(accuracy, percent));
  add(say('reward.criterion_correlation'), figure(criterion_correlation));
  add(say('reward.length_correlation'), figure(length_correlation));
  add(say('reward.ece'), figure(calibration?.ece));
  const charts = [...strengthChart(report), ...calibrationChart(report)];
  return [
    ...(rows.length > 0 ? [{ kind: 'heading' as const, text: say('reward.figures') }, table(rows)] : []),
    ...(charts.length > 0 ? [{ kind: 'charts' as const, charts, columns: 2 as const }] : []),
  ];
}

/** Not every figure has an interval, and correlations have none in pipelines of earlier versions. */
function figure(value: unknown): string | undefined {
  if (isInterval(value)) return withBounds(value, fixed(3));
  return typeof value === 'number' ? fixed(3)(value) : undefined;
}

function strengthChart({ accuracy, accuracy_by_strength = {} }: RewardModelReport): Chart[] {
  const rows = Object.entries(accuracy_by_strength).map(([strength, interval]) => ({
    name: say('reward.strength.row', { strength }),
    hue: 'sft' as const,
    interval,
  }));
  if (rows.length === 0) return [];
  const all = accuracy ? [{ name: say('costs.total'), hue: 'ppo' as const, interval: accuracy }] : [];
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
            hue: 'ppo',
            look: 'trend',
            points: bins.map(({ predicted, actual }) => [predicted, actual] as const),
          },
        ],
      }),
      summary: plain(
        bins.map(({ predicted, actual }) => `${percent(predicted)} → ${percent(actual)}`).join(', '),
      ),
      legend: [
        { name: say('reward.measured'), hue: 'ppo' },
        { name: say('reward.calibrated'), hue: 'quiet', isDashed: true },
      ],
    },
  ];
}

/** Everything that a stage measured, under the names that it gave. */
function figuresBlocks(title: Bilingual, figures: Figures): Block[] {
  const rows = figureRows(figures, []);
  return rows.length > 0 ? [{ kind: 'heading', text: title }, table(rows)] : [];
}

function figureRows(figures: Figures, above: readonly string[]): Cell[][] {
  return Object.entries(figures).flatMap(([key, value]): Cell[][] => {
    const path = [...above, key];
    const form = path.some((name) => shares.has(name)) ? percent : significant;
    const row = (text: string) => [[{ text: figureName(path) }, { text: plain(text) }]];
    if (typeof value === 'number') return row(form(value));
    if (isInterval(value)) return row(`${withBounds(value, form)}, n = ${value.n}`);
    return value !== null && typeof value === 'object' && !Array.isArray(value)
      ? figureRows(value as Figures, path)
      : [];
  });
}

const shares: ReadonlySet<string> = new Set([
  'shares',
  'retrieval_pass_rate',
  'flip_rate',
  'laziness',
  'overlap',
]);

/** Its words by path, or by its last name; the name itself where there are none. */
function figureName(path: readonly string[]): Bilingual {
  const known = [path.join('.'), path[path.length - 1]].map((name) => `figure.${name}`).find(isWord);
  return known ? say(known) : plain(path.join(' · ').replaceAll('_', ' '));
}

function isInterval(value: unknown): value is Interval {
  const { value: middle, low, high } = Object(value);
  return [middle, low, high].every((end) => typeof end === 'number');
}

function table(rows: Cell[][]): Block {
  return {
    kind: 'table',
    columns: [
      { label: say('figure.name'), isNumber: false },
      { label: say('figure.value'), isNumber: true },
    ],
    rows,
  };
}
