// Sequences side by side in windows, and where each of them went: what a graph needs to speak of whole sequences
// (the log-probability of an answer, the score at its end) while it computes packed windows.

import { buildWindow, planWindows, type Window } from './packing.ts';
import type { TokenRow } from './token-row.ts';

export interface PackedSequences {
  windows: number;
  length: number;
  /** int [windows, length] each */
  feeds: Record<'tokens' | 'positions' | 'segments', Int32Array>;
  /** Where each sequence begins, counted through all windows. */
  starts: readonly number[];
}

/**
 * Into the windows of `planWindows`.
 * @throws ShapeError when a sequence is longer than `mostLength`
 */
export function packSequences(rows: readonly TokenRow[], mostLength: number): PackedSequences {
  const { length, windows: plan } = planWindows(
    rows.map(({ ids }) => ids.length),
    mostLength,
  );
  const starts = new Array<number>(rows.length);
  plan.forEach((members, window) => {
    let start = window * length;
    for (const index of members) {
      starts[index] = start;
      start += rows[index].ids.length;
    }
  });
  const windows = plan.map((members) =>
    buildWindow(
      members.map((index) => rows[index]),
      length,
    ),
  );
  return { windows: windows.length, length, feeds: joinWindows(windows), starts };
}

/** The arrays of windows end to end, as a graph's inputs. */
export function joinWindows(windows: readonly Window[]): PackedSequences['feeds'] {
  return {
    tokens: join(windows, 'ids'),
    positions: join(windows, 'positions'),
    segments: join(windows, 'segments'),
  };
}

function join(windows: readonly Window[], name: 'ids' | 'positions' | 'segments'): Int32Array {
  const length = windows[0].ids.length;
  const joined = new Int32Array(windows.length * length);
  windows.forEach((window, i) => {
    joined.set(window[name], i * length);
  });
  return joined;
}

/** The trained tokens of all sequences in order: what each is, and the place that it is told from. */
export interface Targets {
  /** Places of the tokens before them, counted through all windows. */
  sources: number[];
  targets: number[];
  /** The sequence that each belongs to. */
  owners: number[];
}

export function targetsOf(rows: readonly TokenRow[], starts: readonly number[]): Targets {
  const found: Targets = { sources: [], targets: [], owners: [] };
  rows.forEach(({ ids, isTrained }, owner) => {
    for (let t = 0; t + 1 < ids.length; t++) {
      if (!isTrained[t + 1]) continue;
      found.sources.push(starts[owner] + t);
      found.targets.push(ids[t + 1]);
      found.owners.push(owner);
    }
  });
  return found;
}

/** Place of each sequence's last token, int [rows]. */
export function lastPlaces(rows: readonly TokenRow[], starts: readonly number[]): Int32Array {
  return Int32Array.from(rows, ({ ids }, i) => starts[i] + ids.length - 1);
}

/** The numbers, and zeros up to `size`. */
export function padded(values: readonly number[], size: number): Int32Array {
  const filled = new Int32Array(size);
  filled.set(values);
  return filled;
}

/** Sizes of what a batch asks for are multiples of this. */
const leastStep = 64;

/** Room for so many, at most an eighth or 64 more: batches that are much alike have the same shapes. */
export function roomFor(count: number): number {
  const step = Math.max(leastStep, 2 ** Math.floor(Math.log2(Math.max(1, count))) / 8);
  return Math.max(1, Math.ceil(count / step)) * step;
}
