// Rows as the inputs of a graph: packed into windows, with the place of everything that a head reads. Training and
// scoring without gradients share these batches: the same shapes, so the same bits.

import type { PassRows } from '../../language/model/dropout.ts';
import type { WindowShape } from '../../language/model/full-pass.ts';
import { type BatchLimits, batchesWithin, planWindows, type Window } from '../data/packing.ts';
import type { TokenRow } from '../data/token-row.ts';
import { type PromptGroup, promptGroups, rowAlone } from './shared-prompts.ts';

/** Windows, and the trained tokens in them. */
export interface Layout extends WindowShape {
  /** Trained tokens, and the number that their arrays are padded to (M). */
  count: number;
  size: number;
  /** Layouts of one key have inputs of the same shapes; of one `windowKey`, those of the windows. */
  key: string;
  windowKey: string;
  /**
   * tokens, positions, segments, and where prompts are shared parents [windows, length]; targets, and the places that
   * predict them (sources), [M]
   */
  feeds: WindowFeeds & Record<'sources' | 'targets', Int32Array>;
}

type WindowFeeds = Record<'tokens' | 'positions' | 'segments', Int32Array> & { parents?: Int32Array };

export interface LayoutOptions extends BatchLimits {
  /** Lay the prompt out once that neighbouring rows, or the completions of a group, begin with. Default: false. */
  sharePrompts?: boolean;
}

/** Rows in one batch; places are counted through all windows. */
export interface TokenBatch extends Layout {
  rows: readonly TokenRow[];
  /** The row that each trained token belongs to; trained tokens are in the order of the rows. */
  owners: readonly number[];
  /** The place of each row's last token. */
  lastPlaces: readonly number[];
}

/** Rows in order, in batches within the limits. */
export function tokenBatches(rows: readonly TokenRow[], options: LayoutOptions): TokenBatch[] {
  return Array.from(eachTokenBatch(rows, options));
}

/** The same, each laid out when it is asked for. */
export function* eachTokenBatch(rows: readonly TokenRow[], options: LayoutOptions): Generator<TokenBatch> {
  const groupsOf = (own: readonly TokenRow[]) => groupRows(own, Array.from(own.keys()), options);
  for (const own of batchesWithin(rows, (some) => lengthsOf(groupsOf(some)), options)) {
    yield layOutRows(own, groupsOf(own), options);
  }
}

/** @param order of the rows by index, in which those of one prompt are neighbours */
function groupRows(
  rows: readonly TokenRow[],
  order: readonly number[],
  { sharePrompts = false, mostLength }: LayoutOptions,
): PromptGroup[] {
  return sharePrompts
    ? promptGroups(rows, order, mostLength)
    : Array.from(rows.keys(), (index) => rowAlone(rows, index));
}

const lengthsOf = (groups: readonly PromptGroup[]): number[] => groups.map(({ length }) => length);

/** @throws ShapeError when a row is longer than `mostLength` */
function layOutRows(
  rows: readonly TokenRow[],
  groups: readonly PromptGroup[],
  { mostLength }: LayoutOptions,
): TokenBatch {
  const { length, windows } = planWindows(lengthsOf(groups), mostLength);
  const sharesPrompts = groups.some(({ sharedLength }) => sharedLength > 0);
  const feeds = emptyWindows(windows.length, length, sharesPrompts);
  /** Of row i's token t: where its prompt begins up to `shared`, then where the rest does. */
  const starts = new Array<{ shared: number; prompt: number; rest: number }>(rows.length);
  windows.forEach((members, window) => {
    let [start, segment] = [window * length, 0];
    for (const { members: own, sharedLength: shared } of members.map((index) => groups[index])) {
      const [prompt, parent] = [start, segment];
      if (shared > 0) {
        const ids = rows[own[0]].ids.subarray(0, shared);
        start = place(feeds, ids, { start, position: 0, segment: segment++, parent });
      }
      for (const index of own) {
        starts[index] = { shared, prompt, rest: start };
        const ids = rows[index].ids.subarray(shared);
        const seen = shared > 0 ? parent : segment;
        start = place(feeds, ids, { start, position: shared, segment: segment++, parent: seen });
      }
    }
  });
  const placeOf = (row: number, t: number) => {
    const { shared, prompt, rest } = starts[row];
    return t < shared ? prompt + t : rest + t - shared;
  };
  const targets: Target[] = [];
  const owners: number[] = [];
  rows.forEach(({ ids, isTrained }, owner) => {
    for (let t = 1; t < ids.length; t++) {
      if (!isTrained[t]) continue;
      targets.push({ source: placeOf(owner, t - 1), target: ids[t] });
      owners.push(owner);
    }
  });
  const lastPlaces = rows.map(({ ids }, row) => placeOf(row, ids.length - 1));
  const shape = { windows: windows.length, length, sharesPrompts };
  return { ...layoutOf(shape, feeds, targets), rows, owners, lastPlaces };
}

/** Windows that were filled elsewhere, and the weight of each trained token in them. */
export function layOutWindows(windows: readonly Window[]): Layout & { weights: number[] } {
  const length = windows[0].ids.length;
  const shape = { windows: windows.length, length, sharesPrompts: false };
  const feeds = emptyWindows(windows.length, length, false);
  const targets: Target[] = [];
  const weights: number[] = [];
  windows.forEach((window, i) => {
    const start = i * length;
    feeds.tokens.set(window.ids, start);
    feeds.positions.set(window.positions, start);
    feeds.segments.set(window.segments, start);
    window.weights.forEach((weight, position) => {
      if (weight <= 0) return;
      targets.push({ source: start + position, target: window.targets[position] });
      weights.push(weight);
    });
  });
  return { ...layoutOf(shape, feeds, targets), weights };
}

interface Target {
  source: number;
  target: number;
}

function layoutOf(shape: WindowShape, feeds: WindowFeeds, targets: readonly Target[]): Layout {
  const size = roomFor(targets.length);
  const windowKey = `${shape.windows}×${shape.length}${shape.sharesPrompts ? ' with shared prompts' : ''}`;
  return {
    ...shape,
    ...{ count: targets.length, size, windowKey, key: `${windowKey}, ${size} targets` },
    feeds: {
      ...feeds,
      sources: padded(
        targets.map(({ source }) => source),
        size,
      ),
      targets: padded(
        targets.map(({ target }) => target),
        size,
      ),
    },
  };
}

/** Rows that the linear layers of a pass over it compute. @param places that its head reads */
export function passRows({ windows, length }: WindowShape, places: number): PassRows {
  return { positions: windows * length, places };
}

const paddingSegment = -1;

function emptyWindows(windows: number, length: number, sharesPrompts: boolean): WindowFeeds {
  const zeros = () => new Int32Array(windows * length);
  const feeds = { tokens: zeros(), positions: zeros(), segments: zeros().fill(paddingSegment) };
  return sharesPrompts ? { ...feeds, parents: feeds.segments.slice() } : feeds;
}

interface Piece {
  start: number;
  position: number;
  segment: number;
  /** The segment that is attended to beside its own; its own where there is none. */
  parent: number;
}

/** @returns the place after the last token */
function place(
  { tokens, positions, segments, parents }: WindowFeeds,
  ids: Int32Array,
  { start, position, segment, parent }: Piece,
): number {
  const end = start + ids.length;
  tokens.set(ids, start);
  segments.fill(segment, start, end);
  parents?.fill(parent, start, end);
  for (let i = 0; i < ids.length; i++) positions[start + i] = position + i;
  return end;
}

/** Values of the batch's trained tokens, one array per row. */
export function byRow({ rows, owners }: TokenBatch, values: ArrayLike<number>): Float64Array[] {
  const counts = new Int32Array(rows.length);
  for (const owner of owners) counts[owner]++;
  let start = 0;
  return rows.map((_, row) => {
    const first = start;
    start += counts[row];
    return Float64Array.from({ length: counts[row] }, (_, i) => values[first + i]);
  });
}

/** The reverse of `byRow`, zeros up to M. */
export function joinRows({ size }: Layout, rows: readonly ArrayLike<number>[]): Float32Array {
  const joined = new Float32Array(size);
  let start = 0;
  for (const row of rows) {
    joined.set(Array.from(row), start);
    start += row.length;
  }
  return joined;
}

/** Completions of one prompt that are compared with each other: both of a pair, all of a ranking. */
export interface CompletionGroup {
  /** Prompt and completion; `isTrained` marks the completion. */
  completions: readonly TokenRow[];
}

/**
 * Groups whose completions stay in one micro-batch. What belongs to a group or a completion is fed by slots, of which a
 * run always has the same number, so that fewer sizes vary.
 */
export interface CompletionBatch<Group extends CompletionGroup> {
  groups: readonly Group[];
  /** Slots for groups (B), completions of each (K); completion k of group i has the slot k·B + i. */
  shape: { B: number; K: number };
  /** Completion k of group i is row k·groups + i. */
  tokens: TokenBatch;
}

export interface CompletionLimits extends LayoutOptions {
  /** Groups of a step (B). */
  slots: number;
}

/** Groups of a step, those of the same number of completions together, in micro-batches. */
export function completionBatches<Group extends CompletionGroup>(
  groups: readonly Group[],
  limits: CompletionLimits,
): CompletionBatch<Group>[] {
  const counts = [...new Set(groups.map(({ completions }) => completions.length))].sort((a, b) => a - b);
  return counts.flatMap((K) => {
    const sameCount = groups.filter(({ completions }) => completions.length === K);
    const rowsOf = (own: readonly Group[]) =>
      Array.from({ length: K }, (_, k) => own.map(({ completions }) => completions[k])).flat();
    const byGroup = (own: readonly Group[]) =>
      own.flatMap((_, i) => Array.from({ length: K }, (_, k) => k * own.length + i));
    const together = (own: readonly Group[]) => groupRows(rowsOf(own), byGroup(own), limits);
    const batches = batchesWithin(sameCount, (own) => lengthsOf(together(own)), limits);
    return Array.from(batches, (own): CompletionBatch<Group> => {
      const tokens = layOutRows(rowsOf(own), together(own), limits);
      return { groups: own, shape: { B: limits.slots, K }, tokens };
    });
  });
}

/** One number per completion, [K·B]; `otherwise` in empty slots. */
export function completionFeed<Group extends CompletionGroup>(
  { groups, shape: { B, K } }: CompletionBatch<Group>,
  numberOf: (group: Group, k: number) => number,
  otherwise = 0,
): Float32Array {
  const values = new Float32Array(K * B).fill(otherwise);
  groups.forEach((group, i) => {
    for (let k = 0; k < K; k++) values[k * B + i] = numberOf(group, k);
  });
  return values;
}

/** One number per group, [B]; 0 in empty slots. */
export function groupFeed<Group extends CompletionGroup>(
  { groups, shape: { B } }: CompletionBatch<Group>,
  numberOf: (group: Group) => number,
): Float32Array {
  const values = new Float32Array(B);
  values.set(groups.map(numberOf));
  return values;
}

/** The slot of a row of the batch. */
export function slotOf<Group extends CompletionGroup>(
  { groups, shape: { B } }: CompletionBatch<Group>,
  row: number,
): number {
  return Math.floor(row / groups.length) * B + (row % groups.length);
}

/** Tokens of all completions with their prompts, padding not counted. */
export function countTokens(groups: readonly CompletionGroup[]): number {
  const rows = groups.flatMap(({ completions }) => completions);
  return rows.reduce((sum, { ids }) => sum + ids.length, 0);
}

/** The numbers, and zeros up to `size`. */
export function padded(values: readonly number[], size: number): Int32Array {
  const filled = new Int32Array(size);
  filled.set(values);
  return filled;
}

/** Sizes of what a batch asks for are multiples of this. */
const leastStep = 64;

/** Room for a count, at most an eighth or 64 more: batches that are much alike have the same shapes. */
export function roomFor(count: number): number {
  const step = Math.max(leastStep, 2 ** Math.floor(Math.log2(Math.max(1, count))) / 8);
  return Math.max(1, Math.ceil(count / step)) * step;
}
