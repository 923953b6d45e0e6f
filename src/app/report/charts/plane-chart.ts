// The plane of KL and reward: each model a point with its intervals, and the letters A, B, C of the lecture's figure.

import type { Interval } from '../../../align/scoring/intervals.ts';
import { type Bilingual, significant, withBounds } from '../bilingual.ts';
import type { Hue } from '../document.ts';
import { axes } from './axes.ts';
import { type LabelledPoint, placeLabels } from './place-labels.ts';
import { linearScale, rootScale, type Scale } from './scale.ts';
import { escaped, rounded, svg, textAt } from './svg.ts';

export interface PlanePoint {
  name: Bilingual;
  detail: Bilingual;
  hue: Hue;
  x: Interval;
  y: Interval;
  letter?: string;
}

const [width, height] = [360, 300];
const area = { left: 44, right: 350, top: 28, bottom: 256 };
const frame = { ...area, top: area.top - 6 };
const lineHeight = 13;

export function planeChart(points: readonly PlanePoint[], names: { x: Bilingual; y: Bilingual }): string {
  const across = rootScale(
    points.flatMap(({ x }) => [x.value, x.high]),
    { from: area.left, to: area.right },
  );
  const up = linearScale(
    points.flatMap(({ y }) => [y.low, y.value, y.high]),
    { from: area.bottom, to: area.top },
  );
  return svg(width, height, [
    axes({ scale: across, name: names.x }, { scale: up, name: names.y }, area),
    ...drawLabels(points, across, up),
    ...points.map((point) => mark(point, across, up)),
  ]);
}

function radiusOf(letter: string | undefined): number {
  return letter ? 9 : 5;
}

function mark({ name, hue, x, y, letter }: PlanePoint, across: Scale, up: Scale): string {
  const [cx, cy] = [rounded(across.place(x.value)), rounded(up.place(y.value))];
  const [left, right] = [x.low, x.high].map((end) => rounded(across.place(end)));
  const [bottom, top] = [y.low, y.high].map((end) => rounded(up.place(end)));
  const title = escaped(`${name.en} · KL ${withBounds(x, significant)} · ${withBounds(y, significant)}`);
  return [
    `<g class="m-${hue}"><title>${title}</title>`,
    `<path class="whisker thin" d="M${left} ${cy}H${right}M${cx} ${bottom}V${top}"/>`,
    `<circle class="dot" cx="${cx}" cy="${cy}" r="${radiusOf(letter)}"/>`,
    letter
      ? `<text class="letter" x="${cx}" y="${cy + 4}" text-anchor="middle">${escaped(letter)}</text>`
      : '',
    '</g>',
  ].join('');
}

/** Points with a letter are what the picture is about: they choose first. */
function drawLabels(points: readonly PlanePoint[], across: Scale, up: Scale): string[] {
  const order = points.toSorted((a, b) => Number(!a.letter) - Number(!b.letter));
  const placed = placeLabels(
    order.map((point) => labelled(point, across, up)),
    frame,
  );
  return order.map(({ name, detail, hue }, i) => {
    const { box, anchor, leader } = placed[i];
    const place = { x: anchor === 'start' ? box.left : box.right, anchor };
    const [x1, y1, x2, y2] = leader ? [leader.x1, leader.y1, leader.x2, leader.y2].map(rounded) : [];
    return [
      leader ? `<path class="leader m-${hue}" d="M${x1} ${y1}L${x2} ${y2}"/>` : '',
      textAt(name, { ...place, y: box.top + 10, className: `name m-${hue}` }),
      textAt(detail, { ...place, y: box.top + 10 + lineHeight, className: 'tick' }),
    ].join('');
  });
}

function labelled({ name, detail, letter, x, y }: PlanePoint, across: Scale, up: Scale): LabelledPoint {
  const [cx, cy] = [across.place(x.value), up.place(y.value)];
  const [left, right] = [x.low, x.high].map(across.place);
  const [bottom, top] = [y.low, y.high].map(up.place);
  return {
    ...{ x: cx, y: cy, radius: radiusOf(letter), height: 2 * lineHeight },
    width: Math.max(widthOf(name, 7.7), widthOf(detail, 6.4)),
    whiskers: [
      { left, right, top: cy - 1, bottom: cy + 1 },
      { left: cx - 1, right: cx + 1, top, bottom },
    ],
  };
}

/** The wider of both languages, by a broad font: a letter of the Korean script is a square. */
function widthOf(text: Bilingual, latin: number): number {
  const widths = [text.en, text.ko].map((words) =>
    Array.from(words).reduce((sum, letter) => sum + (letter > '\u1100' ? 11.5 : latin), 0),
  );
  return Math.max(...widths);
}
