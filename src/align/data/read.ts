// The one door to rows of data: streams those of a file, whatever its form, in near-constant memory.
// A row that cannot be read is handed to `onFault` with its place and passed over; in strict mode it ends the reading.

import { FormatError } from '../../engine/errors.ts';
import { parquetMark, readBytes, startsWith, withFirst } from './bytes.ts';
import { parseJsonRow } from './json-row.ts';
import { rowKeys } from './records.ts';
import { LineSplitter, type RawRow, type RowSplitter, ValueSplitter } from './row-splitter.ts';
import { csvRows, delimiterOf, parquetRows, type TableRow } from './tables.ts';

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
const RAW_CHARACTERS = 200;

/**
 * The rows of a file in order: JSON lines, JSON values over several lines, arrays of them, an object around such an array
 * (`{"data": […]}`), CSV with a header, Parquet; gzip and zstd of these. What it is, its content says. Blank lines, a byte
 * order mark, CR LF and a missing last newline are no faults.
 * @throws UserError when the file cannot be opened, FormatError when it is UTF-16, an archive or broken, or, in strict
 * mode, at the first fault (after `onFault`)
 */
export async function* readRows(path: string, options: ReadOptions): AsyncGenerator<JsonRow> {
  const { maxRowBytes = DEFAULT_MAX_ROW_BYTES } = options;
  const peeked = await withFirst(readBytes(path, options.onBytes));
  if (!peeked) return;
  const { first, all } = peeked;
  const { bytes: start, offset } = first;
  if (startsWith(start, parquetMark)) {
    for await (const _ of all);
    yield* tableRows(path, parquetRows(path), options);
    return;
  }
  const delimiter = tableDelimiter(path, start);
  if (delimiter !== undefined) {
    yield* tableRows(path, csvRows(path, all, { delimiter, start: offset, maxRowBytes }), options);
    return;
  }
  const splitter = splitterFor(start, offset, maxRowBytes);
  for await (const { bytes } of all) yield* parseRows(path, splitter.push(bytes), options);
  yield* parseRows(path, splitter.end(), options);
}

function* parseRows(path: string, raws: Iterable<RawRow>, options: ReadOptions): Generator<JsonRow> {
  for (const raw of raws) {
    const row = parseRow(path, raw, options);
    if (row) yield row;
  }
}

async function* tableRows(
  path: string,
  rows: AsyncGenerator<TableRow>,
  options: ReadOptions,
): AsyncGenerator<JsonRow> {
  for await (const { line, offset, ...row } of rows) {
    if ('value' in row) yield { value: row.value, line, offset };
    else setAside({ file: path, line, offset, reason: row.problem, raw: '' }, options);
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

/** Of a table without JSON: what its name says, or a first line of names, one of which heed knows. */
function tableDelimiter(path: string, start: Buffer): string | undefined {
  const text = start
    .subarray(0, 64 * 1024)
    .toString('utf8')
    .trimStart();
  if (text === '' || text.startsWith('{') || text.startsWith('[')) return undefined;
  const [firstLine] = text.split(/\r?\n/, 1);
  const delimiter = delimiterOf(firstLine, (name) => rowKeys.has(name));
  if (delimiter !== undefined || !/\.(csv|tsv)(\.(gz|zst))?$/i.test(path)) return delimiter;
  return /\.tsv/i.test(path) ? '\t' : ',';
}

/** `{"version": 1, "data": [{`: an object that says nothing but where its rows are. */
const wrapping =
  /^\s*\{(?:\s*"[^"\\]*"\s*:\s*(?:"[^"\\]*"|[\w.+-]+)\s*,)*\s*"(?:data|rows|examples|instances|train)"\s*:\s*(?=\[\s*\{)/;

function splitterFor(start: Buffer, offset: number, maxRowBytes: number): RowSplitter {
  // A character a byte, so that lengths are of bytes.
  const text = start.toString('latin1').trimStart();
  const [first = '', second] = text.split(/\s*\n\s*/, 2);
  const isLine = text.startsWith('{') && second !== undefined && second !== '' && isObject(first);
  const wrapper = isLine ? undefined : wrapping.exec(start.toString('latin1'));
  if (wrapper) return new ValueSplitter(maxRowBytes, offset, { skippedBytes: wrapper[0].length });
  // An object that goes on over several lines breaks off where such objects do.
  const isSpread = second !== undefined && /^\{(?:.*[,:{[])?$/.test(first) && !isObject(second);
  const isLines = isLine || !(text.startsWith('[') || isSpread);
  return isLines ? new LineSplitter(maxRowBytes, offset) : new ValueSplitter(maxRowBytes, offset);
}

function isObject(line: string): boolean {
  try {
    return typeof JSON.parse(line) === 'object';
  } catch {
    return false;
  }
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
