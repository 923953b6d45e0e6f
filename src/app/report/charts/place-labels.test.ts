import { array, assert, double, property, record } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Box, type LabelledPoint, overlaps, placeLabels } from './place-labels.ts';

const frame: Box = { left: 44, right: 350, top: 22, bottom: 256 };
const pointAt = (x: number, y: number, width = 90): LabelledPoint => ({
  ...{ x, y, radius: 9, width, height: 26 },
  whiskers: [{ left: x - 1, right: x + 1, top: y - 30, bottom: y + 30 }],
});
const pairs = <T>(items: readonly T[]) =>
  items.flatMap((a, i) => items.slice(i + 1).map((b) => [a, b] as const));

/** What is wrong with the labels, in words. */
function faultsOf(points: readonly LabelledPoint[]): string[] {
  const boxes = placeLabels(points, frame).map(({ box }) => box);
  const marks = points.map(({ x, y }) => ({ left: x - 9, right: x + 9, top: y - 9, bottom: y + 9 }));
  const isOutside = ({ left, right, top, bottom }: Box) =>
    left < frame.left || right > frame.right || top < frame.top || bottom > frame.bottom;
  return [
    ...pairs(boxes).flatMap(([a, b]) => (overlaps(a, b) ? ['a label over another'] : [])),
    ...boxes.flatMap((box) => (marks.some((mark) => overlaps(box, mark)) ? ['a label over a point'] : [])),
    ...boxes.flatMap((box) => (isOutside(box) ? ['a label outside the frame'] : [])),
  ];
}

describe('placeLabels', () => {
  it('writes no label over another or out of the frame when seven points lie in one place', () => {
    expect(faultsOf(Array.from({ length: 7 }, () => pointAt(60, 60)))).toEqual([]);
    expect(faultsOf(Array.from({ length: 7 }, (_, i) => pointAt(345 - i, 250 - 2 * i)))).toEqual([]);
  });

  it('does so wherever seven points cluster', () => {
    const near = double({ min: -25, max: 25, noNaN: true });
    const centre = {
      x: double({ min: 44, max: 350, noNaN: true }),
      y: double({ min: 28, max: 256, noNaN: true }),
    };
    const cluster = record({
      ...centre,
      offsets: array(record({ dx: near, dy: near }), { minLength: 7, maxLength: 7 }),
    });
    const within = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));
    assert(
      property(cluster, ({ x, y, offsets }) => {
        const points = offsets.map(({ dx, dy }) => pointAt(within(x + dx, 44, 350), within(y + dy, 28, 256)));
        expect(faultsOf(points)).toEqual([]);
      }),
      { numRuns: 12 },
    );
  });

  it('puts the label of a point that stands alone right beside it, without a line', () => {
    const [label] = placeLabels([pointAt(100, 100)], frame);
    expect(label).toEqual({ box: { left: 113, right: 203, top: 87, bottom: 113 }, anchor: 'start' });
    const [atTheEdge] = placeLabels([pointAt(340, 100)], frame);
    expect(atTheEdge).toEqual({ box: { left: 237, right: 327, top: 87, bottom: 113 }, anchor: 'end' });
  });

  it('ends a line at the edge of its point and of its label', () => {
    const labels = placeLabels(
      Array.from({ length: 7 }, () => pointAt(200, 100)),
      frame,
    );
    const { box, leader } = labels.find((label) => label.leader)!;
    const { x1, y1, x2, y2 } = leader!;
    expect(Math.hypot(x1 - 200, y1 - 100)).toBeCloseTo(9, 9);
    expect([x2 === box.left || x2 === box.right || y2 === box.top || y2 === box.bottom]).toEqual([true]);
  });
});
