import { expect, it } from 'vitest';
import { JsonField } from './json-field.ts';
import { readPreTokenizer } from './pre-tokenizer.ts';

const bytes = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };

function cut(text: string, ...steps: object[]): string[] {
  const field = new JsonField({ type: 'Sequence', pretokenizers: steps }, 'test');
  return readPreTokenizer(field)(text).map((piece) => piece.text);
}

function splitAtHyphens(behavior: string, invert = false): string[] {
  return cut('the-final--countdown', { type: 'Split', pattern: { String: '-' }, behavior, invert }, bytes);
}

// The example of Hugging Face's documentation.
it.each([
  ['Removed', ['the', 'final', 'countdown']],
  ['Isolated', ['the', '-', 'final', '-', '-', 'countdown']],
  ['MergedWithPrevious', ['the-', 'final-', '-', 'countdown']],
  ['MergedWithNext', ['the', '-final', '-', '-countdown']],
  ['Contiguous', ['the', '-', 'final', '--', 'countdown']],
])('%s splits the-final--countdown as documented', (behaviour, pieces) => {
  expect(splitAtHyphens(behaviour)).toEqual(pieces);
});

it('takes what is between matches for the matches when inverted', () => {
  expect(splitAtHyphens('Removed', true)).toEqual(['-', '-', '-']);
});

it('splits digits one by one or in runs, of any script', () => {
  const text = 'a12½٣b';
  expect(cut(text, { type: 'Digits', individual_digits: true }, bytes)).toEqual([
    'a',
    '1',
    '2',
    '½',
    '٣',
    'b',
  ]);
  expect(cut(text, { type: 'Digits', individual_digits: false }, bytes)).toEqual(['a', '12½٣', 'b']);
});

it('puts a space before a section that has none, at no place in the text', () => {
  const field = new JsonField({ ...bytes, add_prefix_space: true, use_regex: true }, 'test');
  expect(readPreTokenizer(field)('ab cd')).toEqual([
    { text: ' ab', start: 0, inserted: 1 },
    { text: ' cd', start: 2, inserted: 0 },
  ]);
});
