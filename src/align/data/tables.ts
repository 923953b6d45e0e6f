// Tables as rows: CSV and its relatives, where every value is a text, and Parquet.

import { pipeline, Readable } from 'node:stream';
import { parse } from 'csv-parse';
import type { FileMetaData } from 'hyparquet';
import { FormatError } from '../../engine/errors.ts';
import { readingFailure } from './bytes.ts';
import { isNothing } from './row-fields.ts';

const delimiters = ['\t', ',', ';'];

/** The delimiter of a table whose first line this is, where it looks like one: several names, one of them known. */
export function delimiterOf(firstLine: string, isKnown: (name: string) => boolean): string | undefined {
  return delimiters.find((delimiter) => {
    const names = firstLine.split(delimiter).map((name) => name.trim().replace(/^"(.*)"$/, '$1'));
    return names.length > 1 && names.every((name) => name !== '') && names.some(isKnown);
  });
}

/** `line` and `offset` where the row begins; a `problem` in place of a value. */
export type TableRow = { line: number; offset: number } & ({ value: object } | { problem: string });

/**
 * The rows of a CSV file after its header, each an object of texts, and of lists where a column or turns ask for them.
 * @param start offset of the header
 * @returns rows with the line where they begin, and the offset after the row before
 * @throws FormatError when two columns have one name, when a row is too long, or the bytes are no text
 */
export async function* csvRows(
  path: string,
  chunks: AsyncIterable<{ bytes: Buffer }>,
  { delimiter, start, maxRowBytes }: { delimiter: string; start: number; maxRowBytes: number },
): AsyncGenerator<TableRow> {
  const problems: TableRow[] = [];
  /** Where the last row ended; and what the parser, which counts CR LF in cells as two lines, counts too much. */
  let [end, extraLines] = [0, 0];
  const parser = parse({
    delimiter,
    columns(names: string[]) {
      end = start + parser.info.bytes;
      return columnsOf(path, names);
    },
    skip_empty_lines: true,
    skip_records_with_error: true,
    max_record_size: maxRowBytes,
    // As it is read, which is before it is taken.
    on_record(record: Record<string, string>, { lines, bytes }): TableRow {
      const cells = Object.values(record).join('');
      const place = { line: lines - countOf(/[\r\n]/g, cells) - extraLines, offset: end };
      const python = Object.keys(record).find((name) => pythonList.test(record[name]));
      const row = python
        ? { ...place, problem: `${python}: expected JSON, got a list as Python writes it` }
        : { ...place, value: withLists(record) };
      extraLines += countOf(/\r\n/g, cells);
      end = start + bytes;
      return row;
    },
    on_skip(error) {
      if (!error) return;
      const where = `${path}, after byte ${end}`;
      if (error.code === 'CSV_MAX_RECORD_SIZE') {
        const found = 'a longer one, or a quote that is never closed';
        parser.destroy(new FormatError({ where, expected: `rows of at most ${maxRowBytes} bytes`, found }));
        return;
      }
      if (problems.at(-1)?.offset === end) return;
      const problem = `not a row of this table: ${error.message.replace(/ on line \d+/, '')}`;
      problems.push({ line: parser.info.lines - extraLines, offset: end, problem });
    },
  });
  pipeline(Readable.from(textBytes(path, chunks)), parser, () => {});
  try {
    for await (const row of parser) {
      yield* problems.splice(0);
      yield row;
    }
    yield* problems;
  } finally {
    parser.destroy();
  }
}

/** @throws FormatError where the bytes are no text */
async function* textBytes(path: string, chunks: AsyncIterable<{ bytes: Buffer }>): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const check = (bytes: Buffer, stream: boolean) => {
    try {
      decoder.decode(bytes, { stream });
    } catch (cause) {
      const mistake = {
        where: path,
        expected: 'UTF-8 text',
        found: 'other bytes',
        advice: 'saving it as UTF-8',
      };
      throw new FormatError(mistake, { cause });
    }
    if (bytes.includes(0)) throw new FormatError({ where: path, expected: 'text', found: 'a NUL byte' });
  };
  for await (const { bytes } of chunks) {
    check(bytes, true);
    yield bytes;
  }
  check(Buffer.alloc(0), false);
}

const pythonList = /^\s*\[\s*\{\s*'/;

const countOf = (what: RegExp, text: string): number => text.match(what)?.length ?? 0;

function columnsOf(path: string, names: readonly string[]): string[] {
  const trimmed = names.map((name) => name.trim());
  const twice = trimmed.find((name, i) => trimmed.indexOf(name) < i);
  if (twice === undefined) return trimmed;
  throw new FormatError({ where: path, expected: 'columns of different names', found: `${twice} twice` });
}

/** Columns that hold lists in any case. */
const listColumn = /^(messages|conversations?|history|tools|ranked|\w+_ids)$/;

/** Lists, and texts that are turns, are JSON in a cell; any other text is itself, whatever it looks like. */
function withLists(record: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record).map(([name, cell]) => {
      const value = /^\s*[[{]/.test(cell) ? parsed(cell) : undefined;
      const isMeant = listColumn.test(name) ? Array.isArray(value) : isTurns(value);
      return [name, isMeant ? value : cell];
    }),
  );
}

function parsed(cell: string): unknown {
  try {
    return JSON.parse(cell);
  } catch {
    return undefined;
  }
}

/** A turn, or several. */
function isTurns(value: unknown): boolean {
  const turns = Array.isArray(value) ? value : [value];
  const isTurn = (turn: unknown) => ['role', 'from'].some((key) => Object.hasOwn(Object(turn), key));
  return turns.length > 0 && turns.every(isTurn);
}

/**
 * The rows of a Parquet file, a row group at a time; `line` is the number of the row.
 * @throws UserError when the file cannot be opened, FormatError when it is broken
 */
export async function* parquetRows(path: string): AsyncGenerator<TableRow> {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } = await import('hyparquet');
  const { compressors } = await import('hyparquet-compressors');
  const broken = (error: unknown) => {
    const known = readingFailure(path, error);
    if (known !== error) return known;
    const found = (error as Error).message;
    return new FormatError({ where: path, expected: 'a whole Parquet file', found }, { cause: error });
  };
  let [file, metadata]: [Awaited<ReturnType<typeof asyncBufferFromFile>>, FileMetaData] = [] as never;
  try {
    file = await asyncBufferFromFile(path);
    metadata = await parquetMetadataAsync(file);
  } catch (error) {
    throw broken(error);
  }
  let start = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = start + Number(group.num_rows);
    let rows: Record<string, unknown>[];
    try {
      rows = await parquetReadObjects({ file, metadata, compressors, rowStart: start, rowEnd });
    } catch (error) {
      throw broken(error);
    }
    for (const row of rows) yield { line: ++start, offset: 0, value: asJson(row) as object };
  }
}

/** As JSON would have it: numbers for 64-bit integers, lists for typed arrays, texts for times. */
function asJson(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value)) return Array.from(value as Uint8Array);
  if (Array.isArray(value)) return value.map(asJson);
  if (value === null || typeof value !== 'object' || isNothing(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, own]) => [key, asJson(own)]));
}
