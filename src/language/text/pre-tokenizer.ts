// The pre-tokenizer of tokenizer.json: cuts text into the pieces inside which byte pairs may merge.
// A chain of splitters, the last of which is ByteLevel.

import type { JsonField } from './json-field.ts';
import { readFinder } from './normalizer.ts';
import { compilePattern, type FindAll } from './pattern.ts';

export interface Piece {
  text: string;
  /** Where the piece begins in the text that was cut, in UTF-16 units. */
  start: number;
  /** 1 when `text` begins with a space that is not in the text that was cut (add_prefix_space), otherwise 0. */
  inserted: 0 | 1;
}

export type PreTokenizer = (text: string) => Piece[];

/** Cuts a text: `[start, end, start, end, …]`, without empty pieces; what lies between them is dropped. */
type Splitter = FindAll;

type Step = { kind: 'split'; split: Splitter } | { kind: 'bytes'; split: Splitter; addPrefixSpace: boolean };

/** A maximal stretch that is, or is not, a match. */
interface Stretch {
  start: number;
  end: number;
  isMatch: boolean;
}

/** GPT-2's expression (Radford et al. 2019), which ByteLevel applies when `use_regex` is true. */
const gpt2Pattern = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

const wholeText: Splitter = (text) => (text === '' ? [] : [0, text.length]);

/**
 * @throws FormatError for a pre-tokenizer of another kind (by name), and unless ByteLevel is there exactly once and last:
 * anywhere else, the splitters behind it would work on bytes instead of text
 */
export function readPreTokenizer(field: JsonField): PreTokenizer {
  const steps = field.byType(stepReaders);
  const last = steps.at(-1);
  if (last?.kind !== 'bytes' || steps.filter((step) => step.kind === 'bytes').length > 1) {
    return field.fail('one ByteLevel, as the last step');
  }
  return (text) => cutIntoPieces(text, steps.slice(0, -1), last);
}

const stepReaders: Readonly<Record<string, (field: JsonField) => Step[]>> = {
  Sequence: (field) => field.steps('pretokenizers').flatMap((step) => step.byType(stepReaders)),
  Split: (field) => [{ kind: 'split', split: readSplit(field) }],
  Digits: (field) => {
    const pattern = field.at('individual_digits').boolean(false) ? '\\p{N}' : '\\p{N}+';
    return [
      { kind: 'split', split: splitBy(compilePattern(pattern, field.place), behaviours.Isolated, false) },
    ];
  },
  ByteLevel: (field) => {
    const usesPattern = field.at('use_regex').boolean(true);
    const split = usesPattern
      ? splitBy(compilePattern(gpt2Pattern, field.place), behaviours.Isolated, false)
      : wholeText;
    return [{ kind: 'bytes', split, addPrefixSpace: field.at('add_prefix_space').boolean(true) }];
  },
};

function readSplit(field: JsonField): Splitter {
  const behaviour = field.at('behavior');
  const name = behaviour.string();
  if (!Object.hasOwn(behaviours, name)) behaviour.fail(Object.keys(behaviours).join(', '));
  return splitBy(readFinder(field.at('pattern')), behaviours[name], field.at('invert').boolean(false));
}

function cutIntoPieces(text: string, splits: readonly Step[], bytes: Step & { kind: 'bytes' }): Piece[] {
  let spans = wholeText(text);
  for (const { split } of splits) spans = spans.length === 2 ? split(text) : splitEach(text, spans, split);
  const pieces: Piece[] = [];
  for (let i = 0; i < spans.length; i += 2)
    addPieces(pieces, text.slice(spans[i], spans[i + 1]), spans[i], bytes);
  return pieces;
}

function splitEach(text: string, spans: readonly number[], split: Splitter): number[] {
  const finer: number[] = [];
  for (let i = 0; i < spans.length; i += 2) {
    for (const offset of split(text.slice(spans[i], spans[i + 1]))) finer.push(spans[i] + offset);
  }
  return finer;
}

function addPieces(pieces: Piece[], section: string, start: number, bytes: Step & { kind: 'bytes' }): void {
  const inserted = bytes.addPrefixSpace && !section.startsWith(' ') ? 1 : 0;
  const spaced = inserted ? ` ${section}` : section;
  const spans = bytes.split(spaced);
  for (let i = 0; i < spans.length; i += 2) {
    const isFirst = spans[i] === 0 && inserted === 1;
    const text = spaced.slice(spans[i], spans[i + 1]);
    pieces.push({ text, start: start + (isFirst ? 0 : spans[i] - inserted), inserted: isFirst ? 1 : 0 });
  }
}

type Behaviour = (stretches: Stretch[]) => Stretch[];

function splitBy(find: FindAll, behaviour: Behaviour, invert: boolean): Splitter {
  return (text) => {
    const matches = find(text);
    if (behaviour === behaviours.Isolated && coversWithoutGaps(matches, text.length)) return matches;
    const spans: number[] = [];
    for (const { start, end } of behaviour(stretchesOf(matches, text.length, invert))) {
      if (end > start) spans.push(start, end);
    }
    return spans;
  };
}

/** The common case, in which every character is part of some match: the matches are the pieces. */
function coversWithoutGaps(matches: readonly number[], length: number): boolean {
  let end = 0;
  for (let i = 0; i < matches.length; i += 2) {
    if (matches[i] !== end || matches[i + 1] === end) return false;
    end = matches[i + 1];
  }
  return end === length;
}

function stretchesOf(matches: readonly number[], length: number, invert: boolean): Stretch[] {
  const stretches: Stretch[] = [];
  let done = 0;
  for (let i = 0; i < matches.length; i += 2) {
    const [start, end] = [matches[i], matches[i + 1]];
    if (start > done) stretches.push({ start: done, end: start, isMatch: invert });
    stretches.push({ start, end, isMatch: !invert });
    done = end;
  }
  if (done < length) stretches.push({ start: done, end: length, isMatch: invert });
  return stretches;
}

/** What becomes of the matches ("delimiters"), by Hugging Face's names. */
const behaviours: Readonly<Record<string, Behaviour>> = {
  Isolated: (stretches) => stretches,
  Removed: (stretches) => stretches.filter((stretch) => !stretch.isMatch),
  Contiguous: (stretches) => joinWhere(stretches, (before, stretch) => before.isMatch === stretch.isMatch),
  MergedWithPrevious: (stretches) =>
    joinWhere(stretches, (before, stretch) => stretch.isMatch && !before.isMatch),
  MergedWithNext: (stretches) =>
    joinWhere(stretches, (before, stretch) => before.isMatch && !stretch.isMatch),
};

/** Joins a stretch to the one before it where `joins` says so of these two neighbours. */
function joinWhere(
  stretches: readonly Stretch[],
  joins: (before: Stretch, stretch: Stretch) => boolean,
): Stretch[] {
  const joined: Stretch[] = [];
  stretches.forEach((stretch, i) => {
    const last = joined.at(-1);
    if (last && joins(stretches[i - 1], stretch)) last.end = stretch.end;
    else joined.push({ ...stretch });
  });
  return joined;
}
