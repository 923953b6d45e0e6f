// Rows that begin with the same prompt can be laid out with one copy of it: each completion attends to the prompt and
// to itself, at the positions that it has alone.

import { costOfLength } from '../data/packing.ts';
import type { TokenRow } from '../data/token-row.ts';

/** Rows that stand together in a window. */
export interface PromptGroup {
  /** By index, in the order of the completions. */
  members: readonly number[];
  /** Tokens that are laid out once for all members; 0 for a row alone. */
  sharedLength: number;
  /** Positions. */
  length: number;
}

export const rowAlone = (rows: readonly TokenRow[], index: number): PromptGroup => {
  return { members: [index], sharedLength: 0, length: rows[index].ids.length };
};

/**
 * Neighbours of `order` with the same prompt in groups, as many in each as is cheapest: a long group saves prompts, but
 * attention grows with its length.
 * @param mostLength of a group; a single row may be longer
 */
export function promptGroups(
  rows: readonly TokenRow[],
  order: readonly number[],
  mostLength: number,
): PromptGroup[] {
  const groups: PromptGroup[] = [];
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && haveSamePrompt(rows[order[start]], rows[order[end]])) end++;
    groups.push(...cheapestSplit(rows, order.slice(start, end), mostLength));
    start = end;
  }
  return groups;
}

/** The prompt is what comes before the first trained token. */
const promptLengthOf = ({ isTrained }: TokenRow): number => isTrained.indexOf(1);

export function haveSamePrompt(a: TokenRow, b: TokenRow): boolean {
  const length = promptLengthOf(a);
  if (length < 1 || promptLengthOf(b) !== length) return false;
  for (let i = 0; i < length; i++) if (a.ids[i] !== b.ids[i]) return false;
  return true;
}

function cheapestSplit(
  rows: readonly TokenRow[],
  members: readonly number[],
  mostLength: number,
): PromptGroup[] {
  const apart = members.map((index) => rowAlone(rows, index));
  let best = { groups: apart, cost: costOf(apart) };
  for (let size = members.length; size > 1; size--) {
    const groups = split(rows, members, size);
    const cost = costOf(groups);
    if (cost < best.cost && groups.every(({ length }) => length <= mostLength)) best = { groups, cost };
  }
  return best.groups;
}

const costOf = (groups: readonly PromptGroup[]): number =>
  groups.reduce((sum, { length }) => sum + costOfLength(length), 0);

/** Groups of `size` members, the last one of what is left. */
function split(rows: readonly TokenRow[], members: readonly number[], size: number): PromptGroup[] {
  const prompt = promptLengthOf(rows[members[0]]);
  const groups: PromptGroup[] = [];
  for (let start = 0; start < members.length; start += size) {
    const own = members.slice(start, start + size);
    if (own.length === 1) groups.push(rowAlone(rows, own[0]));
    else {
      const length = own.reduce((sum, index) => sum + rows[index].ids.length - prompt, prompt);
      groups.push({ members: own, sharedLength: prompt, length });
    }
  }
  return groups;
}
