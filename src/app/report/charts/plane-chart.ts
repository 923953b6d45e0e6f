// The plane of KL and reward: each model a point with its intervals, and the letters A, B, C of the lecture's figure.

import type { Interval } from '../../../align/scoring/intervals.ts';
import { type Bilingual, significant, withBounds } from '../bilingual.ts';
import type { Hue } from '../document.ts';
import { axes } from './axes.ts';
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
  const labels = placeLabels(points, across, up);
  return svg(width, height, [
    axes({ scale: across, name: names.x }, { scale: up, name: names.y }, area),
    ...labels,
    ...points.map((point) => mark(point, across, up)),
  ]);
}

function mark({ name, hue, x, y, letter }: PlanePoint, across: Scale, up: Scale): string {
  const [cx, cy] = [rounded(across.place(x.value)), rounded(up.place(y.value))];
  const [left, right] = [x.low, x.high].map((end) => rounded(across.place(end)));
  const [bottom, top] = [y.low, y.high].map((end) => rounded(up.place(end)));
  const title = escaped(`${name.en} · KL ${withBounds(x, significant)} · ${withBounds(y, significant)}`);
  return [
    `<g class="m-${hue}"><title>${title}</title>`,
    `<path class="whisker thin" d="M${left} ${cy}H${right}M${cx} ${bottom}V${top}"/>`,
    `<circle class="dot" cx="${cx}" cy="${cy}" r="${letter ? 9 : 5}"/>`,
    letter
      ? `<text class="letter" x="${cx}" y="${cy + 4}" text-anchor="middle">${escaped(letter)}</text>`
      : '',
    '</g>',
  ].join('');
}

interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Beside its point, at the first of a few places where it covers neither a point nor an earlier label. */
function placeLabels(points: readonly PlanePoint[], across: Scale, up: Scale): string[] {
  const taken: Box[] = points.map(({ x, y, letter }) => {
    const [cx, cy, r] = [across.place(x.value), up.place(y.value), letter ? 10 : 6];
    return { left: cx - r, right: cx + r, top: cy - r, bottom: cy + r };
  });
  // Points with a letter are what the picture is about: they choose first.
  const order = points.toSorted((a, b) => Number(!a.letter) - Number(!b.letter));
  return order.map((point) => {
    const candidates = labelBoxes(point, across.place(point.x.value), up.place(point.y.value));
    const free = candidates.find(({ box }) => isInside(box) && !taken.some((other) => overlaps(box, other)));
    const { box, anchor } = free ?? candidates[0];
    taken.push({ ...box, left: box.left - 8, right: box.right + 8 });
    const x = anchor === 'start' ? box.left : box.right;
    return (
      textAt(point.name, { x, y: box.top + 10, className: `name m-${point.hue}`, anchor }) +
      textAt(point.detail, { x, y: box.top + 10 + lineHeight, className: 'tick', anchor })
    );
  });
}

function labelBoxes({ name, detail, letter }: PlanePoint, cx: number, cy: number) {
  const longest = Math.max(...[name, detail].flatMap(({ en, ko }) => [en.length * 6, ko.length * 8]));
  const gap = letter ? 14 : 10;
  const tall = 2 * lineHeight;
  const heights = [-tall / 2, -tall - 11, 11, -2 * tall, 1.5 * tall, -3 * tall, 2.5 * tall, -4 * tall];
  return heights.flatMap((offset) => [
    { anchor: 'start' as const, box: boxAt(cx + gap, cy + offset, longest, tall) },
    { anchor: 'end' as const, box: boxAt(cx - gap - longest, cy + offset, longest, tall) },
  ]);
}

function boxAt(left: number, top: number, wide: number, tall: number): Box {
  return { left, right: left + wide, top, bottom: top + tall };
}

function isInside({ left, right, top, bottom }: Box): boolean {
  return left >= area.left && right <= width && top >= area.top - 6 && bottom <= area.bottom;
}

function overlaps(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
