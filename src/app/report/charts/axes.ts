// The frame of a chart: grid lines, ticks, and what the axes mean. All charts share one size, which a phone shows
// pixel for pixel.

import type { Bilingual } from '../bilingual.ts';
import { plain } from '../bilingual.ts';
import type { Scale } from './scale.ts';
import { rounded, textAt } from './svg.ts';

export const size = { width: 360, height: 232 };
export const plot = { left: 44, right: 350, top: 28, bottom: 188 };

export interface Axis {
  scale: Scale;
  /** What it measures, with its unit. */
  name: Bilingual;
}

export function axes(x: Axis, y: Axis, area = plot): string {
  return [
    ...y.scale.ticks.map((tick) => horizontal(tick, y.scale, area)),
    ...x.scale.ticks.map((tick) => below(tick, x.scale, area)),
    textAt(y.name, { x: 4, y: area.top - 14, className: 'axis' }),
    textAt(x.name, { x: area.right, y: area.bottom + 36, className: 'axis', anchor: 'end' }),
  ].join('');
}

function horizontal(tick: number, scale: Scale, area: typeof plot): string {
  const y = rounded(scale.place(tick));
  const label = textAt(plain(scale.label(tick)), {
    x: area.left - 7,
    y: y + 3.5,
    className: 'tick',
    anchor: 'end',
  });
  const className = tick === 0 ? 'zero' : 'grid';
  return `<path class="${className}" d="M${area.left} ${y}H${area.right}"/>${label}`;
}

function below(tick: number, scale: Scale, area: typeof plot): string {
  const x = rounded(scale.place(tick));
  const anchor = x > area.right - 8 ? 'end' : 'middle';
  const label = textAt(plain(scale.label(tick)), {
    x: anchor === 'end' ? area.right : x,
    y: area.bottom + 17,
    className: 'tick',
    anchor,
  });
  return `<path class="notch" d="M${x} ${area.bottom}v4"/>${label}`;
}
