// The pipeline as a picture: stops and what flows between them, laid out across a broad page or down a narrow one.

import type { Bilingual } from '../bilingual.ts';
import type { Hue } from '../document.ts';
import { rounded, svg, textAt } from './svg.ts';

export interface Stop {
  id: string;
  /** 0 for the first; stops of one rank stand beside each other. */
  rank: number;
  name: Bilingual;
  says: Bilingual;
  /** It did not go as planned, and `says` how. */
  isAmiss: boolean;
  /** Time and tokens. */
  cost: Bilingual;
  hue: Hue;
  /** Stops that it needs, by id. */
  after: string[];
}

interface Placed extends Stop {
  x: number;
  y: number;
}

interface Layout {
  width: number;
  height: number;
  box: { width: number; height: number };
  stops: Placed[];
}

export function broadPipeline(stops: readonly Stop[]): string {
  return draw(layAcross(stops), acrossEdge, 'pipeline broad');
}

export function narrowPipeline(stops: readonly Stop[]): string {
  return draw(layDown(stops), downEdge, 'pipeline narrow');
}

function draw({ width, height, box, stops }: Layout, edge: Edge, className: string): string {
  const edges = stops.flatMap((stop) =>
    stop.after.flatMap((id) => {
      const from = stops.find((other) => other.id === id);
      return from ? `<path class="flow m-${stop.hue}" d="${edge(from, stop, box, stops)}"/>` : [];
    }),
  );
  return svg(width, height, [...edges, ...stops.map((stop) => drawStop(stop, box))], className);
}

function drawStop({ x, y, name, says, isAmiss, cost, hue }: Placed, box: Layout['box']): string {
  return [
    `<g class="m-${hue}"><rect class="stop" x="${x}" y="${y}" width="${box.width}" height="${box.height}" rx="9"/>`,
    `<rect class="edge" x="${x}" y="${y + 12}" width="3.5" height="${box.height - 24}" rx="1.75"/></g>`,
    textAt(name, { x: x + 15, y: y + 22, className: 'row' }),
    textAt(says, { x: x + 15, y: y + 38, className: isAmiss ? 'tick amiss' : 'tick' }),
    textAt(cost, { x: x + 15, y: y + 56, className: 'tick strong' }),
  ].join('');
}

const ACROSS = { width: 190, height: 68, gapX: 22, gapY: 14 };

/** A column a rank, each centred. */
function layAcross(stops: readonly Stop[]): Layout {
  const ranks = byRank(stops);
  const { gapX, gapY, ...box } = ACROSS;
  const tallest = Math.max(...ranks.map(({ length }) => length));
  const height = tallest * (box.height + gapY) - gapY + 4;
  const placed = ranks.flatMap((rank, column) => {
    const top = (height - (rank.length * (box.height + gapY) - gapY)) / 2;
    return rank.map((stop, row) => ({
      ...stop,
      x: 2 + column * (box.width + gapX),
      y: rounded(top + row * (box.height + gapY)),
    }));
  });
  return { width: ranks.length * (box.width + gapX) - gapX + 4, height, box, stops: placed };
}

const DOWN = { width: 286, height: 68, gap: 18, indent: 44, lane: 9 };

/** A row a stop. */
function layDown(stops: readonly Stop[]): Layout {
  const { gap, indent, lane: _, ...box } = DOWN;
  const ordered = byRank(stops).flat();
  const placed = ordered.map((stop, i) => ({ ...stop, x: indent + 4, y: 2 + i * (box.height + gap) }));
  return { width: 360, height: ordered.length * (box.height + gap) - gap + 4, box, stops: placed };
}

function byRank(stops: readonly Stop[]): Stop[][] {
  const ranks = [...new Set(stops.map(({ rank }) => rank))].sort((a, b) => a - b);
  return ranks.map((rank) => stops.filter((stop) => stop.rank === rank));
}

type Edge = (from: Placed, to: Placed, box: Layout['box'], stops: readonly Placed[]) => string;

/** From the right side of one to the left side of the other; over what lies between, where ranks are skipped. */
const acrossEdge: Edge = (from, to, box) => {
  const [x1, y1] = [from.x + box.width, from.y + box.height / 2];
  const [x2, y2] = [to.x, to.y + box.height / 2];
  if (to.rank - from.rank <= 1) {
    const middle = (x1 + x2) / 2;
    return `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
  }
  const overhead = rounded(from.y - 26);
  return `M${from.x + box.width / 2} ${from.y}C${from.x + box.width / 2} ${overhead} ${x1} ${overhead} ${x1 + 30} ${overhead}H${x2 - 60}C${x2 - 20} ${overhead} ${x2 - 24} ${y2} ${x2} ${y2}`;
};

/** Straight down to the next; round the right to the last, in one line together; otherwise round the left, each apart. */
const downEdge: Edge = (from, to, box, stops) => {
  if (isNext(from, to, stops)) return `M${from.x + box.width / 2} ${from.y + box.height}V${to.y}`;
  const [y1, y2] = [from.y + box.height / 2 + 8, to.y + box.height / 2 - 8];
  if (to === stops.at(-1)) return around({ x: from.x + box.width, y1, y2 }, 20);
  return around({ x: from.x, y1, y2 }, -DOWN.lane * (1 + laneOf(from, to, stops)));
};

/** Below it, and another rank. */
function isNext(from: Placed, to: Placed, stops: readonly Placed[]): boolean {
  return stops.indexOf(to) === stops.indexOf(from) + 1 && to.rank !== from.rank;
}

/** Number of the line among those that run down the left. */
function laneOf(from: Placed, to: Placed, stops: readonly Placed[]): number {
  const skipping = stops
    .slice(0, -1)
    .flatMap((end) =>
      stops
        .filter((start) => end.after.includes(start.id) && !isNext(start, end, stops))
        .map((start) => [start, end]),
    );
  return skipping.findIndex(([start, end]) => start === from && end === to);
}

/** Out to the side and back again. */
function around({ x, y1, y2 }: { x: number; y1: number; y2: number }, reach: number): string {
  const [out, bend] = [x + reach, x + reach - Math.sign(reach) * 8];
  return `M${x} ${y1}H${bend}Q${out} ${y1} ${out} ${y1 + 8}V${y2 - 8}Q${out} ${y2} ${bend} ${y2}H${x}`;
}
