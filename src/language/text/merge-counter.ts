// Counts neighbouring pairs in the pieces of a corpus and keeps the counts right while pairs merge: an index says
// which pieces may hold a pair, so a merge touches only those.

import { ID_BOUND } from './bpe-model.ts';
import { spellBytes, utf8 } from './byte-alphabet.ts';
import { Heap } from './heap.ts';

/** Two neighbouring ids and how often they occur. */
export interface Pair {
  left: number;
  right: number;
  count: number;
}

interface CountedPair extends Pair {
  /** Pieces in which it stands, or once stood; a piece may be listed more than once. */
  words: number[];
}

export class MergeCounter {
  private readonly words: Int32Array[] = [];
  private readonly lengths: number[] = [];
  private readonly frequencies: number[] = [];
  private readonly pairs = new Map<number, CountedPair>();
  /** Holds every pair at least once at no less than its present count; the rest are leftovers. */
  private readonly queue = new Heap<Pair>(comesBefore);
  private readonly touched = new Set<CountedPair>();

  /**
   * @param words pieces and how often each occurs
   * @param idOf  the id of a character of the byte alphabet
   */
  constructor(words: ReadonlyMap<string, number>, idOf: (char: string) => number) {
    for (const [word, frequency] of words) this.addWord(word, frequency, idOf);
    this.queueTouched();
  }

  /** The most frequent pair; among equals the smaller left id, then the smaller right id. */
  mostFrequent(): Pair | undefined {
    for (let top = this.queue.pop(); top; top = this.queue.pop()) {
      const count = this.pairs.get(keyOf(top.left, top.right))?.count ?? 0;
      if (count === top.count && count > 0) return top;
      if (count > 0 && count < top.count) this.queue.push({ ...top, count });
    }
    return undefined;
  }

  /** Replaces every `left right`, from left to right, by `merged`. */
  merge({ left, right }: Pair, merged: number): void {
    const key = keyOf(left, right);
    const words = this.pairs.get(key)?.words ?? [];
    this.pairs.delete(key);
    for (const word of new Set(words)) this.mergeInWord(word, left, right, merged);
    this.pairs.delete(key);
    this.queueTouched();
  }

  private addWord(word: string, frequency: number, idOf: (char: string) => number): void {
    const index = this.words.length;
    const ids = Int32Array.from(spellBytes(utf8(word)), idOf);
    this.words.push(ids);
    this.lengths.push(ids.length);
    this.frequencies.push(frequency);
    for (let i = 1; i < ids.length; i++) this.change(ids[i - 1], ids[i], frequency, index);
  }

  private mergeInWord(word: number, left: number, right: number, merged: number): void {
    const ids = this.words[word];
    const frequency = this.frequencies[word];
    const length = this.lengths[word];
    let kept = 0;
    for (let i = 0; i < length; i++) {
      const isPair = ids[i] === left && i + 1 < length && ids[i + 1] === right;
      if (isPair && kept > 0) this.replace([ids[kept - 1], left], [ids[kept - 1], merged], frequency, word);
      if (isPair && i + 2 < length) this.replace([right, ids[i + 2]], [merged, ids[i + 2]], frequency, word);
      ids[kept++] = isPair ? merged : ids[i];
      if (isPair) i++;
    }
    this.lengths[word] = kept;
  }

  private replace(before: [number, number], after: [number, number], frequency: number, word: number): void {
    this.change(before[0], before[1], -frequency, word);
    this.change(after[0], after[1], frequency, word);
  }

  private change(left: number, right: number, difference: number, word: number): void {
    const key = keyOf(left, right);
    let pair = this.pairs.get(key);
    if (!pair) {
      pair = { left, right, count: 0, words: [] };
      this.pairs.set(key, pair);
    }
    pair.count += difference;
    if (difference < 0) return;
    if (pair.words.at(-1) !== word) pair.words.push(word);
    this.touched.add(pair);
  }

  private queueTouched(): void {
    for (const { left, right, count } of this.touched) if (count > 0) this.queue.push({ left, right, count });
    this.touched.clear();
  }
}

function keyOf(left: number, right: number): number {
  return left * ID_BOUND + right;
}

function comesBefore(a: Pair, b: Pair): boolean {
  if (a.count !== b.count) return a.count > b.count;
  return a.left === b.left ? a.right < b.right : a.left < b.left;
}
