// The few pieces that every picture is made of. Words stand in both languages, and the page shows one of them.

import { type Bilingual, languages } from '../bilingual.ts';

/** Text from anywhere, safe within an element or a quoted attribute. */
export function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** An element a language, or one for both where they say the same. */
export function eachLanguage(
  text: Bilingual,
  element: (content: string, attribute: string) => string,
): string {
  if (text.en === text.ko) return element(escaped(text.en), '');
  return languages.map((language) => element(escaped(text[language]), ` lang="${language}"`)).join('');
}

export interface TextStyle {
  x: number;
  y: number;
  className?: string;
  anchor?: 'start' | 'middle' | 'end';
}

export function textAt(text: Bilingual, { x, y, className, anchor }: TextStyle): string {
  const style = `${className ? ` class="${className}"` : ''}${anchor ? ` text-anchor="${anchor}"` : ''}`;
  const place = `x="${rounded(x)}" y="${rounded(y)}"${style}`;
  return eachLanguage(text, (content, attribute) => `<text ${place}${attribute}>${content}</text>`);
}

/** To a tenth of a pixel: files stay small. */
export function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}

export function svg(width: number, height: number, content: readonly string[], className = 'chart'): string {
  return `<svg class="${className}" viewBox="0 0 ${width} ${height}" role="img">${content.join('')}</svg>`;
}
