// One row's bytes to one JSON value, or the reason why not. What is refused here would otherwise reach training
// silently changed (bad UTF-8, lone surrogates) or break the reader (nesting).

import { isUtf8 } from 'node:buffer';

const MAX_DEPTH = 100;
const MAX_MESSAGE = 160;

/** `blank` rows are no rows; a `reason` says why the row is quarantined. */
export type ParsedRow =
  | { kind: 'value'; value: unknown }
  | { kind: 'blank' }
  | { kind: 'fault'; reason: string };

/**
 * Parses one row. Refused: invalid UTF-8, NUL bytes, nesting over 100 levels, anything that JSON does not know
 * (NaN, comments, trailing commas), lone surrogates and, when strict, a key that an object has twice.
 * @param fileOffset byte offset of the row in its file, for messages
 */
export function parseJsonRow(bytes: Buffer, fileOffset: number, isStrict: boolean): ParsedRow {
  const badByte = faultyByte(bytes);
  if (badByte) return { kind: 'fault', reason: `${badByte.what} at byte ${fileOffset + badByte.at}` };
  const text = bytes.toString('utf8').trim();
  if (text === '') return { kind: 'blank' };
  const shape = surveyJson(text, isStrict);
  if (shape.depth > MAX_DEPTH) return { kind: 'fault', reason: `nested deeper than ${MAX_DEPTH} levels` };
  if (shape.repeatedKey !== undefined) {
    return { kind: 'fault', reason: `the key ${shape.repeatedKey} is there twice` };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { kind: 'fault', reason: `not JSON: ${(error as Error).message.slice(0, MAX_MESSAGE)}` };
  }
  if (/\\u[dD][89a-fA-F]/.test(text) && hasLoneSurrogate(value)) {
    return { kind: 'fault', reason: 'a lone surrogate (half of a \\u pair), which no UTF-8 text can hold' };
  }
  return { kind: 'value', value };
}

/** The first byte that makes these bytes no text, if any. */
export function faultyByte(bytes: Buffer): { what: string; at: number } | undefined {
  if (!isUtf8(bytes)) return { what: 'invalid UTF-8', at: firstInvalidByte(bytes) };
  const nul = bytes.indexOf(0);
  return nul < 0 ? undefined : { what: 'a NUL byte', at: nul };
}

function firstInvalidByte(bytes: Buffer): number {
  let [valid, invalid] = [0, bytes.length + 1];
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (isUtf8Prefix(bytes.subarray(0, middle))) valid = middle;
    else invalid = middle;
  }
  return valid;
}

function isUtf8Prefix(bytes: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

/** Depth, and repeated keys when asked for, without recursion, so that no nesting can overflow the stack. */
function surveyJson(text: string, findsRepeats: boolean): { depth: number; repeatedKey?: string } {
  const openObjects: (Set<string> | undefined)[] = [];
  let depth = 0;
  let repeatedKey: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const letter = text[at];
    if (letter === '{' || letter === '[') {
      openObjects.push(findsRepeats && letter === '{' ? new Set() : undefined);
      depth = Math.max(depth, openObjects.length);
      if (depth > MAX_DEPTH) return { depth };
    } else if (letter === '}' || letter === ']') openObjects.pop();
    else if (letter === '"') {
      const end = closingQuote(text, at);
      const keys = openObjects.at(-1);
      if (keys && /^\s*:/.test(text.slice(end + 1, end + 10))) {
        const key = text.slice(at, end + 1);
        if (keys.has(key)) repeatedKey ??= key;
        keys.add(key);
      }
      at = end;
    }
  }
  return { depth, repeatedKey };
}

function closingQuote(text: string, opening: number): number {
  for (let at = text.indexOf('"', opening + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text[at - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return at;
  }
  return text.length;
}

function hasLoneSurrogate(value: unknown): boolean {
  if (typeof value === 'string') return /\p{Surrogate}/u.test(value);
  if (value === null || typeof value !== 'object') return false;
  return Object.entries(value).some(([key, inner]) => hasLoneSurrogate(key) || hasLoneSurrogate(inner));
}
