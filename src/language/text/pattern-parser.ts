// Reads the regular expressions of tokenizer.json, which are written for Oniguruma, into a tree (pattern-tree.ts).
// What JavaScript cannot say the same way is said in terms of what it can: `^ $ \b \A \z` become look-arounds,
// inline `(?i:…)` becomes sets with both cases. What has no counterpart is refused by name.
// Not followed: Oniguruma folds `ß` onto `ss` under (?i); here a character folds only onto single characters.

import { FormatError } from '../../engine/errors.ts';
import {
  anyCharacter,
  bracketSet,
  intersection,
  isCaseClosed,
  negated,
  notNewline,
  propertySet,
  rangeSet,
  type SetSource,
  shorthandSet,
  union,
} from './character-set.ts';
import { anchors, any, lineEnd, lineStart, not, oneOf, type Pattern } from './pattern-tree.ts';

interface Flags {
  ignoreCase: boolean;
  dotMatchesNewline: boolean;
}

interface Interval {
  min: number;
  max: number;
  braced: boolean;
}

const LONGEST_PATTERN = 10_000;
const DEEPEST_GROUP = 100;
const LARGEST_COUNT = 1000;
const controls: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, a: 7, e: 27 };

/**
 * @param source an Oniguruma regular expression
 * @param where  the file and key it stands in, for errors
 * @throws FormatError for bad syntax and for what heed cannot translate, by name
 */
export function parsePattern(source: string, where: string): Pattern {
  return new PatternParser(source, where).parse();
}

class PatternParser {
  private readonly source: string;
  private readonly where: string;
  private at = 0;
  private depth = 0;

  constructor(source: string, where: string) {
    this.source = source;
    this.where = where;
  }

  parse(): Pattern {
    if (this.source.length > LONGEST_PATTERN) this.refuse(`more than ${LONGEST_PATTERN} characters`);
    const pattern = this.choice({ ignoreCase: false, dotMatchesNewline: false });
    if (this.at < this.source.length) this.refuse('an unmatched )');
    return pattern;
  }

  private choice(flags: Flags): Pattern {
    const options = [this.sequence(flags)];
    while (this.take('|')) options.push(this.sequence(flags));
    return options.length === 1 ? options[0] : { kind: 'choice', options };
  }

  private sequence(flags: Flags): Pattern {
    const parts: Pattern[] = [];
    while (this.at < this.source.length && !this.sees('|') && !this.sees(')'))
      parts.push(this.quantified(flags));
    return parts.length === 1 ? parts[0] : { kind: 'sequence', parts };
  }

  private quantified(flags: Flags): Pattern {
    let body = this.atom(flags);
    for (let interval = this.interval(); interval; interval = this.interval()) {
      const { min, max } = interval;
      const mode = this.mode(interval, body);
      const isOptional = mode === 'possessive' && max === 1;
      body = isOptional ? any(body, not(body)) : { kind: 'repeat', body, min, max, mode };
    }
    return body;
  }

  private interval(): Interval | undefined {
    if (this.take('*')) return { min: 0, max: Infinity, braced: false };
    if (this.take('+')) return { min: 1, max: Infinity, braced: false };
    if (this.take('?')) return { min: 0, max: 1, braced: false };
    const braces = this.takeMatch(/\{(?:(\d+)(,?)(\d*)|,(\d+))\}/y);
    if (!braces) return undefined;
    const min = Number(braces[1] ?? 0);
    const max = braces[4] ? Number(braces[4]) : braces[3] ? Number(braces[3]) : braces[2] ? Infinity : min;
    if (min > max || min > LARGEST_COUNT || (max > LARGEST_COUNT && max !== Infinity))
      this.refuse(`the count ${braces[0]}`);
    return { min, max, braced: true };
  }

  // In Oniguruma `{n,m}+` is not possessive but a repetition of a repetition, so its `+` is left for the next round.
  private mode({ min, max, braced }: Interval, body: Pattern): 'greedy' | 'lazy' | 'possessive' {
    if (braced && min === max && this.sees('?')) this.refuse(`{${min}}?`);
    if (this.take('?')) return 'lazy';
    if (braced || !this.take('+')) return 'greedy';
    if (body.kind !== 'set') this.refuse('a possessive repetition of a group');
    return 'possessive';
  }

  private atom(flags: Flags): Pattern {
    if (this.take('(')) return this.group(flags);
    if (this.take('[')) return oneOf(this.characterClass(flags));
    if (this.take('\\')) return this.escape(flags);
    if (this.take('.')) return oneOf(flags.dotMatchesNewline ? anyCharacter : notNewline);
    if (this.take('^')) return lineStart;
    if (this.take('$')) return lineEnd;
    if (/[*+?]/.test(this.source[this.at])) this.refuse(`${this.source[this.at]} with nothing to repeat`);
    return oneOf(this.literal(this.character(), flags));
  }

  private group(flags: Flags): Pattern {
    // `(?i)` without a colon holds until the enclosing group ends: the rest of that group becomes its body.
    const options = this.takeMatch(/\?([im]*)(?:-([im]+))?\)/y);
    if (options) return this.choice(withOptions(flags, options[1], options[2]));
    if (++this.depth > DEEPEST_GROUP) this.refuse('groups nested too deeply');
    const pattern = this.groupBody(flags);
    this.expect(')');
    this.depth--;
    return pattern;
  }

  private groupBody(flags: Flags): Pattern {
    if (this.takeMatch(/\?#[^)]*/y)) return { kind: 'sequence', parts: [] };
    const look = this.takeMatch(/\?(<?)([=!])/y);
    if (look) return { kind: 'look', body: this.choice(flags), ahead: !look[1], negative: look[2] === '!' };
    const options = this.takeMatch(/\?([im]*)(?:-([im]+))?:/y);
    if (options) return this.choice(withOptions(flags, options[1], options[2]));
    if (this.sees('?') && !this.takeMatch(/\?<[A-Za-z_]\w*>/y))
      this.refuse(`the group (${this.source.slice(this.at, this.at + 3)}`);
    return this.choice(flags);
  }

  private escape(flags: Flags): Pattern {
    const anchor = anchors[this.source[this.at]];
    if (anchor) {
      this.at++;
      return anchor;
    }
    return oneOf(this.setEscape(flags) ?? this.literal(this.escapedCharacter(), flags));
  }

  /** `\s`, `\p{L}` and their like; undefined, and nothing taken, when the escape is of a single character. */
  private setEscape(flags: Flags): SetSource | undefined {
    const property = this.takeMatch(/([pP])\{([^}]*)\}/y);
    if (property) {
      const set = propertySet(property[2]) ?? this.refuse(`\\p{${property[2]}}`);
      return this.caseClosed(property[1] === 'p' ? set : negated(set), flags);
    }
    const set = shorthandSet(this.source[this.at] ?? '');
    if (set) this.at++;
    return set;
  }

  private escapedCharacter(): number {
    const hex = this.takeMatch(/x\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})/y);
    if (hex) return this.validCodePoint(Number.parseInt(hex[1] ?? hex[2] ?? hex[3], 16));
    const code = this.character();
    const char = String.fromCodePoint(code);
    if (Object.hasOwn(controls, char)) return controls[char];
    return /[A-Za-z0-9]/.test(char) ? this.refuse(`\\${char}`) : code;
  }

  private characterClass(flags: Flags): SetSource {
    if (++this.depth > DEEPEST_GROUP) this.refuse('classes nested too deeply');
    const isNegated = this.take('^');
    const sides: SetSource[] = [];
    do sides.push(this.classSide(flags, sides.length === 0));
    while (this.take('&&'));
    this.expect(']');
    this.depth--;
    return isNegated ? negated(intersection(sides)) : intersection(sides);
  }

  private classSide(flags: Flags, isFirst: boolean): SetSource {
    const sets: SetSource[] = [];
    while (
      this.at < this.source.length &&
      !this.sees('&&') &&
      !(this.sees(']') && (sets.length > 0 || !isFirst))
    ) {
      sets.push(this.classItem(flags));
    }
    if (sets.length === 0) this.refuse('an empty class');
    return union(sets);
  }

  private classItem(flags: Flags): SetSource {
    const bracket = this.takeMatch(/\[:(\^?\w+):\]/y);
    if (bracket) return this.caseClosed(bracketSet(bracket[1]) ?? this.refuse(`[:${bracket[1]}:]`), flags);
    if (this.take('[')) return this.characterClass(flags);
    const escaped = this.take('\\');
    const set = escaped && this.setEscape(flags);
    if (set) return set;
    const first = escaped ? this.escapedCharacter() : this.character();
    return this.caseRange(first, this.rangeEnd() ?? first, flags);
  }

  /** The right side of `a-z`; undefined when the hyphen is a plain one (`[a-]`, `[a-\s]`) or there is none. */
  private rangeEnd(): number | undefined {
    if (!this.sees('-') || /^-(\]|\[|\\[pPsSdDwWhH]|&&)/.test(this.source.slice(this.at, this.at + 3)))
      return undefined;
    this.at++;
    return this.take('\\') ? this.escapedCharacter() : this.character();
  }

  private caseRange(first: number, last: number, { ignoreCase }: Flags): SetSource {
    if (last < first) this.refuse('a range that runs backwards');
    return rangeSet({ first, last }, ignoreCase);
  }

  private literal(codePoint: number, { ignoreCase }: Flags): SetSource {
    return rangeSet({ first: codePoint, last: codePoint }, ignoreCase);
  }

  private caseClosed(set: SetSource, { ignoreCase }: Flags): SetSource {
    if (ignoreCase && !isCaseClosed(set)) this.refuse(`${set} under (?i)`);
    return set;
  }

  private character(): number {
    const code = this.source.codePointAt(this.at) ?? this.refuse('its end too early');
    this.at += code > 0xffff ? 2 : 1;
    return this.validCodePoint(code);
  }

  private validCodePoint(code: number): number {
    return code > 0x10ffff || (code >= 0xd800 && code < 0xe000)
      ? this.refuse('a character outside Unicode')
      : code;
  }

  private sees(text: string): boolean {
    return this.source.startsWith(text, this.at);
  }

  private take(text: string): boolean {
    if (!this.sees(text)) return false;
    this.at += text.length;
    return true;
  }

  private takeMatch(sticky: RegExp): RegExpExecArray | null {
    sticky.lastIndex = this.at;
    const match = sticky.exec(this.source);
    if (match) this.at = sticky.lastIndex;
    return match;
  }

  private expect(text: string): void {
    if (!this.take(text)) this.refuse(`no ${text} where one belongs`);
  }

  private refuse(what: string): never {
    const place = `at character ${this.at} of ${JSON.stringify(this.source.slice(0, 60))}`;
    throw new FormatError({
      where: this.where,
      expected: 'a regular expression that heed can translate',
      found: `${what} ${place}`,
    });
  }
}

function withOptions(flags: Flags, on: string, off = ''): Flags {
  const option = (letter: string, before: boolean) =>
    (on.includes(letter) || before) && !off.includes(letter);
  return {
    ignoreCase: option('i', flags.ignoreCase),
    dotMatchesNewline: option('m', flags.dotMatchesNewline),
  };
}
