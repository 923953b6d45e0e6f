// Estimates with their intervals, one row each, against the line of no difference.

import type { Interval } from '../../../align/scoring/intervals.ts';
import { type Bilingual, type Form, plain, withBounds } from '../bilingual.ts';
import type { Hue } from '../document.ts';
import { linearScale } from './scale.ts';
import { escaped, rounded, svg, textAt } from './svg.ts';

export interface ForestRow {
  name: Bilingual;
  hue: Hue;
  interval: Interval;
}

const width = 360;
const rowHeight = 38;
const plot = { left: 10, right: 350, top: 12 };

export interface ForestChart {
  rows: readonly ForestRow[];
  form: Form;
  /** Where the line of no difference stands. */
  neutral: number;
  axisForm: (tick: number) => string;
}

export function forestChart({ rows, form, neutral, axisForm }: ForestChart): string {
  const ends = rows.flatMap(({ interval: { value, low, high } }) => [value, low, high]);
  const scale = linearScale([neutral, ...ends], { from: plot.left, to: plot.right, label: axisForm });
  const bottom = plot.top + rows.length * rowHeight;
  const ticks = scale.ticks.map((tick) => {
    const x = rounded(scale.place(tick));
    const className = tick === neutral ? 'neutral' : 'grid';
    const anchor = x > plot.right - 14 ? 'end' : x < plot.left + 14 ? 'start' : 'middle';
    return `<path class="${className}" d="${besideIntervals(x, rows.length)}"/>${textAt(plain(scale.label(tick)), { x, y: bottom + 17, className: 'tick', anchor })}`;
  });
  const neutralAt = rounded(scale.place(neutral));
  return svg(width, bottom + 24, [
    ...ticks,
    `<path class="neutral" d="${besideIntervals(neutralAt, rows.length)}"/>`,
    ...rows.map((row, i) => drawRow(row, plot.top + i * rowHeight, form, scale.place)),
  ]);
}

/** A vertical line that leaves out the rows' words. */
function besideIntervals(x: number, rows: number): string {
  return Array.from({ length: rows }, (_, i) => `M${x} ${plot.top + i * rowHeight + 17}v16`).join('');
}

function drawRow(row: ForestRow, top: number, form: Form, place: (value: number) => number): string {
  const { name, hue, interval } = row;
  const clamp = (x: number) => rounded(Math.min(plot.right, Math.max(plot.left, x)));
  const [low, middle, high] = [interval.low, interval.value, interval.high].map((end) => clamp(place(end)));
  const y = top + 25;
  const title = escaped(`${name.en}: ${withBounds(interval, form)}, n = ${interval.n}`);
  return [
    textAt(name, { x: plot.left, y: top + 13, className: 'row' }),
    textAt(plain(withBounds(interval, form)), {
      x: plot.right,
      y: top + 13,
      className: 'tick strong',
      anchor: 'end',
    }),
    `<g class="m-${hue}"><title>${title}</title>`,
    `<rect class="reach" x="${low - 4}" y="${y - 9}" width="${rounded(high - low + 8)}" height="18"/>`,
    `<path class="whisker" d="M${low} ${y}H${high}M${low} ${y - 4}v8M${high} ${y - 4}v8"/>`,
    `<circle class="dot" cx="${middle}" cy="${y}" r="4.5"/></g>`,
  ].join('');
}
