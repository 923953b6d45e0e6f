import { describe, expect, it } from 'vitest';
import type { Tokenizer } from './tokenizer.ts';
import { type TrainTokenizerOptions, trainTokenizer } from './train.ts';

function mergesOf(tokenizer: Tokenizer): string[] {
  const { model } = tokenizer.toJson() as { model: { merges: [string, string][] } };
  return model.merges.map((pair) => pair.join(' '));
}

function train(texts: string[], options: Partial<TrainTokenizerOptions> = {}): Tokenizer {
  return trainTokenizer(texts, { vocabularySize: 300, ...options });
}

describe('training', () => {
  it('merges the words of Sennrich et al. 2016, the most frequent pair first', () => {
    const words = { low: 5, lowest: 2, newer: 6, wider: 3 };
    const texts = Object.entries(words).flatMap(([word, count]) => Array<string>(count).fill(word));
    // er 9; lo and ow 7, of which lo has the smaller left id; then lo+w 7; then what is left of newer, 6 times.
    expect(mergesOf(train(texts, { vocabularySize: 262 }))).toEqual([
      'e r',
      'l o',
      'lo w',
      'e w',
      'n ew',
      'new er',
    ]);
  });

  it('counts a pair anew after each merge, overlapping runs included', () => {
    expect(mergesOf(train(['aaaaa aaa']))).toEqual(['a a', 'aa a']);
  });

  it('breaks ties by the smaller left id, then the smaller right id', () => {
    expect(mergesOf(train(['dc', 'dc', 'ab', 'ab', 'da', 'da']))).toEqual(['a b', 'd a', 'd c']);
  });

  it('stops at pairs that occur less often than minFrequency', () => {
    expect(mergesOf(train(['ab', 'ab', 'cd']))).toEqual(['a b']);
    expect(mergesOf(train(['ab', 'ab', 'cd'], { minFrequency: 1 }))).toEqual(['a b', 'c d']);
    expect(mergesOf(train(['ab', 'ab', 'cd'], { minFrequency: 3 }))).toEqual([]);
  });

  it('gives the special tokens the first ids, then the alphabet, then merges', () => {
    const tokenizer = train(['ab', 'ab'], { specialTokens: ['<x>', '<e>'], eos: '<e>', pad: '<p>' });
    expect(['<x>', '<e>', '<p>', '!', 'ab'].map((token) => tokenizer.idOf(token))).toEqual([0, 1, 2, 3, 259]);
    expect(tokenizer.special).toEqual({ eos: 1, pad: 2 });
    expect(tokenizer.vocabularySize).toBe(260);
  });

  it('takes only the bytes it has seen into the alphabet when asked', () => {
    const tokenizer = train(['cab', 'cab'], { initialAlphabet: 'seen', vocabularySize: 4 });
    expect([0, 1, 2, 3].map((id) => tokenizer.tokenOf(id))).toEqual(['a', 'b', 'c', 'ab']);
  });

  it('never merges across texts, across pieces, or digits when they are split', () => {
    expect(mergesOf(train(['a', 'b', 'a', 'b', 'x.y', 'x.y']))).toEqual([]);
    expect(mergesOf(train(['12', '12'], { splitPattern: 'digits' }))).toEqual([]);
    expect(mergesOf(train(['12', '12'], { splitPattern: 'gpt2' }))).toEqual(['1 2']);
  });

  it('gives the same tokenizer every time', () => {
    const texts = [
      '한국어 문장과 English sentence',
      'function f(x) { return f(x - 1); }',
      'aa ab ba bb aa ab',
    ];
    expect(train(texts).toJson()).toEqual(train(texts).toJson());
  });

  it('reports progress up to the number of entries made', () => {
    const seen: [number, number][] = [];
    train(['ab', 'ab'], { onProgress: (done, total) => seen.push([done, total]) });
    expect(seen.at(-1)).toEqual([257, 300]);
  });

  it.each<[string, Partial<TrainTokenizerOptions>, RegExp]>([
    [
      'a vocabulary smaller than the alphabet',
      { vocabularySize: 100 },
      /vocabulary size: expected an integer of at least 256/,
    ],
    [
      'a vocabulary of no whole number',
      { vocabularySize: Number.NaN },
      /vocabulary size: expected an integer/,
    ],
    [
      'a special token twice',
      { specialTokens: ['<x>', '<x>'] },
      /special tokens: expected different strings/,
    ],
    [
      'an empty special token',
      { specialTokens: [''] },
      /special tokens: expected different strings, none empty/,
    ],
  ])('refuses %s', (_, options, message) => {
    expect(() => train(['a'], options)).toThrow(message);
  });
});
