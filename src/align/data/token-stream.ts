// A pretraining corpus as one run of tokens. Windows are cut from it when a step asks for them, so that a corpus
// takes four bytes a token and the windows can be shuffled.

import { emptyWindow, type Window } from './packing.ts';

/** A document's ids, or some of them; `endsDocument` with the last. */
export interface TokenPiece {
  ids: readonly number[];
  endsDocument: boolean;
}

export class TokenStream {
  readonly ids: Int32Array;
  /** Where documents begin, ascending. */
  private readonly starts: Int32Array;
  readonly windowLength: number;

  private constructor(ids: Int32Array, starts: Int32Array, windowLength: number) {
    this.ids = ids;
    this.starts = starts;
    this.windowLength = windowLength;
  }

  /** Collects documents, each ended by EOS (added where it is missing). */
  static async collect(
    pieces: AsyncIterable<TokenPiece> | Iterable<TokenPiece>,
    windowLength: number,
    eos: number,
  ): Promise<TokenStream> {
    const ids = new GrowingIds();
    const starts: number[] = [];
    let start = 0;
    for await (const piece of pieces) {
      if (ids.length === start && piece.ids.length > 0) starts.push(start);
      ids.append(piece.ids);
      if (!piece.endsDocument || ids.length === start) continue;
      if (ids.last !== eos) ids.append([eos]);
      start = ids.length;
    }
    return new TokenStream(ids.finish(), Int32Array.from(starts), windowLength);
  }

  get windows(): number {
    return Math.ceil(this.ids.length / this.windowLength);
  }

  get documents(): number {
    return this.starts.length;
  }

  /**
   * Window `index`: what is left of a document begins it as a segment of its own, positions from 0. The last
   * position keeps its target, so that every token but a document's first is a target exactly once.
   */
  window(index: number): Window {
    const T = this.windowLength;
    const from = index * T;
    const window = emptyWindow(T);
    const used = this.ids.subarray(from, from + T);
    window.ids.set(used);
    let next = firstAtLeast(this.starts, from + 1);
    let segment = 0;
    for (let i = 0, position = 0; i < used.length; i++, position++) {
      if (this.starts[next] === from + i) [next, segment, position] = [next + 1, segment + 1, 0];
      window.segments[i] = segment;
      window.positions[i] = position;
      if (from + i + 1 === this.ids.length || this.starts[next] === from + i + 1) continue;
      window.targets[i] = this.ids[from + i + 1];
      window.weights[i] = 1;
    }
    return window;
  }
}

/** Index of the first entry of an ascending list that is at least `value`. */
function firstAtLeast(list: Int32Array, value: number): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

class GrowingIds {
  length = 0;
  private values = new Int32Array(1 << 16);

  get last(): number {
    return this.values[this.length - 1];
  }

  append(ids: readonly number[]): void {
    if (this.length + ids.length > this.values.length) {
      const larger = new Int32Array(Math.max(this.values.length * 2, this.length + ids.length));
      larger.set(this.values.subarray(0, this.length));
      this.values = larger;
    }
    this.values.set(ids, this.length);
    this.length += ids.length;
  }

  finish(): Int32Array {
    return this.values.slice(0, this.length);
  }
}
