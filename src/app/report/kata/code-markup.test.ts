import { assert, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escaped } from '../charts/svg.ts';
import { codeMarkup } from './code-markup.ts';

describe('codeMarkup', () => {
  it('marks keywords, strings, numbers and comments', () => {
    expect(codeMarkup("return 'a<b' + 1; // done")).toBe(
      '<span class="code-k">return</span> <span class="code-s">&#39;a&lt;b&#39;</span> + ' +
        '<span class="code-n">1</span>; <span class="code-c">// done</span>',
    );
  });

  it('says nothing but the text, whatever it is', () => {
    assert(
      property(string({ unit: 'grapheme' }), (text) => {
        expect(codeMarkup(text).replace(/<\/?span[^>]*>/g, '')).toBe(escaped(text));
      }),
    );
  });
});
