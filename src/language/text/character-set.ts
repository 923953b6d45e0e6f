// Sets of characters as JavaScript writes them (classes of the `v` flag), made from Oniguruma's notations.
// Where the two differ, Oniguruma's meaning is kept: \s is Unicode white space (so U+0085 but not U+FEFF), \d any
// decimal digit, \w any letter, mark, digit or connector, and properties need no `Script=`.

interface Range {
  first: number;
  last: number;
}

/** A class in brackets, such as `[\p{L}\p{N}]`; it matches exactly one code point. */
export type SetSource = string;

export const anyCharacter: SetSource = '[\\p{Any}]';
export const newline: SetSource = '[\\n]';
export const notNewline: SetSource = '[^\\n]';
export const wordCharacter: SetSource = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]';

const shorthands: Readonly<Record<string, SetSource>> = {
  s: '[\\p{White_Space}]',
  d: '[\\p{Nd}]',
  // Oniguruma's table for \w, unlike its [[:word:]], has the digits and fractions of Latin-1 as well.
  w: `[${wordCharacter}\\xb2\\xb3\\xb9\\xbc-\\xbe]`,
  h: '[0-9A-Fa-f]',
};

const bracketNames: Readonly<Record<string, SetSource>> = {
  alpha: '[\\p{Alphabetic}]',
  digit: '[\\p{Nd}]',
  alnum: '[\\p{Alphabetic}\\p{Nd}]',
  upper: '[\\p{Uppercase}]',
  lower: '[\\p{Lowercase}]',
  space: '[\\p{White_Space}]',
  cntrl: '[\\p{Cc}]',
  xdigit: '[0-9A-Fa-f]',
  word: wordCharacter,
  ascii: '[\\p{ASCII}]',
};

/** `\s \S \d \D \w \W \h \H`, or undefined for another letter. */
export function shorthandSet(letter: string): SetSource | undefined {
  const set = shorthands[letter.toLowerCase()];
  return set && (letter === letter.toLowerCase() ? set : negated(set));
}

/** `\p{name}`: a general category, a script or another property; undefined when JavaScript has none of that name. */
export function propertySet(name: string): SetSource | undefined {
  if (name.startsWith('^')) return mapDefined(propertySet(name.slice(1)), negated);
  if (!/^[A-Za-z][A-Za-z_=]*$/.test(name)) return undefined;
  return (
    [`\\p{${name}}`, `\\p{Script=${name}}`].filter(isProperty).map((p) => `[${p}]`)[0] ?? bracketSet(name)
  );
}

/** `[:name:]` inside a class. */
export function bracketSet(name: string): SetSource | undefined {
  if (name.startsWith('^')) return mapDefined(bracketSet(name.slice(1)), negated);
  const key = name.toLowerCase();
  return Object.hasOwn(bracketNames, key) ? bracketNames[key] : undefined;
}

/** Characters from `first` to `last`, with their other cases when `ignoreCase`. */
export function rangeSet({ first, last }: Range, ignoreCase: boolean): SetSource {
  const range = first === last ? escaped(first) : `${escaped(first)}-${escaped(last)}`;
  return `[${range}${ignoreCase ? caseVariants(`[${range}]`) : ''}]`;
}

export function negated(set: SetSource): SetSource {
  return `[^${set}]`;
}

export function union(sets: readonly SetSource[]): SetSource {
  return sets.length === 1 ? sets[0] : `[${sets.join('')}]`;
}

export function intersection(sets: readonly SetSource[]): SetSource {
  return sets.length === 1 ? sets[0] : `[${sets.join('&&')}]`;
}

/** Whether the set holds the same characters after case folding, so that ignoring case does not change it. */
export function isCaseClosed(set: SetSource): boolean {
  const inside = casedCharacters().match(new RegExp(set, 'gv'))?.length ?? 0;
  return inside === (casedCharacters().match(new RegExp(set, 'giv'))?.length ?? 0);
}

/** Membership of single code points, remembered, for the matcher that does not use JavaScript's own. */
export class CodePointSet {
  private readonly pattern: RegExp;
  private readonly known = new Map<number, boolean>();
  private readonly plane0 = new Int8Array(0x10000);

  constructor(set: SetSource) {
    this.pattern = new RegExp(`^${set}$`, 'v');
  }

  has(codePoint: number): boolean {
    if (codePoint > 0xffff) return this.hasAstral(codePoint);
    if (this.plane0[codePoint] === 0) this.plane0[codePoint] = this.test(codePoint) ? 1 : -1;
    return this.plane0[codePoint] === 1;
  }

  private hasAstral(codePoint: number): boolean {
    const known = this.known.get(codePoint) ?? this.test(codePoint);
    this.known.set(codePoint, known);
    return known;
  }

  private test(codePoint: number): boolean {
    return this.pattern.test(String.fromCodePoint(codePoint));
  }
}

function caseVariants(set: SetSource): string {
  return [...(casedCharacters().match(new RegExp(set, 'giv')) ?? [])]
    .map((c) => escaped(c.codePointAt(0)!))
    .join('');
}

let cased: string | undefined;

/** Every character that has another case; the last of them stands below U+1F000. */
function casedCharacters(): string {
  if (cased === undefined) {
    const all = Array.from({ length: 0x1f000 }, (_, code) =>
      code >= 0xd800 && code < 0xe000 ? '' : String.fromCodePoint(code),
    );
    cased = (all.join('').match(/[\p{Changes_When_Casemapped}\p{Changes_When_Casefolded}]/gu) ?? []).join('');
  }
  return cased;
}

function isProperty(source: string): boolean {
  try {
    // The `u` flag knows no properties of strings, which match more than one code point.
    return new RegExp(source, 'u') instanceof RegExp;
  } catch {
    return false;
  }
}

function escaped(codePoint: number): string {
  return `\\u{${codePoint.toString(16)}}`;
}

function mapDefined<T>(value: T | undefined, change: (value: T) => T): T | undefined {
  return value === undefined ? undefined : change(value);
}
