// Labels beside their points: each goes to the nearest place where it covers neither a point nor another label, and is
// tied to its point by a line where that is not right beside it.

export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

export interface LabelledPoint {
  x: number;
  y: number;
  radius: number;
  /** Of the label's text. */
  width: number;
  height: number;
  /** Its intervals: labels keep off them where they can. */
  whiskers: readonly Box[];
}

export interface PlacedLabel {
  box: Box;
  /** Which side of the box is flush with the text. */
  anchor: 'start' | 'end';
  /** From the point to the label. */
  leader?: { x1: number; y1: number; x2: number; y2: number };
}

/** Pixels between a point's edge and its label. */
const gap = 4;
/** A label further from its point than this, or nearer to another one, has a line to it. */
const nearby = 9;
/** Pixels between the places that are tried. */
const stride = 6;
const margin = 3;

/** @param points in the order in which they choose */
export function placeLabels(points: readonly LabelledPoint[], frame: Box): PlacedLabel[] {
  const marks = points.map(({ x, y, radius }) => around({ x, y }, radius + 1));
  const whiskers = points.flatMap((point) => point.whiskers);
  const labels: Box[] = [];
  const leaders: Box[] = [];
  return points.map((point) => {
    const candidates = placesFor(point, frame);
    const isFree = (box: Box) => !touches(box, marks) && !touches(grown(box, margin), labels);
    const isClear = (box: Box) =>
      isFree(box) &&
      !touches(box, [...whiskers, ...leaders]) &&
      !lineTo(box, point).some((dot) => touches(dot, labels));
    const box = candidates.find(isClear) ?? candidates.find(isFree) ?? candidates[0];
    labels.push(box);
    const reach = (to: LabelledPoint) => distanceTo(box, to) - to.radius;
    const isNear = reach(point) <= nearby && points.every((other) => reach(other) >= reach(point));
    if (!isNear) leaders.push(...lineTo(box, point));
    const anchor = (box.left + box.right) / 2 < point.x ? 'end' : 'start';
    return { box, anchor, ...(!isNear && { leader: leaderTo(box, point) }) };
  });
}

/** Everywhere within the frame, the nearest first; right beside the point before all others as near. */
function placesFor(point: LabelledPoint, frame: Box): Box[] {
  const { x, y, radius, width, height } = point;
  const at = (left: number, top: number): Box => ({ left, right: left + width, top, bottom: top + height });
  const beside = [at(x + radius + gap, y - height / 2), at(x - radius - gap - width, y - height / 2)];
  const places = [...beside];
  for (let top = frame.top; top + height <= frame.bottom; top += stride) {
    for (let left = frame.left; left + width <= frame.right; left += stride) places.push(at(left, top));
  }
  const cost = (box: Box) => distanceTo(box, point) + 0.1 * Math.abs((box.top + box.bottom) / 2 - y);
  const within = places.filter(
    (box) => isWithin(box, frame) && distanceTo(box, point) >= radius + gap - 1e-9,
  );
  const sorted = within.map((box) => ({ box, cost: cost(box) })).sort((a, b) => a.cost - b.cost);
  return sorted.map(({ box }) => box);
}

function around({ x, y }: { x: number; y: number }, reach: number): Box {
  return { left: x - reach, right: x + reach, top: y - reach, bottom: y + reach };
}

function grown(box: Box, by: number): Box {
  return { left: box.left - by, right: box.right + by, top: box.top - by, bottom: box.bottom + by };
}

function nearestIn({ left, right, top, bottom }: Box, { x, y }: { x: number; y: number }) {
  return { x: Math.min(right, Math.max(left, x)), y: Math.min(bottom, Math.max(top, y)) };
}

function distanceTo(box: Box, point: { x: number; y: number }): number {
  const nearest = nearestIn(box, point);
  return Math.hypot(nearest.x - point.x, nearest.y - point.y);
}

function leaderTo(box: Box, { x, y, radius }: LabelledPoint): NonNullable<PlacedLabel['leader']> {
  const end = nearestIn(box, { x, y });
  const share = radius / Math.hypot(end.x - x, end.y - y);
  return { x1: x + share * (end.x - x), y1: y + share * (end.y - y), x2: end.x, y2: end.y };
}

/** The line as small boxes in a row. */
function lineTo(box: Box, point: LabelledPoint): Box[] {
  const { x1, y1, x2, y2 } = leaderTo(box, point);
  const count = Math.ceil(Math.hypot(x2 - x1, y2 - y1) / stride);
  return Array.from({ length: count }, (_, i) => {
    const t = i / count;
    return around({ x: x1 + t * (x2 - x1), y: y1 + t * (y2 - y1) }, 1);
  });
}

function touches(box: Box, others: readonly Box[]): boolean {
  return others.some((other) => overlaps(box, other));
}

export function overlaps(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

function isWithin(box: Box, frame: Box): boolean {
  return (
    box.left >= frame.left && box.right <= frame.right && box.top >= frame.top && box.bottom <= frame.bottom
  );
}
