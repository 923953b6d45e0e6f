// Which rows a step trains on: a pure function of seed, step, batch size and count, so that resuming needs no saved
// state and no worker can disagree. Epochs follow each other without a gap; a batch may reach into the next one.

import { UserError } from '../../engine/errors.ts';
import { Random } from '../../engine/random.ts';

/** A place in the endless sequence of epochs: the next row is the `index`-th of the epoch's order. */
export interface Cursor {
  epoch: number;
  index: number;
}

export interface BatchOrder {
  count: number;
  batchSize: number;
  /** Indices of the rows of a step (from 0), [batchSize]. */
  rowsForStep(step: number): number[];
  /** Where a step begins. */
  cursorForStep(step: number): Cursor;
  /** The rows from a place on, and the place after them. */
  rowsFrom(cursor: Cursor): { rows: number[]; next: Cursor };
  /** Steps until every row was used `epochs` times. */
  stepsForEpochs(epochs: number): number;
}

/**
 * The order of training. The last epoch's permutation is kept, so that a step costs no more than its rows.
 * @param options.count number of rows (or windows), at least 1
 * @throws UserError when there are no rows
 */
export function createBatchOrder(options: { seed: number; batchSize: number; count: number }): BatchOrder {
  const { seed, batchSize, count } = options;
  if (count < 1 || batchSize < 1) {
    throw new UserError({
      where: 'batches',
      expected: 'at least one row and a batch size of at least 1',
      found: `${count} rows, batch size ${batchSize}`,
    });
  }
  const random = new Random(seed, 'shuffle');
  let kept: { epoch: number; order: Uint32Array } | undefined;
  const orderOf = (epoch: number): Uint32Array => {
    if (kept?.epoch !== epoch) kept = { epoch, order: random.permutation(count, epoch) };
    return kept.order;
  };
  const cursorAt = (place: number): Cursor => ({ epoch: Math.floor(place / count), index: place % count });
  const rowsFrom = (cursor: Cursor): { rows: number[]; next: Cursor } => {
    const start = cursor.epoch * count + cursor.index;
    const rows = Array.from({ length: batchSize }, (_, i) => {
      const { epoch, index } = cursorAt(start + i);
      return orderOf(epoch)[index];
    });
    return { rows, next: cursorAt(start + batchSize) };
  };
  const cursorForStep = (step: number): Cursor => cursorAt(step * batchSize);
  return {
    count,
    batchSize,
    rowsForStep: (step) => rowsFrom(cursorForStep(step)).rows,
    cursorForStep,
    rowsFrom,
    stepsForEpochs: (epochs) => Math.ceil((epochs * count) / batchSize),
  };
}
