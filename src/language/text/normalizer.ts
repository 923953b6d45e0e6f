// The normalizer of tokenizer.json: text to text, before anything is split. With offsets asked for, also the way back.

import { UserError } from '../../engine/errors.ts';
import type { JsonField } from './json-field.ts';
import { compilePattern, type FindAll, literalFinder } from './pattern.ts';

export type Normalizer = (text: string) => string;

/** For each UTF-16 unit of a normalized text, the stretch of the original text that it came from. */
export interface Alignment {
  starts: number[];
  ends: number[];
}

/** @throws FormatError for a normalizer that byte-level tokenizers do not use, by name */
export function readNormalizer(field: JsonField): Normalizer | undefined {
  return field.present ? field.byType(normalizerReaders) : undefined;
}

const normalizerReaders: Readonly<Record<string, (field: JsonField) => Normalizer>> = {
  NFC: () => (text) => text.normalize('NFC'),
  NFD: () => (text) => text.normalize('NFD'),
  NFKC: () => (text) => text.normalize('NFKC'),
  NFKD: () => (text) => text.normalize('NFKD'),
  // Character by character, for toLowerCase alone would treat a final sigma by its neighbours.
  Lowercase: () => (text) => Array.from(text, (char) => char.toLowerCase()).join(''),
  Prepend: (field) => {
    const prefix = field.at('prepend').string();
    return (text) => (text === '' ? '' : prefix + text);
  },
  Replace: (field) => {
    const find = readFinder(field.at('pattern'));
    const content = field.at('content').string();
    return (text) => {
      const matches = find(text);
      refuseGrowth(text, text.length + (matches.length / 2) * content.length, field);
      return replaceAll(text, matches, content);
    };
  },
  Sequence: (field) => {
    const steps = field.steps('normalizers').map((step) => step.byType(normalizerReaders));
    return (text) =>
      steps.reduce((normalized, step) => {
        const next = step(normalized);
        refuseGrowth(text, next.length, field);
        return next;
      }, text);
  },
};

/** Replacements in sequence can double a text again and again; no normal form makes it grow more than 18-fold. */
function refuseGrowth(text: string, length: number, field: JsonField): void {
  const most = 32 * text.length + 1000;
  if (length <= most) return;
  const expected = `a normalizer that makes of ${text.length} characters at most ${most}`;
  throw new UserError({ where: field.place, expected, found: `${length}` });
}

/** `{"Regex": …}` or `{"String": …}`. */
export function readFinder(field: JsonField): FindAll {
  field.record();
  const [regex, literal] = [field.at('Regex'), field.at('String')];
  if (literal.present) return literalFinder(literal.string());
  if (!regex.present) field.fail('{"Regex": …} or {"String": …}');
  return compilePattern(regex.string(), regex.place);
}

function replaceAll(text: string, matches: readonly number[], content: string): string {
  const kept: string[] = [];
  let end = 0;
  for (let i = 0; i < matches.length; i += 2) {
    kept.push(text.slice(end, matches[i]));
    end = matches[i + 1];
  }
  return [...kept, text.slice(end)].join(content);
}

// A character with its combining marks, or conjoining Hangul letters: what normal forms compose into one.
const composedPiece = /(?:[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]+|\P{M})\p{M}*|\p{M}+/gu;

/**
 * Where each unit of `normalize(text)` comes from: its character with the marks on it. When the text does not normalize
 * piece by piece (a replacement across characters, a prefix), every unit comes from the whole text.
 */
export function align(text: string, normalized: string, normalize: Normalizer): Alignment {
  const alignment: Alignment = { starts: [], ends: [] };
  let rebuilt = '';
  for (const match of text.matchAll(composedPiece)) {
    const piece = normalize(match[0]);
    rebuilt += piece;
    for (let i = 0; i < piece.length; i++) {
      alignment.starts.push(match.index);
      alignment.ends.push(match.index + match[0].length);
    }
  }
  if (rebuilt === normalized) return alignment;
  return { starts: Array(normalized.length).fill(0), ends: Array(normalized.length).fill(text.length) };
}
