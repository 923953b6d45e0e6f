// Lines over steps or distances: each value faint with a moving average on top, or dots, or a dashed law.

import type { Bilingual } from '../bilingual.ts';
import { significant } from '../bilingual.ts';
import type { Hue } from '../document.ts';
import { axes, plot, size } from './axes.ts';
import { linearScale, type Scale } from './scale.ts';
import { escaped, rounded, svg } from './svg.ts';

export type Point = readonly [x: number, y: number];

export interface Series {
  /** In hover texts; a term or a metric's name. */
  name: string;
  hue: Hue;
  points: readonly Point[];
  look: 'trend' | 'dots' | 'dashed';
}

export interface LineChart {
  x: Bilingual;
  y: Bilingual;
  /** What stands before x in hover texts, such as `step`. */
  xWord: string;
  /** Where the axis begins, or before; default 0. */
  xFrom?: number;
  series: readonly Series[];
  /** How the ticks of y are written. */
  yForm?: (tick: number) => string;
}

/** A line has at most this many points, and a series this many places to hover over. */
const MOST_POINTS = 240;
const MOST_HINTS = 48;

export function lineChart({ x, y, xWord, xFrom = 0, series, yForm }: LineChart): string {
  const lines = series.map((each) => ({ ...each, points: thinned(finite(each.points), MOST_POINTS) }));
  const all = lines.flatMap(({ points }) => points);
  const across = linearScale([xFrom, ...all.map(([value]) => value)], { from: plot.left, to: plot.right });
  const shown = lines.flatMap(({ points, look }) =>
    look === 'trend' ? [...points, ...trend(points)] : points,
  );
  const values = shown.map(([, value]) => value);
  const up = linearScale(values, { from: plot.bottom, to: plot.top, label: yForm });
  return svg(size.width, size.height, [
    axes({ scale: across, name: x }, { scale: up, name: y }),
    ...lines.map((line) => drawn(line, across, up)),
    ...lines.map((line) => hints(line, across, up, xWord)),
  ]);
}

function drawn({ points, hue, look }: Series, x: Scale, y: Scale): string {
  if (points.length === 0) return '';
  if (look === 'dashed') return `<path class="line dashed m-${hue}" d="${path(points, x, y)}"/>`;
  if (look === 'dots') return points.map((point) => dot(point, hue, x, y)).join('');
  const smooth = trend(points);
  const raw = smooth === points ? '' : `<path class="raw m-${hue}" d="${path(points, x, y)}"/>`;
  return `${raw}<path class="line m-${hue}" d="${path(smooth, x, y)}"/>`;
}

function dot([a, b]: Point, hue: Hue, x: Scale, y: Scale): string {
  return `<circle class="dot m-${hue}" cx="${rounded(x.place(a))}" cy="${rounded(y.place(b))}" r="2.6"/>`;
}

function hints({ points, hue, name, look }: Series, x: Scale, y: Scale, xWord: string): string {
  if (look === 'dashed') return '';
  const marks = thinned(look === 'trend' ? trend(points) : points, MOST_HINTS).map(([a, b]) => {
    const title = escaped(`${name} · ${xWord} ${significant(a)}: ${significant(b)}`);
    return `<circle class="hint m-${hue}" cx="${rounded(x.place(a))}" cy="${rounded(y.place(b))}" r="5"><title>${title}</title></circle>`;
  });
  return marks.join('');
}

function path(points: readonly Point[], x: Scale, y: Scale): string {
  return `M${points.map(([a, b]) => `${rounded(x.place(a))} ${rounded(y.place(b))}`).join('L')}`;
}

/** A line fitted to a twentieth of the points around each, read at it; few points are their own trend. */
export function trend(points: readonly Point[]): readonly Point[] {
  const reach = Math.floor(points.length / 40);
  if (reach < 1) return points;
  return points.map(([x], i) => {
    // Inside this is the mean; at the ends, where one side is missing, it goes on as the points do.
    const window = points.slice(Math.max(0, i - reach), i + reach + 1);
    return [x, fittedAt(x, window)] as const;
  });
}

/** Least squares. */
function fittedAt(x: number, points: readonly Point[]): number {
  const mean = (axis: 0 | 1) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  const [middle, level] = [mean(0), mean(1)];
  const spread = points.reduce((sum, [at]) => sum + (at - middle) ** 2, 0);
  const rise = points.reduce((sum, [at, y]) => sum + (at - middle) * (y - level), 0);
  return spread > 0 ? level + (rise / spread) * (x - middle) : level;
}

/** Means of neighbours, so that no more than `most` points are left. */
export function thinned(points: readonly Point[], most: number): readonly Point[] {
  if (points.length <= most) return points;
  return Array.from({ length: most }, (_, i) => {
    const from = Math.floor((i * points.length) / most);
    const group = points.slice(from, Math.floor(((i + 1) * points.length) / most));
    const mean = (axis: 0 | 1) => group.reduce((sum, point) => sum + point[axis], 0) / group.length;
    return [mean(0), mean(1)] as const;
  });
}

function finite(points: readonly Point[]): readonly Point[] {
  return points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
}
