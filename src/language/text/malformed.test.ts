// What is wrong in a tokenizer.json is named with its file and key.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FormatError } from '../../engine/errors.ts';
import { Tokenizer } from './tokenizer.ts';

const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: true };

function json(parts: { model?: object; [key: string]: unknown } = {}): object {
  const model = { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: [['a', 'b']], ...parts.model };
  return { pre_tokenizer: byteLevel, decoder: { type: 'ByteLevel' }, ...parts, model };
}

const sequence = (...pretokenizers: object[]) => ({ type: 'Sequence', pretokenizers });
const split = (Regex: string, behavior = 'Isolated') => ({
  type: 'Split',
  pattern: { Regex },
  behavior,
  invert: false,
});
const token = (id: unknown, content: unknown) => ({
  added_tokens: [{ id, content, special: true, normalized: false }],
});

it('a minimal file works, with merges in either spelling', () => {
  expect(Tokenizer.fromJson(json(), 'f').encode('abba')).toEqual([2, 1, 0]);
  expect(Tokenizer.fromJson(json({ model: { merges: ['a b'] } }), 'f').encode('ab')).toEqual([2]);
});

describe.each<[what: string, file: unknown, message: string]>([
  ['null', null, 'f: expected an object, got null'],
  ['no model', { pre_tokenizer: byteLevel }, 'f: model: expected an object, got nothing'],
  ['another model', json({ model: { type: 'WordPiece' } }), 'f: model.type: expected BPE, got "WordPiece"'],
  [
    'byte fallback',
    json({ model: { byte_fallback: true } }),
    'f: model.byte_fallback: expected false, got true',
  ],
  ['dropout', json({ model: { dropout: 0.1 } }), 'f: model.dropout: expected null or 0, got 0.1'],
  ['an end-of-word suffix', json({ model: { end_of_word_suffix: '</w>' } }), 'f: model.end_of_word_suffix'],
  [
    'an unknown token without an entry',
    json({ model: { unk_token: '?' } }),
    'f: model.unk_token: expected an entry',
  ],
  [
    'a vocabulary in a list',
    json({ model: { vocab: ['a'] } }),
    'f: model.vocab: expected an object, got an array of 1',
  ],
  ['an id that is text', json({ model: { vocab: { a: '0' } } }), 'f: model.vocab.a: expected an integer'],
  ['a negative id', json({ model: { vocab: { a: -1 } } }), 'f: model.vocab.a: expected an integer'],
  ['a huge id', json({ model: { vocab: { a: 1e15 } } }), 'f: model.vocab.a: expected an integer'],
  ['an id used twice', json({ model: { vocab: { a: 0, b: 0 } } }), 'f: model.vocab.b: expected an integer'],
  [
    'merges of missing entries',
    json({ model: { merges: [['a', 'c']] } }),
    'f: model.merges[0]: expected two entries',
  ],
  [
    'merges into a missing entry',
    json({ model: { merges: [['b', 'a']] } }),
    'f: model.merges[0]: expected two entries',
  ],
  ['merges of three', json({ model: { merges: ['a b a'] } }), 'f: model.merges[0]: expected two tokens'],
  ['merges of numbers', json({ model: { merges: [[0, 1]] } }), 'f: model.merges[0]: expected two tokens'],
  [
    'far too many merges',
    json({ model: { merges: Array(1e6).fill('a b') } }),
    'f: model.merges: expected at most 2 merges',
  ],
  ['no pre-tokenizer', json({ pre_tokenizer: null }), 'f: pre_tokenizer: expected an object, got null'],
  [
    'another pre-tokenizer',
    json({ pre_tokenizer: { type: 'Metaspace' } }),
    'f: pre_tokenizer.type: expected Sequence or',
  ],
  [
    'no ByteLevel',
    json({ pre_tokenizer: split('a') }),
    'f: pre_tokenizer: expected one ByteLevel, as the last step',
  ],
  [
    'ByteLevel first',
    json({ pre_tokenizer: sequence(byteLevel, split('a')) }),
    'f: pre_tokenizer: expected one ByteLevel',
  ],
  [
    'another split',
    json({ pre_tokenizer: sequence(split('a', 'Shuffled'), byteLevel) }),
    'f: pre_tokenizer.pretokenizers[0].behavior: expected Isolated, Removed',
  ],
  [
    'a broken expression',
    json({ pre_tokenizer: sequence(split('(a'), byteLevel) }),
    'f: pre_tokenizer.pretokenizers[0].pattern.Regex: expected a regular expression that heed can translate',
  ],
  [
    'another normalizer',
    json({ normalizer: { type: 'BertNormalizer' } }),
    'f: normalizer.type: expected NFC or',
  ],
  ['another decoder', json({ decoder: { type: 'WordPiece' } }), 'f: decoder.type: expected ByteLevel or'],
  [
    'another post-processor',
    json({ post_processor: { type: 'BertProcessing' } }),
    'f: post_processor.type: expected',
  ],
  [
    'a template with an unknown token',
    json({
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ SpecialToken: { id: 'x' } }],
        special_tokens: {},
      },
    }),
    'f: post_processor.special_tokens.x.ids: expected an array, got nothing',
  ],
  [
    'an added token without content',
    json(token(3, null)),
    'f: added_tokens[0].content: expected a string, got null',
  ],
  [
    'an empty added token',
    json(token(3, '')),
    'f: added_tokens[0].content: expected a token of at least one character',
  ],
  ['an added token with another’s id', json(token(1, '<x>')), 'f: added_tokens[0]: expected an id for "<x>"'],
  ['an added token with a second id', json(token(7, 'ab')), 'f: added_tokens[0]: expected an id for "ab"'],
  [
    'a huge added id',
    json(token(2 ** 40, '<x>')),
    'f: added_tokens[0].id: expected an integer from 0 to 16777215',
  ],
])('a file with %s', (_, file, message) => {
  it('is a FormatError that names file and key', () => {
    expect(() => Tokenizer.fromJson(file, 'f')).toThrow(FormatError);
    expect(() => Tokenizer.fromJson(file, 'f')).toThrow(message);
  });
});

it('gaps among ids are allowed: the vocabulary is as large as its highest id says', () => {
  const tokenizer = Tokenizer.fromJson(json(token(9, '<x>')), 'f');
  expect(tokenizer.vocabularySize).toBe(10);
  expect(tokenizer.tokenOf(5)).toBeUndefined();
  expect(tokenizer.tokenBytes(5)).toEqual(new Uint8Array());
});

it('entries named like members of every object are entries', () => {
  const vocab = JSON.parse('{"a": 0, "b": 1, "ab": 2, "__proto__": 3, "constructor": 4}');
  const tokenizer = Tokenizer.fromJson(json({ model: { vocab } }), 'f');
  expect([tokenizer.idOf('__proto__'), tokenizer.idOf('constructor'), tokenizer.idOf('toString')]).toEqual([
    3,
    4,
    undefined,
  ]);
});

it.each([
  ['an id past the next one', { 7: { content: '<x>' } }, '.7: expected "<x>" under 3'],
  ['another id than in the vocabulary', { 3: { content: 'ab' } }, '.3: expected "ab" under 2'],
  ['one token twice', { 3: { content: '<x>' }, 4: { content: '<x>' } }, '.4: expected "<x>" under 3'],
  ['an empty token', { 3: { content: '' } }, '.3.content: expected a token of at least one'],
  ['a token of text alone', { 3: '<x>' }, '.3.content: expected a string'],
  ['a list', [], ': expected an object'],
])('an added_tokens_decoder with %s is refused', (_, added_tokens_decoder, message) => {
  const read = () => Tokenizer.fromJson(json(), 'f', { added_tokens_decoder });
  expect(read).toThrow(FormatError);
  expect(read).toThrow(`tokenizer_config.json of f: added_tokens_decoder${message}`);
});

it('a token of added_tokens_decoder whose id the vocabulary has elsewhere is refused where it stands', () => {
  const read = () =>
    Tokenizer.fromJson(json({ model: { vocab: { a: 0, b: 1, ab: 3 } } }), 'f', {
      added_tokens_decoder: { 3: { content: '<x>' } },
    });
  expect(read).toThrow('added_tokens_decoder.3: expected an id for "<x>" that no other token has');
});

it('a token of added_tokens_decoder may be an end-of-text token', () => {
  const configuration = { added_tokens_decoder: { 3: { content: '<x>' } }, eos_token: '<x>' };
  expect(Tokenizer.fromJson(json(), 'f', configuration).special).toEqual({ eos: 3 });
});

it('a bos_token that no token has is refused', () => {
  expect(() => Tokenizer.fromJson(json(), 'f', { bos_token: '<s>' })).toThrow(
    /bos_token: expected a token of tokenizer.json, got "<s>"/,
  );
});

it('a file nested too deeply for the stack is refused', () => {
  const deep = JSON.parse(`${'{"type":"Sequence","normalizers":['.repeat(50_000)}${']}'.repeat(50_000)}`);
  expect(() => Tokenizer.fromJson(json({ normalizer: deep }), 'f')).toThrow(FormatError);
});

const digits = { type: 'Digits', individual_digits: true };
const nested = (depth: number): object =>
  depth === 0 ? digits : sequence(digits, digits, nested(depth - 1));
it.each<[string, Record<string, unknown>]>([
  ['pre_tokenizer.pretokenizers', { pre_tokenizer: sequence(...Array(20_000).fill(digits), byteLevel) }],
  ['pre_tokenizer.pretokenizers', { pre_tokenizer: sequence(nested(22), byteLevel) }],
  [
    'normalizer.normalizers',
    { normalizer: { type: 'Sequence', normalizers: Array(65).fill({ type: 'NFC' }) } },
  ],
  ['decoder.decoders', { decoder: { type: 'Sequence', decoders: Array(65).fill({ type: 'Fuse' }) } }],
  [
    'post_processor.processors',
    { post_processor: { type: 'Sequence', processors: Array(65).fill(byteLevel) } },
  ],
])('more than 64 steps in %s are refused before any text is read', (key, parts) => {
  expect(() => Tokenizer.fromJson(json(parts), 'f')).toThrow(FormatError);
  expect(() => Tokenizer.fromJson(json(parts), 'f')).toThrow(`f: ${key}: expected at most 64 steps`);
});

it('64 steps in sequences inside each other are read', () => {
  const pre_tokenizer = sequence(nested(20), byteLevel);
  expect(Tokenizer.fromJson(json({ pre_tokenizer }), 'f').encode('ab')).toEqual([2]);
});

it('a normalizer that doubles the text again and again is stopped', () => {
  const double = { type: 'Replace', pattern: { String: 'a' }, content: 'aa' };
  const tokenizer = Tokenizer.fromJson(
    json({ normalizer: { type: 'Sequence', normalizers: Array(60).fill(double) } }),
    'f',
  );
  expect(() => tokenizer.encode('aaaa')).toThrow(
    /f: normalizer: expected a normalizer that makes of 4 characters/,
  );
});

/** Paths to every value inside, such as `['model', 'vocab', 'a']`. */
function pathsOf(value: unknown, path: string[] = []): string[][] {
  const children = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return [path, ...children.flatMap(([key, child]) => pathsOf(child, [...path, key]))];
}

function replaceAt(value: unknown, [key, ...rest]: string[], replacement: unknown): unknown {
  if (key === undefined) return replacement;
  const copy = structuredClone(value) as Record<string, unknown>;
  copy[key] = replaceAt(copy[key], rest, replacement);
  return copy;
}

it('any value replaced by any other is either read or refused with a FormatError', () => {
  const template = {
    type: 'TemplateProcessing',
    single: [{ Sequence: { id: 'A' } }],
    special_tokens: { x: { ids: [1] } },
  };
  const parts = {
    normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }] },
    post_processor: template,
  };
  const file = json({ ...parts, ...token(3, '<x>'), pre_tokenizer: sequence(split('a+'), byteLevel) });
  const damaged = fc
    .constantFrom(...pathsOf(file))
    .chain((path) => fc.jsonValue().map((value) => replaceAt(file, path, value)));
  fc.assert(
    fc.property(damaged, (damagedFile) => {
      try {
        Tokenizer.fromJson(damagedFile, 'f').encode('ab a');
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
    { numRuns: 2000 },
  );
});
