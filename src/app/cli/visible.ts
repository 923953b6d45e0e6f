// Text that heed did not write (a model's output, a data file) before it reaches a terminal.

// All control characters but newline and tab, lone surrogates, what reorders text, line separators, invisible tags.
const unsafe = /(?![\n\t])[\p{Cc}\p{Cs}\p{Bidi_Control}\p{Zl}\p{Zp}\u{feff}\u{e0000}-\u{e007f}]/gu;

/** Shows what would steer a terminal or reorder its text as an escape: ESC becomes the four characters `\x1b`. */
export function visible(text: string): string {
  return text.replace(unsafe, (character) => {
    const code = character.codePointAt(0)!;
    const hex = code.toString(16);
    return code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex}}`;
  });
}
