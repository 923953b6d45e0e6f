import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePattern, runsInLinearTime, toJavaScript } from './pattern.ts';
import { parsePattern } from './pattern-parser.ts';
import { PatternProgram } from './pattern-program.ts';

const published = {
  'GPT-2': String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
  'Llama 3': String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  Qwen2: String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
};

function matches(pattern: string, text: string): string[] {
  const found = compilePattern(pattern, 'test')(text);
  return found.flatMap((start, i) => (i % 2 === 0 ? [text.slice(start, found[i + 1])] : []));
}

const scraps = [
  "'s",
  "'LL",
  'abc',
  'ABC',
  '123',
  ' ',
  '  ',
  '\n',
  '\r\n',
  '\t',
  '한국',
  '🙂',
  '!?',
  '\u00a0',
  'é',
  '²',
];
const anyText = fc.array(fc.constantFrom(...scraps), { maxLength: 15 }).map((parts) => parts.join(''));

describe.each(Object.entries(published))('the expression of %s', (_, source) => {
  it('is known to run in linear time on the native engine', () => {
    expect(runsInLinearTime(parsePattern(source, 'test'))).toBe(true);
  });

  it('cuts the same pieces on the native engine and on heed’s', () => {
    const native = compilePattern(source, 'test');
    const program = new PatternProgram(parsePattern(source, 'test'), 'test');
    fc.assert(
      fc.property(anyText, (text) => {
        expect(program.findAll(text)).toEqual(native(text));
      }),
    );
  });
});

// What Oniguruma 6.9 matches, found with Hugging Face's Rust library.
it.each<[pattern: string, text: string, found: string[]]>([
  ["(?i:'s|k)", "'S 'ſ K \u212a", ["'S", "'ſ", 'K', '\u212a']],
  ['a(?i)b|c', 'aB AB aC ac', ['aB', 'aC', 'ac']],
  ['((?i)a)b', 'Ab AB', ['Ab']],
  ['(?-i:a)(?i:b)', 'aB Ab', ['aB']],
  ['\\s', 'a\u0085b\ufeffc\u3000', ['\u0085', '\u3000']],
  ['\\d+', '12 ١٢ ½', ['12', '١٢']],
  ['\\w+', 'a_1é가² -', ['a_1é가²']],
  ['\\h+', 'xfFg09', ['fF', '09']],
  ['.+', 'a\rb\u2028c\nd', ['a\rb\u2028c', 'd']],
  ['(?m:.)+', 'a\nb', ['a\nb']],
  ['^.', 'ab\ncd\n', ['a', 'c']],
  ['.$', 'ab\ncd', ['b', 'd']],
  ['\\A.|.\\z', 'ab\ncd', ['a', 'd']],
  ['\\b\\w', 'ab가 c', ['a', 'c']],
  ['\\p{Han}+|\\p{^L}', '漢字a1', ['漢字', '1']],
  ['[[:alpha:]&&[^a-c]]+', 'abcdef', ['def']],
  ['[]a]+', ']a[', [']a']],
  ['[a\\-z-]+', 'a-zb', ['a-z']],
  ['a{,2}b', 'aaab b', ['aab', 'b']],
  ['a{2}', 'aaaaa', ['aa', 'aa']],
  ['a{1', 'a{1', ['a{1']],
  ['a++b|a', 'aab aa', ['aab', 'a', 'a']],
  ['a++a|b', 'aab', ['b']],
  ['a?+a', 'aa', ['aa']],
  ['a{1,3}+', 'aaaaa', ['aaaaa']],
  ['a+?', 'aa', ['a', 'a']],
  ['(?<=a|bc)d', 'ad bcd cd', ['d', 'd']],
  ['(?<!a|bc)d', 'ad bcd cd', ['d']],
  ['(?<name>a)(?#no)b', 'ab', ['ab']],
  ['\\x{1F642}|\\u0041|\\x42', '🙂AB', ['🙂', 'A', 'B']],
])('%s finds in %j what Oniguruma finds', (pattern, text, found) => {
  expect(matches(pattern, text)).toEqual(found);
});

it('finds empty matches once each, and none right behind another match', () => {
  expect(compilePattern('(?=[A-Z])', 'test')('aBcD')).toEqual([1, 1, 3, 3]);
  expect(compilePattern('a*', 'test')('baac')).toEqual([0, 0, 1, 3, 4, 4]);
});

it('translates to the `v` flag, with white space as a Unicode property', () => {
  expect(toJavaScript(parsePattern('\\s+(?!\\S)', 'test'))).toBe(
    '(?:[\\p{White_Space}]){1,}(?![^[\\p{White_Space}]])',
  );
});

it.each([
  ['(a)\\1', '\\1'],
  ['(?>ab)', '(?>a'],
  ['(?:ab)++', 'a possessive repetition of a group'],
  ['\\p{NoSuchScript}', '\\p{NoSuchScript}'],
  ['\\X', '\\X'],
  ['(?x: a)', '(?x:'],
  ['(?i:\\p{Lu})', '[\\p{Lu}] under (?i)'],
  ['a{5,2}', 'the count {5,2}'],
  ['a{1,1000000}', 'the count {1,1000000}'],
  ['[z-a]', 'a range that runs backwards'],
  ['[a', 'no ] where one belongs'],
  ['a)', 'an unmatched )'],
  ['+a', '+ with nothing to repeat'],
  ['\\', 'its end too early'],
  ['('.repeat(200), 'groups nested too deeply'],
  ['a'.repeat(20_000), 'more than 10000 characters'],
  ['(?<=a+)b', 'one of varying length'],
  ['((a{1000}){1000})', 'a larger one'],
])('refuses %.20s by name', (pattern, name) => {
  expect(() => compilePattern(pattern, 'file: key')).toThrow(`file: key: expected`);
  expect(() => compilePattern(pattern, 'file: key')).toThrow(name);
});

describe('expressions on which a backtracking engine hangs', () => {
  it.each([
    ['(a+)+$', `${'a'.repeat(20_000)}b`, 0],
    ['(a|aa)*c', 'a'.repeat(20_000), 0],
    ['\\s+$', `${' '.repeat(50_000)}x`, 0],
    ['(?=.*b)a', `${'a'.repeat(20_000)}b`, 20_000],
    ['a?'.repeat(40) + 'a'.repeat(40), 'a'.repeat(39), 0],
    ['a*a*a*a*a*a*b', 'a'.repeat(2000), 0],
  ])('%.12s takes time in proportion to the text', (pattern, text, count) => {
    const start = performance.now();
    expect(compilePattern(pattern, 'test')(text)).toHaveLength(2 * count);
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  it('are not given to the native engine', () => {
    for (const pattern of [
      '(a+)+$',
      '(a|aa)*c',
      '\\s+$',
      'a?'.repeat(40),
      'a*b',
      '(?=.*b)a',
      '(?:a{0,9}){0,9}',
    ]) {
      expect(runsInLinearTime(parsePattern(pattern, 'test')), pattern).toBe(false);
    }
  });
});

it('matches a run that is longer than the native engine can hold', () => {
  expect(compilePattern('\\p{L}+', 'test')('a'.repeat(5_000_000))).toEqual([0, 5_000_000]);
});
