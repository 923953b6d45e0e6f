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
  series: readonly Series[];
  /** How the ticks of y are written. */
  yForm?: (tick: number) => string;
}

/** A line has at most this many points, and a series this many places to hover over. */
const MOST_POINTS = 240;
const MOST_HINTS = 48;

export function lineChart({ x, y, xWord, series, yForm }: LineChart): string {
  const lines = series.map((each) => ({ ...each, points: thinned(finite(each.points), MOST_POINTS) }));
  const all = lines.flatMap(({ points }) => points);
  const across = linearScale([0, ...all.map(([value]) => value)], { from: plot.left, to: plot.right });
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

/** Averages over a window of a twentieth of the points; few points are their own trend. */
export function trend(points: readonly Point[]): readonly Point[] {
  const reach = Math.floor(points.length / 40);
  if (reach < 1) return points;
  return points.map(([x], i) => {
    // The same reach to both sides keeps the ends unbiased.
    const near = Math.min(reach, i, points.length - 1 - i);
    const window = points.slice(i - near, i + near + 1);
    return [x, window.reduce((sum, [, y]) => sum + y, 0) / window.length] as const;
  });
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
