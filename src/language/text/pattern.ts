// Finds the matches of a tokenizer's regular expression. Patterns that provably cost linear time, among them those
// that GPT-2, Llama 3 and Qwen publish, run on JavaScript's own engine; all others on heed's (pattern-program.ts),
// so no pattern and no text can make encoding hang.

import { parsePattern } from './pattern-parser.ts';
import { PatternProgram } from './pattern-program.ts';
import type { Pattern } from './pattern-tree.ts';

/** All matches in a text, in order, as `[start, end, start, end, …]` in UTF-16 units. */
export type FindAll = (text: string) => number[];

const MOST_WAYS = 1000;
/** How the published patterns end. `\s+` takes whatever the alternatives before it looked at in vain. */
const whitespaceEndings = ['\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+', '\\s+(?!\\S)|\\s+'].map(
  (source) => (parsePattern(source, '') as Pattern & { kind: 'choice' }).options,
);

/**
 * @param source an Oniguruma regular expression, as tokenizer.json writes them
 * @param where  the file and key it stands in, for errors
 * @throws FormatError when the expression is malformed or has no translation
 */
export function compilePattern(source: string, where: string): FindAll {
  const pattern = parsePattern(source, where);
  const program = new PatternProgram(pattern, where);
  return runsInLinearTime(pattern) ? nativeFinder(pattern, program) : (text) => program.findAll(text);
}

/** Every occurrence of a plain string. */
export function literalFinder(literal: string): FindAll {
  return (text) => {
    const found: number[] = [];
    if (literal === '') return found;
    for (let at = text.indexOf(literal); at >= 0; at = text.indexOf(literal, at + literal.length)) {
      found.push(at, at + literal.length);
    }
    return found;
  };
}

/**
 * Whether a backtracking engine surely takes linear time: in each alternative, once a run of unknown length has been
 * taken nothing that follows can fail, and what comes before the run can match in few ways.
 */
export function runsInLinearTime(pattern: Pattern): boolean {
  const options = pattern.kind === 'choice' ? pattern.options : [pattern];
  const ending = whitespaceEndings.find(
    (e) => JSON.stringify(options.slice(-e.length)) === JSON.stringify(e),
  );
  return options.slice(0, options.length - (ending?.length ?? 0)).every(isSafeAlternative);
}

function isSafeAlternative(option: Pattern): boolean {
  const parts = option.kind === 'sequence' ? option.parts : [option];
  const firstRun = parts.findIndex(isRun);
  const beforeRun = firstRun < 0 ? parts : parts.slice(0, firstRun);
  const afterRun = firstRun < 0 ? [] : parts.slice(firstRun + 1);
  return product(beforeRun.map(waysToMatch)) <= MOST_WAYS && afterRun.every(cannotFail);
}

function isRun(part: Pattern): boolean {
  return part.kind === 'repeat' && part.max === Infinity && part.body.kind === 'set' && part.mode !== 'lazy';
}

function cannotFail(part: Pattern): boolean {
  return part.kind === 'repeat' && part.min === 0 && (isRun(part) || waysToMatch(part) <= MOST_WAYS);
}

/** An upper bound on the ways in which a pattern of bounded length can match at one place; Infinity when unbounded. */
function waysToMatch(pattern: Pattern): number {
  if (pattern.kind === 'set') return 1;
  if (pattern.kind === 'look') return waysToMatch(pattern.body);
  if (pattern.kind === 'sequence') return product(pattern.parts.map(waysToMatch));
  if (pattern.kind === 'choice') return pattern.options.map(waysToMatch).reduce((sum, ways) => sum + ways, 0);
  if (pattern.max === Infinity) return Infinity;
  return (pattern.max - pattern.min + 1) * waysToMatch(pattern.body) ** pattern.max;
}

function product(factors: readonly number[]): number {
  return factors.reduce((a, b) => a * b, 1);
}

function nativeFinder(pattern: Pattern, program: PatternProgram): FindAll {
  const expression = new RegExp(toJavaScript(pattern), 'gv');
  return (text) => {
    try {
      return nativeMatches(expression, text);
    } catch (error) {
      // V8's backtracking stack ends after some millions of characters in one unbroken run.
      if (error instanceof RangeError) return program.findAll(text);
      throw error;
    }
  };
}

function nativeMatches(expression: RegExp, text: string): number[] {
  const found: number[] = [];
  let lastEnd = -1;
  expression.lastIndex = 0;
  for (let match = expression.exec(text); match; match = expression.exec(text)) {
    const end = expression.lastIndex;
    // Oniguruma's iteration accepts no empty match right behind another match.
    if (end > match.index || end !== lastEnd) {
      found.push(match.index, end);
      lastEnd = end;
    }
    if (end === match.index) expression.lastIndex += (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1;
  }
  return found;
}

/** The same pattern as the source of a JavaScript expression with the `v` flag. */
export function toJavaScript(pattern: Pattern): string {
  if (pattern.kind === 'set') return pattern.set;
  if (pattern.kind === 'sequence') return pattern.parts.map(toJavaScript).join('');
  if (pattern.kind === 'choice') return `(?:${pattern.options.map(toJavaScript).join('|')})`;
  if (pattern.kind === 'look') {
    return `(?${pattern.ahead ? '' : '<'}${pattern.negative ? '!' : '='}${toJavaScript(pattern.body)})`;
  }
  const body = `(?:${toJavaScript(pattern.body)})`;
  const count = `${body}{${pattern.min},${pattern.max === Infinity ? '' : pattern.max}}`;
  if (pattern.mode === 'lazy') return `${count}?`;
  return pattern.mode === 'possessive' ? `${count}(?!${body})` : count;
}
