// Rows and texts into windows of one length. In a window every row is a segment of its own: attention is
// block-diagonal over `segments` and `positions` begin again at 0, so a packed row computes what it computes alone.

import { ShapeError } from '../../engine/errors.ts';
import type { TokenRow } from './token-row.ts';

/** Every array is [T], T the window's length. */
export interface Window {
  ids: Int32Array;
  /** Restart at 0 in each segment. */
  positions: Int32Array;
  /** Number of the row within the window; −1 for padding, which neither attends nor is attended to. */
  segments: Int32Array;
  /** The next id of the same segment; means something only where the weight is not 0. */
  targets: Int32Array;
  /** 1 where the next token is trained, else 0. */
  weights: Float32Array;
}

const PADDING_SEGMENT = -1;
/** Lengths of windows are multiples of this, of long ones in steps of a thirtieth or so, or the most that they may be. */
const leastStep = 32;
/** At about this length the attention of a window costs as much as all else. */
const dearLength = 2048;

/** Windows of one length, and the rows of each by index, ascending. */
export interface WindowPlan {
  length: number;
  windows: number[][];
}

/** Packs whole rows into the windows of `planWindows`. */
export function packRows(rows: readonly TokenRow[], mostLength: number): Window[] {
  const { length, windows } = planWindows(
    rows.map(({ ids }) => ids.length),
    mostLength,
  );
  return windows.map((members) =>
    buildWindow(
      members.map((index) => rows[index]),
      length,
    ),
  );
}

/**
 * The windows that rows of these lengths are computed in the fastest: longer ones leave smaller gaps, but attention
 * grows with their length.
 * @throws ShapeError when a row is longer than `mostLength`
 */
export function planWindows(lengths: readonly number[], mostLength: number): WindowPlan {
  const longest = lengths.reduce((most, length) => Math.max(most, length), 1);
  const step = leastStep * Math.ceil(longest / 1024);
  const steps = Math.ceil(longest / step);
  const candidates = Array.from({ length: steps + 1 }, (_, i) => Math.min((steps + i) * step, mostLength));
  const plans = [...new Set(candidates)].map((length) => ({ length, windows: fillWindows(lengths, length) }));
  return plans.reduce((best, plan) => (costOf(plan) < costOf(best) ? plan : best));
}

const positionsOf = ({ length, windows }: WindowPlan): number => length * windows.length;
const costOf = ({ length, windows }: WindowPlan): number => windows.length * costOfLength(length);
/** Cost of computing so many positions that attend to each other, relative to a position alone. */
export const costOfLength = (length: number): number => length * (1 + length / dearLength);

export interface BatchLimits {
  /** Of a window, at least that of the longest row. */
  mostLength: number;
  /** Positions of a batch; a single row may have more. */
  batchTokens: number;
}

/** Windows of a model, micro-batches of so many positions. */
export function limitsFor({ maxPositions }: { maxPositions: number }, batchTokens: number): BatchLimits {
  return { mostLength: maxPositions, batchTokens };
}

/**
 * Rows in order, in batches that are full or nearly.
 * @param lengthsOf what rows put into windows when they are in one batch
 */
export function* batchesWithin<Row>(
  rows: readonly Row[],
  lengthsOf: (rows: readonly Row[]) => readonly number[],
  { mostLength, batchTokens }: BatchLimits,
): Generator<Row[]> {
  for (let start = 0; start < rows.length; ) {
    const lengths = (end: number) => lengthsOf(rows.slice(start, end));
    const hasRoom = (end: number) => lengths(end).reduce((sum, length) => sum + length, 0) <= batchTokens;
    const fits = (end: number) => positionsOf(planWindows(lengths(end), mostLength)) <= batchTokens;
    let most = start + 1;
    while (most < rows.length && hasRoom(most)) most = Math.min(rows.length, start + 2 * (most - start));
    // The tokens alone bound the search, for a plan costs more than a sum.
    const bound = lastWhere(hasRoom, start, most);
    const end = lastWhere(fits, start + 1, Math.min(bound + 1, rows.length));
    yield rows.slice(start, end);
    start = end;
  }
}

/** The last number up to `most` for which something holds that holds for all before it; `least` where it never does. */
function lastWhere(holds: (n: number) => boolean, least: number, most: number): number {
  let [last, beyond] = [least, most + 1];
  while (beyond - last > 1) {
    const middle = Math.floor((last + beyond) / 2);
    if (holds(middle)) last = middle;
    else beyond = middle;
  }
  return last;
}

/**
 * Best-fit decreasing: the longest row first, each into the fullest window that still has room. The result depends on
 * the rows and their order alone; windows are in the order of their first row.
 */
function fillWindows(lengths: readonly number[], windowLength: number): number[][] {
  const tooLong = lengths.findIndex((length) => length > windowLength);
  if (tooLong >= 0) {
    throw new ShapeError({
      where: `row ${tooLong}`,
      expected: `at most ${windowLength} tokens, the window's length`,
      found: `${lengths[tooLong]}`,
    });
  }
  const order = Array.from(lengths.keys()).sort((a, b) => lengths[b] - lengths[a] || a - b);
  const windows: number[][] = [];
  const withRoom: number[][] = Array.from({ length: windowLength + 1 }, () => []);
  for (const index of order) {
    let room = lengths[index];
    while (room <= windowLength && withRoom[room].length === 0) room++;
    const window = room <= windowLength ? withRoom[room].pop()! : windows.push([]) - 1;
    windows[window].push(index);
    withRoom[Math.min(room, windowLength) - lengths[index]].push(window);
  }
  for (const members of windows) members.sort((a, b) => a - b);
  return windows.sort((a, b) => a[0] - b[0]);
}

/** Lays rows side by side in one window; the rest is padding. */
export function buildWindow(rows: readonly TokenRow[], windowLength: number): Window {
  const window = emptyWindow(windowLength);
  let start = 0;
  for (const [segment, { ids, isTrained }] of rows.entries()) {
    window.ids.set(ids, start);
    window.segments.fill(segment, start, start + ids.length);
    for (let i = 0; i < ids.length; i++) window.positions[start + i] = i;
    for (let i = 0; i + 1 < ids.length; i++) {
      window.targets[start + i] = ids[i + 1];
      window.weights[start + i] = isTrained[i + 1];
    }
    start += ids.length;
  }
  return window;
}

export function emptyWindow(windowLength: number): Window {
  return {
    ids: new Int32Array(windowLength),
    positions: new Int32Array(windowLength),
    segments: new Int32Array(windowLength).fill(PADDING_SEGMENT),
    targets: new Int32Array(windowLength),
    weights: new Float32Array(windowLength),
  };
}
