// Streams documents for pretraining. A JSONL or JSON file gives a document a row (`text`); any other file is one
// document, or several where a line is exactly <|endoftext|>. Long documents come in pieces cut at newlines.

import { leadingTokens, type PromptTokenizer } from '../../language/text/prompt-tokenizer.ts';
import { readBytes } from './bytes.ts';
import { faultyByte } from './json-row.ts';
import { excerpt, faultOf, type ReadOptions, readRows, setAside } from './read.ts';
import type { TokenPiece } from './token-stream.ts';

export interface TextPiece {
  /** May be empty where only the end of a document is known. */
  text: string;
  endsDocument: boolean;
  line: number;
}

export interface TextOptions extends ReadOptions {
  /** The longest piece of a document; default 1 MiB. */
  pieceBytes?: number;
}

const DEFAULT_PIECE_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const separatorLine = /^<\|endoftext\|>[ \t\r]*(?:\n|$(?![\s\S]))/m;

/**
 * The documents of one file in order, in near-constant memory. Lines with invalid UTF-8 or NUL bytes are quarantined.
 * @throws UserError, FormatError as readRows
 */
export async function* readTexts(path: string, options: TextOptions): AsyncGenerator<TextPiece> {
  if (/\.(jsonl|ndjson|json|csv|tsv|parquet)(\.(gz|zst))?$/i.test(path)) yield* readTextRows(path, options);
  else yield* readTextFile(path, options);
}

/** Pieces of text to pieces of tokens for TokenStream, each document with the tokenizer's leading tokens. */
export async function* tokenizeTexts(
  pieces: AsyncIterable<TextPiece>,
  tokenizer: PromptTokenizer,
): AsyncGenerator<TokenPiece> {
  const lead = leadingTokens(tokenizer);
  let isInDocument = false;
  for await (const { text, endsDocument } of pieces) {
    const ids = tokenizer.encode(text);
    const isBeginning: boolean = !isInDocument && ids.length > 0;
    yield { ids: isBeginning ? [...lead, ...ids] : ids, endsDocument };
    isInDocument = !endsDocument && (isInDocument || isBeginning);
  }
}

async function* readTextRows(path: string, options: TextOptions): AsyncGenerator<TextPiece> {
  for await (const row of readRows(path, options)) {
    const { value, line } = row;
    const text =
      value !== null && typeof value === 'object' && Object.hasOwn(value, 'text')
        ? (value as { text: unknown }).text
        : undefined;
    if (typeof text === 'string') yield { text, endsDocument: true, line };
    else setAside(faultOf(path, row, 'no `text` string in this row'), options);
  }
}

async function* readTextFile(path: string, options: TextOptions): AsyncGenerator<TextPiece> {
  let isInDocument = false;
  let line = 1;
  for await (const piece of cutPieces(path, options)) {
    line = piece.line;
    for (const part of splitDocuments(cleanText(path, piece, options))) {
      isInDocument ||= part.text !== '';
      if (!isInDocument || (part.text === '' && !part.endsDocument)) continue;
      yield { ...part, line };
      if (part.endsDocument) isInDocument = false;
    }
  }
  if (isInDocument) yield { text: '', endsDocument: true, line };
}

interface Piece {
  bytes: Buffer;
  line: number;
  offset: number;
}

async function* cutPieces(path: string, options: TextOptions): AsyncGenerator<Piece> {
  const pieceBytes = options.pieceBytes ?? DEFAULT_PIECE_BYTES;
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let line = 1;
  let pieceOffset = 0;
  for await (const { bytes, offset } of readBytes(path, options.onBytes)) {
    if (waiting.length === 0) pieceOffset = offset;
    waiting.push(bytes);
    waitingBytes += bytes.length;
    while (waitingBytes > pieceBytes) {
      const all = Buffer.concat(waiting);
      const cut = placeToCut(all, pieceBytes);
      const piece = all.subarray(0, cut);
      yield { bytes: piece, line, offset: pieceOffset };
      line += countNewlines(piece);
      pieceOffset += cut;
      waiting = [all.subarray(cut)];
      waitingBytes -= cut;
    }
  }
  if (waitingBytes > 0) yield { bytes: Buffer.concat(waiting), line, offset: pieceOffset };
}

/**
 * After a newline that no white space follows, because a tokenizer joins white space; failing that, after any
 * newline, before a space, or at least not inside a character.
 */
function placeToCut(bytes: Buffer, limit: number): number {
  let newline = bytes.lastIndexOf(NEWLINE, limit - 1);
  const lastNewline = newline;
  while (newline > 0) {
    if (bytes[newline + 1] > SPACE) return newline + 1;
    newline = bytes.lastIndexOf(NEWLINE, newline - 1);
  }
  if (lastNewline >= 0) return lastNewline + 1;
  const space = bytes.lastIndexOf(SPACE, limit);
  if (space > 0) return space;
  let cut = limit;
  while (cut > 1 && (bytes[cut] & 0xc0) === 0x80) cut--;
  return cut;
}

function countNewlines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}

/** The piece's text without the lines that are no text. */
function cleanText(file: string, piece: Piece, options: TextOptions): string {
  if (!faultyByte(piece.bytes)) return piece.bytes.toString('utf8');
  const kept: string[] = [];
  let { line } = piece;
  for (let from = 0; from < piece.bytes.length; line++) {
    const newline = piece.bytes.indexOf(NEWLINE, from);
    const end = newline < 0 ? piece.bytes.length : newline + 1;
    const bytes = piece.bytes.subarray(from, end);
    const fault = faultyByte(bytes);
    const offset = piece.offset + from;
    if (!fault) kept.push(bytes.toString('utf8'));
    else {
      const reason = `${fault.what} at byte ${offset + fault.at}`;
      setAside({ file, line, offset, reason, raw: excerpt(bytes) }, options);
    }
    from = end;
  }
  return kept.join('');
}

function* splitDocuments(text: string): Iterable<{ text: string; endsDocument: boolean }> {
  const parts = text.split(separatorLine);
  for (const [i, part] of parts.entries()) yield { text: part, endsDocument: i < parts.length - 1 };
}
