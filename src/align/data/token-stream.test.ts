import { describe, expect, it } from 'vitest';
import type { Window } from './packing.ts';
import { type TokenPiece, TokenStream } from './token-stream.ts';

async function pack(pieces: TokenPiece[], windowLength: number): Promise<Window[]> {
  const windows: Window[] = [];
  const stream = await TokenStream.collect(pieces, windowLength, 99);
  for (let index = 0; index < stream.windows; index++) windows.push(stream.window(index));
  return windows;
}

describe('TokenStream', () => {
  it('joins documents by EOS, cuts full windows and carries the rest over', async () => {
    const windows = await pack(
      [
        { ids: [1, 2], endsDocument: false },
        { ids: [3], endsDocument: true },
        { ids: [4, 5, 6], endsDocument: true },
      ],
      6,
    );
    expect(windows).toEqual([
      {
        ids: Int32Array.of(1, 2, 3, 99, 4, 5),
        positions: Int32Array.of(0, 1, 2, 3, 0, 1),
        segments: Int32Array.of(0, 0, 0, 0, 1, 1),
        targets: Int32Array.of(2, 3, 99, 0, 5, 6),
        weights: Float32Array.of(1, 1, 1, 0, 1, 1),
      },
      {
        ids: Int32Array.of(6, 99, 0, 0, 0, 0),
        positions: Int32Array.of(0, 1, 0, 0, 0, 0),
        segments: Int32Array.of(0, 0, -1, -1, -1, -1),
        targets: Int32Array.of(99, 0, 0, 0, 0, 0),
        weights: Float32Array.of(1, 0, 0, 0, 0, 0),
      },
    ]);
  });

  it('makes every token but the first of a document a target exactly once, at any window length', async () => {
    const documents = Array.from({ length: 9 }, (_, n) =>
      Array.from({ length: 1 + 3 * n }, (_, i) => 100 * (n + 1) + i),
    );
    const expected = documents.flatMap((ids) => [...ids.slice(1), 99]);
    for (const windowLength of [1, 2, 3, 7, 16, 500]) {
      const windows = await pack(
        documents.map((ids) => ({ ids, endsDocument: true })),
        windowLength,
      );
      const targets = windows.flatMap((w) => Array.from(w.targets).filter((_, t) => w.weights[t] === 1));
      expect(targets).toEqual(expected);
    }
  });

  it('puts no second EOS after a document that ends in one, and none for no document', async () => {
    const [window] = await pack(
      [
        { ids: [1, 99], endsDocument: true },
        { ids: [], endsDocument: true },
      ],
      4,
    );
    expect(Array.from(window.segments)).toEqual([0, 0, -1, -1]);
  });
});
