// Byte pair encoding of one piece of text (Sennrich et al. 2016, over bytes as in GPT-2): of all neighbouring pairs
// the one learnt first merges first, leftmost first, until none is left. O(n log n) for a piece of n bytes.

import { byteAlphabet, detached, spellBytes, utf8 } from './byte-alphabet.ts';
import { Heap } from './heap.ts';
import type { JsonField } from './json-field.ts';

/** Ids are below this, so that (rank, position) and (left, right) each fit one exact number. */
export const ID_BOUND = 2 ** 24;
const POSITION_BOUND = 2 ** 29;
const LONGEST_CACHED_PIECE = 256;
const MOST_CACHED_PIECES = 1 << 16;
const NONE = -1;

interface EncodedPiece {
  ids: number[];
  /** Bytes of the piece that each id stands for; they sum to the piece's length in UTF-8. */
  widths: number[];
}

export interface BpeOptions {
  /** Ids of neighbouring tokens in the order in which they were learnt, and the id that each pair becomes. */
  merges: readonly { left: number; right: number; merged: number }[];
  /** A piece that is itself an entry becomes that entry, whatever the merges say. */
  ignoresMerges: boolean;
  /** Stands for bytes that have no entry; without it they are dropped, as in Hugging Face's library. */
  unknown?: number;
  fusesUnknown: boolean;
}

export class BpeModel {
  readonly vocabulary: ReadonlyMap<string, number>;
  private readonly options: BpeOptions;
  private readonly rankOfPair: Map<number, number>;
  private readonly idOfByte: readonly number[];
  private readonly cache = new Map<string, EncodedPiece>();

  constructor(vocabulary: ReadonlyMap<string, number>, options: BpeOptions) {
    this.vocabulary = vocabulary;
    this.options = options;
    this.rankOfPair = new Map(options.merges.map(({ left, right }, rank) => [left * ID_BOUND + right, rank]));
    this.idOfByte = byteAlphabet().map((char) => vocabulary.get(char) ?? NONE);
  }

  encode(piece: string): EncodedPiece {
    const cached = this.cache.get(piece);
    if (cached) return cached;
    const encoded = this.encodeBytes(utf8(piece));
    if (piece.length <= LONGEST_CACHED_PIECE) this.remember(piece, encoded);
    return encoded;
  }

  private remember(piece: string, encoded: EncodedPiece): void {
    if (this.cache.size >= MOST_CACHED_PIECES) this.cache.clear();
    this.cache.set(detached(piece), encoded);
  }

  private encodeBytes(bytes: Uint8Array): EncodedPiece {
    const whole = this.options.ignoresMerges ? this.vocabulary.get(spellBytes(bytes)) : undefined;
    if (whole !== undefined) return { ids: [whole], widths: [bytes.length] };
    const { ids, widths } = this.symbols(bytes);
    return ids.length <= 32 ? this.mergeShort(ids, widths) : this.mergeLong(ids, widths);
  }

  private symbols(bytes: Uint8Array): EncodedPiece {
    const { unknown, fusesUnknown } = this.options;
    const [ids, widths]: [number[], number[]] = [[], []];
    let dropped = 0;
    for (const byte of bytes) {
      const known = this.idOfByte[byte];
      const id = known === NONE ? unknown : known;
      const isFused = known === NONE && fusesUnknown && ids.length > 0 && ids.at(-1) === unknown;
      if (id !== undefined && !isFused) {
        ids.push(id);
        widths.push(1 + dropped);
        dropped = 0;
      } else if (ids.length > 0) widths[widths.length - 1]++;
      else dropped++;
    }
    return { ids, widths };
  }

  private rank(left: number, right: number): number {
    return this.rankOfPair.get(left * ID_BOUND + right) ?? NONE;
  }

  private mergeShort(ids: number[], widths: number[]): EncodedPiece {
    const ranks = ids.slice(1).map((right, i) => this.rank(ids[i], right));
    for (let at = lowestRank(ranks); at !== NONE; at = lowestRank(ranks)) {
      ids.splice(at, 2, this.options.merges[ranks[at]].merged);
      widths.splice(at, 2, widths[at] + widths[at + 1]);
      ranks.splice(at, 1);
      if (at > 0) ranks[at - 1] = this.rank(ids[at - 1], ids[at]);
      if (at < ranks.length) ranks[at] = this.rank(ids[at], ids[at + 1]);
    }
    return { ids, widths };
  }

  private mergeLong(ids: number[], widths: number[]): EncodedPiece {
    const count = ids.length;
    const next = Int32Array.from(ids, (_, i) => (i + 1 < count ? i + 1 : NONE));
    const previous = Int32Array.from(ids, (_, i) => i - 1);
    // (rank, position) as one number: the lowest rank first, then the leftmost place.
    const candidates = new Heap<number>((a, b) => a < b);
    const consider = (at: number) => {
      const rank = at === NONE || next[at] === NONE ? NONE : this.rank(ids[at], ids[next[at]]);
      if (rank !== NONE) candidates.push(rank * POSITION_BOUND + at);
    };
    for (let at = 0; at < count; at++) consider(at);
    while (candidates.size > 0) {
      const candidate = candidates.pop()!;
      const at = candidate % POSITION_BOUND;
      const rank = (candidate - at) / POSITION_BOUND;
      const right = next[at];
      const isStale = widths[at] === 0 || right === NONE || this.rank(ids[at], ids[right]) !== rank;
      if (isStale) continue;
      ids[at] = this.options.merges[rank].merged;
      widths[at] += widths[right];
      widths[right] = 0;
      next[at] = next[right];
      if (next[at] !== NONE) previous[next[at]] = at;
      consider(previous[at]);
      consider(at);
    }
    const isLeft = (_: number, i: number) => widths[i] > 0;
    return { ids: ids.filter(isLeft), widths: widths.filter((width) => width > 0) };
  }
}

function lowestRank(ranks: readonly number[]): number {
  let best = NONE;
  for (let i = 0; i < ranks.length; i++) {
    if (ranks[i] !== NONE && (best === NONE || ranks[i] < ranks[best])) best = i;
  }
  return best;
}

/** @throws FormatError for another kind of model, a broken vocabulary, or merges of entries that do not exist */
export function readBpeModel(field: JsonField): BpeModel {
  field.record();
  // The first files that GPT-2's tokenizer was published in do not name the model's type.
  if (field.at('type').present && field.at('type').value !== 'BPE') field.at('type').fail('BPE');
  refuseUnsupported(field);
  const vocabulary = readVocabulary(field.at('vocab'));
  const unknown = field.at('unk_token');
  return new BpeModel(vocabulary, {
    merges: readMerges(field.at('merges'), vocabulary),
    ignoresMerges: field.at('ignore_merges').boolean(false),
    unknown: unknown.present
      ? (vocabulary.get(unknown.string()) ?? unknown.fail('an entry of model.vocab'))
      : undefined,
    fusesUnknown: field.at('fuse_unk').boolean(false),
  });
}

function refuseUnsupported(field: JsonField): void {
  const dropout = field.at('dropout');
  if (dropout.present && dropout.value !== 0) dropout.fail('null or 0');
  if (field.at('byte_fallback').boolean(false)) field.at('byte_fallback').fail('false');
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    const affix = field.at(key);
    if (affix.present && affix.value !== '') affix.fail('null or an empty string');
  }
}

function readVocabulary(field: JsonField): Map<string, number> {
  const vocabulary = new Map<string, number>();
  const ids = new Set<number>();
  for (const [token, id] of Object.entries(field.record())) {
    const isFree = Number.isInteger(id) && !ids.has(id as number);
    if (!isFree || (id as number) < 0 || (id as number) >= ID_BOUND) {
      field.at(token).fail(`an integer from 0 to ${ID_BOUND - 1} that no other entry has`);
    }
    vocabulary.set(token, id as number);
    ids.add(id as number);
  }
  return vocabulary;
}

function readMerges(field: JsonField, vocabulary: ReadonlyMap<string, number>): BpeOptions['merges'] {
  const merges = field.array();
  const cuts = [...vocabulary.keys()].reduce((sum, token) => sum + token.length - 1, 1);
  // A merge is a way to cut an entry in two, so there cannot be more of them than such cuts.
  if (merges.length > cuts) field.fail(`at most ${cuts} merges for this vocabulary`);
  return merges.map((merge, index) => {
    const pair = typeof merge === 'string' ? merge.split(' ') : merge;
    if (!isPair(pair)) return field.at(index).fail('two tokens, as "a b" or ["a", "b"]');
    const [left, right, merged] = [pair[0], pair[1], pair[0] + pair[1]].map((token) => vocabulary.get(token));
    if (left === undefined || right === undefined || merged === undefined) {
      return field.at(index).fail('two entries of model.vocab whose concatenation is an entry too');
    }
    return { left, right, merged };
  });
}

function isPair(value: unknown): value is [string, string] {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    value.every((part) => typeof part === 'string' && part !== '')
  );
}
