// The byte alphabet of GPT-2 (Radford et al. 2019): every byte as one visible character, so that a vocabulary of
// byte strings can be written as JSON. Printable Latin-1 bytes stand for themselves, the other 68 take U+0100 on.

const charOfByte: readonly string[] = buildAlphabet();
const byteOfChar = new Map(charOfByte.map((char, byte) => [char, byte]));
const encoder = new TextEncoder();

function buildAlphabet(): string[] {
  let spare = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : spare++));
}

function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

/** The 256 characters, by byte. */
export function byteAlphabet(): readonly string[] {
  return charOfByte;
}

/** UTF-8 bytes of `text`; a lone surrogate becomes U+FFFD. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** `bytes` in the byte alphabet: one character a byte. */
export function spellBytes(bytes: Uint8Array): string {
  let spelled = '';
  for (const byte of bytes) spelled += charOfByte[byte];
  return spelled;
}

/** The bytes that a vocabulary entry stands for; an entry outside the byte alphabet stands for its own UTF-8. */
export function bytesOfToken(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const char of token) {
    const byte = byteOfChar.get(char);
    if (byte === undefined) return utf8(token);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** Every lone surrogate replaced by U+FFFD: the same length, and encodable as UTF-8. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

/** A copy that does not keep alive the long text it was cut from (V8 shares memory between a string and its slices). */
export function detached(piece: string): string {
  return piece.length < 13 ? piece : Buffer.from(piece, 'utf16le').toString('utf16le');
}
