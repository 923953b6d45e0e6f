// A piece of text in both languages, and numbers as people read them. Numbers are rounded here and nowhere else.

import type { Interval } from '../../align/scoring/intervals.ts';
import { type WordKey, words } from './words.ts';

export const languages = ['en', 'ko'] as const;
export type Language = (typeof languages)[number];

export type Bilingual = Readonly<Record<Language, string>>;

type Values = Readonly<Record<string, string | Bilingual>>;

/** `say` for a table of words: the sentence or word of a key, its `{names}` filled in, each language by its own value. */
export function sayingFrom<Key extends string>(table: Readonly<Record<Key, Bilingual>>) {
  return (key: Key, values: Values = {}): Bilingual => {
    const fill = (language: Language) =>
      table[key][language].replace(/\{(\w+)\}/g, (_, name) => {
        const value = values[name];
        if (value === undefined) throw new Error(`the words of ${key} need {${name}}`);
        return typeof value === 'string' ? value : value[language];
      });
    return { en: fill('en'), ko: fill('ko') };
  };
}

export const say = sayingFrom<WordKey>(words);

export function isWord(key: string): key is WordKey {
  return Object.hasOwn(words, key);
}

/** The same in both languages: a name, a number, something that a model wrote. */
export function plain(text: string): Bilingual {
  return { en: text, ko: text };
}

export function joined(parts: readonly Bilingual[], between = ' '): Bilingual {
  return {
    en: parts.map(({ en }) => en).join(between),
    ko: parts.map(({ ko }) => ko).join(between),
  };
}

const MINUS = '\u2212';

/** A form in which a figure is written, with a sign where it is a change. */
export type Form = (value: number) => string;

export const fixed =
  (digits: number): Form =>
  (value) =>
    withMinus(value.toFixed(digits));

export const percent: Form = (value) => `${withMinus((100 * value).toFixed(1))}%`;

/** Three significant digits, and never an exponent between a thousandth and a million. */
export const significant: Form = (value) => {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 1e6 || size < 1e-4) return withMinus(value.toExponential(1));
  return withMinus(String(Number(value.toPrecision(size >= 1000 ? 4 : 3))));
};

export const signed =
  (form: Form): Form =>
  (value) =>
    value > 0 ? `+${form(value)}` : form(value);

/** Whole percents, for axes. */
export const wholePercent: Form = (value) => `${withMinus((100 * value).toFixed(0))}%`;

/** Percentage points. */
export const points: Form = (value) => `${withMinus((100 * value).toFixed(1))} pp`;

function withMinus(number: string): string {
  return Number(number.replace(/[^\d.eE+-]/g, '')) === 0
    ? number.replace('-', '')
    : number.replace('-', MINUS);
}

/** `71.0% [66.4, 75.3]`: a unit behind the value counts for the bounds too. */
export function withBounds({ value, low, high }: Interval, form: Form): string {
  const bound = (end: number) => (Number.isFinite(end) ? form(end).replace(/ ?(%|pp)$/, '') : '…');
  return `${form(value)} [${bound(low)}, ${bound(high)}]`;
}

/** 1,234 as it is, more as 12.3 k or 1.2 M. */
export function count(value: number): string {
  if (value < 10_000) return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
  return value < 1e6 ? `${(value / 1e3).toFixed(1)} k` : `${(value / 1e6).toFixed(2)} M`;
}

export function duration(seconds: number): Bilingual {
  if (seconds < 60) return say('unit.seconds', { seconds: seconds.toFixed(seconds < 10 ? 1 : 0) });
  const whole = Math.round(seconds);
  return say('unit.minutes', { minutes: String(Math.floor(whole / 60)), seconds: String(whole % 60) });
}

export function memory(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
