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
 * The rows of a CSV file after its header, each an object of texts; a cell that holds a JSON list or object is that.
 * @param start offset of the header
 * @returns rows with the line where they begin, and the offset after the row before
 * @throws FormatError when two columns have one name
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
      const line = lines - countOf(/[\r\n]/g, cells) - extraLines;
      const row = { line, offset: end, value: withLists(record) };
      extraLines += countOf(/\r\n/g, cells);
      end = start + bytes;
      return row;
    },
    on_skip(error) {
      if (!error) return;
      const problem = `not a row of this table: ${error.message.replace(/ on line \d+/, '')}`;
      problems.push({ line: parser.info.lines - extraLines, offset: end, problem });
    },
  });
  pipeline(Readable.from(bytesOf(chunks)), parser, () => {});
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

async function* bytesOf(chunks: AsyncIterable<{ bytes: Buffer }>): AsyncGenerator<Buffer> {
  for await (const { bytes } of chunks) yield bytes;
}

const countOf = (what: RegExp, text: string): number => text.match(what)?.length ?? 0;

function columnsOf(path: string, names: readonly string[]): string[] {
  const trimmed = names.map((name) => name.trim());
  const twice = trimmed.find((name, i) => trimmed.indexOf(name) < i);
  if (twice === undefined) return trimmed;
  throw new FormatError({ where: path, expected: 'columns of different names', found: `${twice} twice` });
}

/** Conversations and ids in a table are JSON in a cell. */
function withLists(record: Record<string, string>): Record<string, unknown> {
  const parsed = (cell: string): unknown => {
    if (!/^\s*\[\s*[[{\d-]/.test(cell)) return cell;
    try {
      return JSON.parse(cell);
    } catch {
      return cell;
    }
  };
  return Object.fromEntries(Object.entries(record).map(([name, cell]) => [name, parsed(cell)]));
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
