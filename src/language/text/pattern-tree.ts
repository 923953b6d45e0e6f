// The tree of a regular expression, and the anchors `^ $ \b \B \A \z \Z` in terms of it, with Oniguruma's meaning.

import { anyCharacter, newline, notNewline, type SetSource, wordCharacter } from './character-set.ts';

export type Pattern =
  | { kind: 'set'; set: SetSource }
  | { kind: 'sequence'; parts: Pattern[] }
  | { kind: 'choice'; options: Pattern[] }
  /** A possessive repetition is of a set and without an upper bound: it takes every character that it can. */
  | { kind: 'repeat'; body: Pattern; min: number; max: number; mode: 'greedy' | 'lazy' | 'possessive' }
  | { kind: 'look'; body: Pattern; ahead: boolean; negative: boolean };

export function oneOf(set: SetSource): Pattern {
  return { kind: 'set', set };
}

function look(set: SetSource, direction: 'next' | 'previous', negative = false): Pattern {
  return { kind: 'look', body: oneOf(set), ahead: direction === 'next', negative };
}

/** Holds where `body` does not follow; takes nothing. */
export function not(body: Pattern): Pattern {
  return { kind: 'look', body, ahead: true, negative: true };
}

function all(...parts: Pattern[]): Pattern {
  return { kind: 'sequence', parts };
}

export function any(...options: Pattern[]): Pattern {
  return { kind: 'choice', options };
}

const textStart = look(anyCharacter, 'previous', true);
const textEnd = look(anyCharacter, 'next', true);
export const lineStart = any(textStart, all(look(newline, 'previous'), look(anyCharacter, 'next')));
export const lineEnd = look(notNewline, 'next', true);
const [afterWord, beforeWord] = [look(wordCharacter, 'previous'), look(wordCharacter, 'next')];
const [notAfterWord, notBeforeWord] = [
  look(wordCharacter, 'previous', true),
  look(wordCharacter, 'next', true),
];
const lastLineEnd = any(textEnd, {
  kind: 'look',
  body: all(oneOf(newline), textEnd),
  ahead: true,
  negative: false,
});

/** By the letter behind the backslash. */
export const anchors: Readonly<Record<string, Pattern>> = {
  A: textStart,
  z: textEnd,
  Z: lastLineEnd,
  b: any(all(afterWord, notBeforeWord), all(notAfterWord, beforeWord)),
  B: any(all(afterWord, beforeWord), all(notAfterWord, notBeforeWord)),
};
