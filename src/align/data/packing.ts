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

/**
 * Packs whole rows by best-fit decreasing: the longest first, each into the fullest window that still has room.
 * The result depends on the rows and their order alone; windows are in the order of their first row.
 * @throws ShapeError when a row is longer than a window
 */
export function packRows(rows: readonly TokenRow[], windowLength: number): Window[] {
  return planWindows(
    rows.map(({ ids }) => ids.length),
    windowLength,
  ).map((members) =>
    buildWindow(
      members.map((index) => rows[index]),
      windowLength,
    ),
  );
}

/** Which rows share a window: lists of row indices, each ascending. */
export function planWindows(lengths: readonly number[], windowLength: number): number[][] {
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
