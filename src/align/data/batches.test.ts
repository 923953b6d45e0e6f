import { describe, expect, it } from 'vitest';
import { createBatchOrder } from './batches.ts';

const order = (seed = 7) => createBatchOrder({ seed, batchSize: 4, count: 10 });

describe('the order of training', () => {
  it('uses every row once an epoch, in another order each epoch', () => {
    const batches = order();
    const rows = Array.from({ length: 5 }, (_, step) => batches.rowsForStep(step)).flat();
    const ascending = Array.from({ length: 10 }, (_, i) => i);
    const [first, second] = [rows.slice(0, 10), rows.slice(10)];
    expect(first.toSorted((a, b) => a - b)).toEqual(ascending);
    expect(second.toSorted((a, b) => a - b)).toEqual(ascending);
    expect(first).not.toEqual(second);
    expect(first).not.toEqual(ascending);
    expect(batches.stepsForEpochs(2)).toBe(5);
  });

  it('goes on from a cursor as an uninterrupted run does', () => {
    const uninterrupted = order();
    for (let step = 0; step < 12; step++) {
      const resumed = order();
      const cursor = resumed.cursorForStep(step);
      expect(resumed.rowsFrom(cursor)).toEqual({
        rows: uninterrupted.rowsForStep(step),
        next: uninterrupted.cursorForStep(step + 1),
      });
    }
    expect(order().cursorForStep(6)).toEqual({ epoch: 2, index: 4 });
  });

  it('depends on the seed and not on the steps asked before', () => {
    const asked = order();
    asked.rowsForStep(9);
    expect(asked.rowsForStep(1)).toEqual(order().rowsForStep(1));
    expect(order(8).rowsForStep(1)).not.toEqual(order().rowsForStep(1));
  });

  it('refuses an empty data set', () => {
    expect(() => createBatchOrder({ seed: 1, batchSize: 4, count: 0 })).toThrow('got 0 rows');
  });
});
