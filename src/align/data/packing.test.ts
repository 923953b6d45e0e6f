import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchesWithin, packRows, planWindows, type Window } from './packing.ts';
import type { TokenRow } from './token-row.ts';

function row(ids: number[], promptLength: number): TokenRow {
  const isTrained = Uint8Array.from(ids, (_, i) => (i >= promptLength ? 1 : 0));
  return { ids: Int32Array.from(ids), isTrained, source: { file: '', line: 0 } };
}

describe('packRows', () => {
  it('lays two rows in a window by hand', () => {
    const [window, ...others] = packRows([row([11, 12, 13], 1), row([21, 22, 23, 24], 2)], 8);
    expect(others).toEqual([]);
    expect(window).toEqual({
      ids: Int32Array.of(11, 12, 13, 21, 22, 23, 24, 0),
      positions: Int32Array.of(0, 1, 2, 0, 1, 2, 3, 0),
      segments: Int32Array.of(0, 0, 0, 1, 1, 1, 1, -1),
      targets: Int32Array.of(12, 13, 0, 22, 23, 24, 0, 0),
      weights: Float32Array.of(1, 1, 0, 0, 1, 1, 0, 0),
    });
  });

  it('keeps every row whole, once, with exactly its trained tokens as targets', () => {
    const shape = fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 20 }));
    fc.assert(
      fc.property(fc.array(shape, { maxLength: 30 }), (shapes) => {
        const rows = shapes.map(([length, prompt], n) =>
          row(
            Array.from({ length }, (_, i) => 1000 * n + i + 1),
            Math.min(prompt, length),
          ),
        );
        const found = packRows(rows, 20).flatMap(unpack);
        found.sort((a, b) => a.ids[0] - b.ids[0]);
        expect(found).toEqual(
          rows.map(({ ids, isTrained }) => ({
            ids: Array.from(ids),
            targets: Array.from(ids).filter((_, i) => i > 0 && isTrained[i] === 1),
          })),
        );
      }),
      { numRuns: 60, seed: 2 },
    );
  });

  it('fills windows as best-fit decreasing does', () => {
    expect(planWindows([2, 5, 4, 7, 1, 3, 8], 10)).toEqual({
      length: 10,
      windows: [
        [0, 6],
        [1, 2, 4],
        [3, 5],
      ],
    });
  });

  it('takes windows as long as rows fill them best, and shorter ones where that is equal', () => {
    expect(planWindows([100, 90, 30, 28], 512)).toEqual({
      length: 128,
      windows: [
        [0, 3],
        [1, 2],
      ],
    });
    // In windows of 128 each of these would stand alone.
    expect(planWindows([100, 90, 65, 64], 512)).toEqual({
      length: 192,
      windows: [
        [0, 1],
        [2, 3],
      ],
    });
    expect(planWindows([32, 32], 512)).toEqual({ length: 32, windows: [[0], [1]] });
  });

  it('refuses a row longer than the window', () => {
    expect(() => packRows([row([1, 2, 3], 1)], 2)).toThrow(
      "expected at most 2 tokens, the window's length, got 3",
    );
  });
});

describe('batchesWithin', () => {
  const batches = (lengths: number[], batchTokens: number) => [
    ...batchesWithin(lengths, (own) => own, { mostLength: 512, batchTokens }),
  ];

  it('puts rows in order into batches as full as may be', () => {
    expect(batches([32, 32, 64, 10, 20], 96)).toEqual([
      [32, 32],
      [64, 10, 20],
    ]);
  });

  it('gives a row beyond the limit a batch of its own', () => {
    expect(batches([10, 300, 10], 64)).toEqual([[10], [300], [10]]);
  });

  it('never exceeds the limit with more rows than one, and loses none', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 60 }), (lengths) => {
        const found = batches(lengths, 1024);
        expect(found.flat()).toEqual(lengths);
        for (const batch of found) {
          const { length, windows } = planWindows(batch, 512);
          expect(length * windows.length).toBeLessThanOrEqual(1024);
        }
      }),
      { numRuns: 60, seed: 3 },
    );
  });
});

function unpack(window: Window): { ids: number[]; targets: number[] }[] {
  const rows: { ids: number[]; targets: number[] }[] = [];
  for (let t = 0; t < window.ids.length; t++) {
    const segment = window.segments[t];
    if (segment < 0) {
      expect(window.weights[t]).toBe(0);
      continue;
    }
    rows[segment] ??= { ids: [], targets: [] };
    expect(window.positions[t]).toBe(rows[segment].ids.length);
    rows[segment].ids.push(window.ids[t]);
    if (window.weights[t] === 0) continue;
    expect(window.segments[t + 1]).toBe(segment);
    expect(window.ids[t + 1]).toBe(window.targets[t]);
    rows[segment].targets.push(window.targets[t]);
  }
  return rows;
}
