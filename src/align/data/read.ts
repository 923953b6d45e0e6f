// Streams the rows of a JSONL file, or the elements of a file that is one JSON array, in near-constant memory.
// A row that cannot be read is handed to `onFault` with its place and passed over; in strict mode it ends the reading.

import { createReadStream } from 'node:fs';
import { FormatError, UserError } from '../../engine/errors.ts';
import { parseJsonRow } from './json-row.ts';
import { ArraySplitter, LineSplitter, type RawRow, type RowSplitter } from './row-splitter.ts';

export interface RowFault {
  file: string;
  /** 1-based line where the row begins. */
  line: number;
  /** Byte offset where the row begins. */
  offset: number;
  reason: string;
  /** The row's first 200 characters. */
  raw: string;
}

export interface ReadOptions {
  /** Throw at the first fault, and count a key that an object has twice as one. */
  strict?: boolean;
  onFault: (fault: RowFault) => void;
  /** Sees every byte of the file once, in order: for hashing and progress. */
  onBytes?: (chunk: Buffer) => void;
  /** A longer row is a fault and is never held in memory; default 16 MiB. */
  maxRowBytes?: number;
}

export interface JsonRow {
  value: unknown;
  line: number;
  offset: number;
}

const DEFAULT_MAX_ROW_BYTES = 16 * 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;
const RAW_CHARACTERS = 200;

/**
 * The rows of a file in order. Blank lines, a byte order mark, CR LF and a missing last newline are no faults.
 * @throws UserError when the file cannot be opened, FormatError when it is UTF-16, gzip or Parquet, or, in strict
 * mode, at the first fault (after `onFault`)
 */
export async function* readJsonLines(path: string, options: ReadOptions): AsyncGenerator<JsonRow> {
  let splitter: RowSplitter | undefined;
  for await (const { bytes, offset } of readBytes(path, options.onBytes)) {
    splitter ??= splitterFor(bytes, offset, options.maxRowBytes ?? DEFAULT_MAX_ROW_BYTES);
    for (const raw of splitter.push(bytes)) {
      const row = parseRow(path, raw, options);
      if (row) yield row;
    }
  }
  for (const raw of splitter?.end() ?? []) {
    const row = parseRow(path, raw, options);
    if (row) yield row;
  }
}

/** What is wrong with a row that was read. */
export function faultOf(file: string, { value, line, offset }: JsonRow, reason: string): RowFault {
  return { file, line, offset, reason, raw: excerpt(JSON.stringify(value)) };
}

/** For messages: how many rows were quarantined, and the first of them. */
export function describeFaults(count: number, { file, line, reason }: RowFault): string {
  return `${count} faulty rows, the first at ${file}:${line}: ${reason}`;
}

/** Hands a bad row to the caller; in strict mode it is the end. */
export function setAside(fault: RowFault, options: Pick<ReadOptions, 'strict' | 'onFault'>): void {
  options.onFault(fault);
  if (!options.strict) return;
  throw new FormatError({
    where: `${fault.file}:${fault.line}`,
    expected: 'a usable row (--strict)',
    found: `${fault.reason} (byte ${fault.offset})`,
    advice: 'correcting the row, or leaving out --strict to set such rows aside',
  });
}

/** The first characters of a row, for people to recognise it by. */
export function excerpt(row: Buffer | string): string {
  const text = typeof row === 'string' ? row : row.subarray(0, 4 * RAW_CHARACTERS).toString('utf8');
  return text.slice(0, RAW_CHARACTERS);
}

/**
 * The bytes of a file, chunk by chunk, after its byte order mark if it has one.
 * @throws UserError when the file cannot be opened, FormatError when it is plainly not text
 */
export async function* readBytes(
  path: string,
  onBytes?: (chunk: Buffer) => void,
): AsyncGenerator<{ bytes: Buffer; offset: number }> {
  let offset = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
      let bytes = chunk as Buffer;
      onBytes?.(bytes);
      if (offset === 0) {
        refuseOtherFormats(path, bytes);
        if (bytes.subarray(0, 3).equals(BYTE_ORDER_MARK)) {
          bytes = bytes.subarray(3);
          offset = 3;
        }
      }
      yield { bytes, offset };
      offset += bytes.length;
    }
  } catch (error) {
    throw readingFailure(path, error);
  }
}

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

const otherFormats: readonly { name: string; begins: Buffer; advice: string }[] = [
  { name: 'gzip', begins: Buffer.from([0x1f, 0x8b]), advice: 'unpacking it first with gunzip' },
  { name: 'zstd', begins: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), advice: 'unpacking it first with unzstd' },
  { name: 'a zip archive', begins: Buffer.from('PK\u0003\u0004'), advice: 'unpacking it first' },
  { name: 'Parquet', begins: Buffer.from('PAR1'), advice: 'exporting it as JSONL first' },
  { name: 'UTF-16 text', begins: Buffer.from([0xff, 0xfe]), advice: 'saving it as UTF-8' },
  { name: 'UTF-16 text', begins: Buffer.from([0xfe, 0xff]), advice: 'saving it as UTF-8' },
];

function refuseOtherFormats(path: string, start: Buffer): void {
  for (const { name, begins, advice } of otherFormats) {
    if (!start.subarray(0, begins.length).equals(begins)) continue;
    throw new FormatError({ where: path, expected: 'UTF-8 text', found: name, advice });
  }
}

function readingFailure(path: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  const reasons: Record<string, string> = {
    ENOENT: 'no such file',
    EISDIR: 'a folder',
    ENOTDIR: 'no such file',
    EACCES: 'a file that may not be read',
  };
  if (code === undefined || !(code in reasons)) return error;
  return new UserError({ where: path, expected: 'a data file', found: reasons[code] }, { cause: error });
}

function splitterFor(start: Buffer, offset: number, maxRowBytes: number): RowSplitter {
  const isArray = /^\s*\[/.test(start.subarray(0, 1024).toString('latin1'));
  return isArray ? new ArraySplitter(maxRowBytes, offset) : new LineSplitter(maxRowBytes, offset);
}

function parseRow(file: string, raw: RawRow, options: ReadOptions): JsonRow | undefined {
  const { line, offset, bytes } = raw;
  const parsed = raw.problem
    ? ({ kind: 'fault', reason: raw.problem } as const)
    : parseJsonRow(bytes, offset, options.strict === true);
  if (parsed.kind === 'value') return { value: parsed.value, line, offset };
  if (parsed.kind === 'fault') {
    setAside({ file, line, offset, reason: parsed.reason, raw: excerpt(bytes) }, options);
  }
  return undefined;
}
