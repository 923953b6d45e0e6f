// From the bytes of tokens back to places in the text they came from.

import type { Alignment } from './normalizer.ts';
import type { Piece } from './pre-tokenizer.ts';

/** Half-open, in UTF-16 units. */
export type Offset = [start: number, end: number];

/**
 * Where the tokens of a piece stand in the text that was cut into pieces.
 * @param widths bytes of each token; a token that holds some bytes of a character gets the whole character
 */
export function pieceOffsets({ text, start, inserted }: Piece, widths: readonly number[]): Offset[] {
  const { starts, ends } = charactersOfBytes(text);
  const place = (index: number) => start + Math.max(0, index - inserted);
  let byte = 0;
  return widths.map((width) => {
    const [first, last] = [byte, byte + width - 1];
    byte += width;
    return [place(starts[first]), place(ends[last])];
  });
}

/** For each UTF-8 byte of `text`, the UTF-16 units where its character starts and ends. */
function charactersOfBytes(text: string): { starts: number[]; ends: number[] } {
  const starts: number[] = [];
  const ends: number[] = [];
  let at = 0;
  for (const char of text) {
    for (let i = utf8Length(char.codePointAt(0)!); i > 0; i--) {
      starts.push(at);
      ends.push(at + char.length);
    }
    at += char.length;
  }
  return { starts, ends };
}

function utf8Length(codePoint: number): number {
  return codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
}

/** An offset in a normalized section as an offset in the whole original text. */
export function sourceOffset([start, end]: Offset, place: { base: number; alignment?: Alignment }): Offset {
  const { base, alignment } = place;
  if (!alignment) return [base + start, base + end];
  if (start === end) {
    const at = base + (alignment.starts[start] ?? alignment.ends.at(-1) ?? 0);
    return [at, at];
  }
  return [base + alignment.starts[start], base + alignment.ends[end - 1]];
}
