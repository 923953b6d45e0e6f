import { describe, expect, it } from 'vitest';
import { fixed, percent, points, say, signed, significant, withBounds } from './bilingual.ts';
import { kataWords } from './kata/words.ts';
import { words } from './words.ts';

/** Names that Korean readers know by their English spelling. */
const sameInBoth = new Set([
  ...[
    'command.sft',
    'command.dpo',
    'command.kto',
    'command.grpo',
    'command.rloo',
    'command.ppo',
    'plane.short',
    'over.fit',
    'tile.before',
  ],
]);
const entries = [...Object.entries(words), ...Object.entries(kataWords)];
const holes = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();

describe('the words', () => {
  it.each(entries)('%s are there in English and in Korean, with the same holes', (key, { en, ko }) => {
    expect(en.trim()).not.toBe('');
    expect(holes(ko)).toEqual(holes(en));
    expect(en).not.toMatch(/\p{Script=Hangul}/u);
    if (sameInBoth.has(key)) expect(ko).toBe(en);
    else expect(ko).toMatch(/\p{Script=Hangul}/u);
  });

  it('put no particle behind a hole that depends on its sound', () => {
    for (const [, { ko }] of entries) expect(ko).not.toMatch(/\}(은|는|이|가|을|를|과|와|으로|로)(?=[\s.,])/);
  });

  it('take a value for each language', () => {
    expect(say('hacking.none', { method: say('command.base') })).toEqual({
      en: 'Base: no alarm.',
      ko: '베이스: 경보 없음.',
    });
  });
});

describe('numbers', () => {
  it('are written as people read them', () => {
    expect(percent(0.6804)).toBe('68.0%');
    expect(signed(fixed(2))(0.126)).toBe('+0.13');
    expect(signed(points)(-0.49)).toBe('−49.0 pp');
    expect([significant(1234.5), significant(0.012345), significant(2e7)]).toEqual([
      '1235',
      '0.0123',
      '2.0e+7',
    ]);
  });

  it('have no sign where nothing is left of them', () => {
    expect(fixed(2)(-0.001)).toBe('0.00');
    expect(percent(-0)).toBe('0.0%');
  });

  it('name their unit once when they have bounds', () => {
    expect(withBounds({ value: -0.1, low: -0.2, high: 0, n: 9 }, signed(points))).toBe(
      '−10.0 pp [−20.0, 0.0]',
    );
    expect(withBounds({ value: 1, low: -Infinity, high: Infinity, n: 1 }, fixed(1))).toBe('1.0 […, …]');
  });
});
