// Trains a byte-level BPE tokenizer: counts the pieces of a corpus, then merges the most frequent neighbouring pair
// until the vocabulary is full (Sennrich et al. 2016, Algorithm 1; byte-level as in GPT-2).
// Deterministic, with Hugging Face's order: special tokens, then the alphabet by code point, then merges; among equally
// frequent pairs the one with the smaller left id, then the smaller right id.

import { UserError } from '../../engine/errors.ts';
import { byteAlphabet, detached, spellBytes, utf8, wellFormed } from './byte-alphabet.ts';
import { JsonField } from './json-field.ts';
import { MergeCounter } from './merge-counter.ts';
import { readPreTokenizer } from './pre-tokenizer.ts';
import { specialRoles } from './special-roles.ts';
import { Tokenizer } from './tokenizer.ts';

export interface TrainTokenizerOptions {
  /** Entries in all, special tokens included; fewer come out when the corpus holds too few pairs. */
  vocabularySize: number;
  /** First ids, in this order. */
  specialTokens?: readonly string[];
  /** Roles; tokens not among `specialTokens` are put behind them. With `bos`, the template puts it before a text. */
  bos?: string;
  eos?: string;
  pad?: string;
  /** A pair must occur this often to be merged. Default 2. */
  minFrequency?: number;
  /** `bytes` (default): all 256, so that any text can be encoded. `seen`: only bytes of the corpus; others are dropped. */
  initialAlphabet?: InitialAlphabet;
  /** How text is cut into pieces. Default `gpt2`. `digits`: the same with each digit on its own, as SmolLM does. */
  splitPattern?: SplitPattern;
  /** Called now and then with the number of entries made and wanted. */
  onProgress?: (done: number, total: number) => void;
}

export type InitialAlphabet = 'bytes' | 'seen';
export type SplitPattern = keyof typeof preTokenizers;

const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };

const preTokenizers = {
  gpt2: { ...byteLevel, use_regex: true },
  digits: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Digits', individual_digits: true },
      { ...byteLevel, use_regex: true },
    ],
  },
  llama3: splitThenBytes('{1,3}'),
  qwen2: splitThenBytes(''),
} as const;

/** Llama 3's and Qwen2's expression; they differ only in how many digits make a piece. */
function splitThenBytes(digitCount: string): object {
  const pattern = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}${digitCount}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
  const split = { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
  return { type: 'Sequence', pretokenizers: [split, { ...byteLevel, use_regex: false }] };
}

/**
 * @param texts documents; nothing is merged across two of them
 * @throws UserError when the options contradict each other
 */
export function trainTokenizer(texts: Iterable<string>, options: TrainTokenizerOptions): Tokenizer {
  const specialTokens = checkedSpecialTokens(options);
  const preTokenizer = preTokenizers[options.splitPattern ?? 'gpt2'];
  const words = countPieces(texts, preTokenizer);
  const alphabet =
    (options.initialAlphabet ?? 'bytes') === 'bytes' ? [...byteAlphabet()].sort() : seenBytes(words);
  const entries = new Map([...specialTokens, ...alphabet].map((token, id) => [token, id]));
  refuseSmallVocabulary(options.vocabularySize, entries.size);
  const merges = learnMerges(words, entries, options);
  return Tokenizer.fromJson(
    tokenizerJson({ entries, merges, specialTokens, preTokenizer, bos: options.bos }),
    'the trained tokenizer',
    tokenizerConfiguration(options),
  );
}

function checkedSpecialTokens(options: TrainTokenizerOptions): string[] {
  const roles = specialRoles.flatMap((role) => options[role] ?? []);
  const tokens = options.specialTokens ?? [];
  const repeated = tokens.find((token, i) => token === '' || tokens.indexOf(token) !== i);
  if (repeated !== undefined)
    refuse('special tokens', 'different strings, none empty', JSON.stringify(repeated));
  return [...new Set([...tokens, ...roles])];
}

function countPieces(texts: Iterable<string>, preTokenizer: unknown): Map<string, number> {
  const preTokenize = readPreTokenizer(new JsonField(preTokenizer, 'the pre-tokenizer'));
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const piece of preTokenize(wellFormed(text))) {
      const count = counts.get(piece.text);
      if (count === undefined) counts.set(detached(piece.text), 1);
      else counts.set(piece.text, count + 1);
    }
  }
  return counts;
}

function seenBytes(words: ReadonlyMap<string, number>): string[] {
  const seen = new Set<string>();
  for (const word of words.keys()) for (const char of spellBytes(utf8(word))) seen.add(char);
  return [...seen].sort();
}

function refuseSmallVocabulary(size: number, least: number): void {
  if (Number.isInteger(size) && size >= least) return;
  refuse('vocabulary size', `an integer of at least ${least} (special tokens and alphabet)`, String(size));
}

/** Adds merged entries to `entries` until there are `vocabularySize`; returns the pairs in the order of merging. */
function learnMerges(
  words: ReadonlyMap<string, number>,
  entries: Map<string, number>,
  { vocabularySize, minFrequency = 2, onProgress }: TrainTokenizerOptions,
): [string, string][] {
  const tokens = [...entries.keys()];
  const counter = new MergeCounter(words, (char) => entries.get(char)!);
  const merges: [string, string][] = [];
  while (entries.size < vocabularySize) {
    const pair = counter.mostFrequent();
    if (!pair || pair.count < Math.max(1, minFrequency)) break;
    const [left, right] = [tokens[pair.left], tokens[pair.right]];
    // The two may spell a special token; then they merge into that entry, and no new one is made.
    const id = entries.get(left + right) ?? entries.size;
    entries.set(left + right, id);
    tokens[id] = left + right;
    merges.push([left, right]);
    counter.merge(pair, id);
    if (entries.size % 64 === 0) onProgress?.(entries.size, vocabularySize);
  }
  onProgress?.(entries.size, vocabularySize);
  return merges;
}

interface TrainedParts {
  entries: ReadonlyMap<string, number>;
  merges: readonly [string, string][];
  specialTokens: readonly string[];
  preTokenizer: unknown;
  bos?: string;
}

function tokenizerJson({ entries, merges, specialTokens, preTokenizer, bos }: TrainedParts): unknown {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content, id) => ({ id, content, ...flags })),
    normalizer: null,
    pre_tokenizer: preTokenizer,
    post_processor: bos === undefined ? null : beginTemplate(bos, entries.get(bos)!),
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(entries),
      merges,
    },
  };
}

function beginTemplate(bos: string, id: number): unknown {
  const begin = (type: number) => ({ SpecialToken: { id: bos, type_id: type } });
  const text = (name: string, type: number) => ({ Sequence: { id: name, type_id: type } });
  return {
    type: 'TemplateProcessing',
    single: [begin(0), text('A', 0)],
    pair: [begin(0), text('A', 0), begin(1), text('B', 1)],
    special_tokens: { [bos]: { id: bos, ids: [id], tokens: [bos] } },
  };
}

function tokenizerConfiguration(options: TrainTokenizerOptions): Record<string, unknown> {
  const roles = specialRoles.filter((role) => options[role] !== undefined);
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    ...Object.fromEntries(roles.map((role) => [`${role}_token`, options[role]])),
  };
}

function refuse(where: string, expected: string, found: string): never {
  throw new UserError({ where, expected, found });
}
