// Cuts a stream of bytes into rows without knowing what is in them: one row a line, or one row an element of a
// JSON array. Memory stays near one row; a row over the cap is skipped and reported by its `problem`.

export interface RawRow {
  bytes: Buffer;
  /** 1-based line where the row begins. */
  line: number;
  /** Byte offset in the file where the row begins. */
  offset: number;
  /** Why the bytes cannot be parsed at all; `bytes` then holds only the row's beginning. */
  problem?: string;
}

export interface RowSplitter {
  push(chunk: Buffer): Iterable<RawRow>;
  end(): Iterable<RawRow>;
}

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);
const BETWEEN_ELEMENTS = new Set([0x20, 0x09, 0x0d, NEWLINE, COMMA]);
const EXCERPT_BYTES = 800;

/** The bytes of the row being read; keeps only its beginning once it is over the cap. */
class RowBuffer {
  private readonly maxBytes: number;
  private parts: Buffer[] = [];
  private length = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  append(bytes: Buffer): void {
    const wasOver = this.length > this.maxBytes;
    this.length += bytes.length;
    if (wasOver || bytes.length === 0) return;
    this.parts.push(bytes);
    if (this.length > this.maxBytes) this.parts = [Buffer.from(this.joined().subarray(0, EXCERPT_BYTES))];
  }

  take(line: number, offset: number): RawRow {
    const row: RawRow = { bytes: this.joined(), line, offset };
    if (this.length > this.maxBytes) {
      row.problem = `a row of ${this.length} bytes, over the limit of ${this.maxBytes}`;
    }
    this.parts = [];
    this.length = 0;
    return row;
  }

  private joined(): Buffer {
    return this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts);
  }
}

/** One row a line; CR LF ends a line too, and the last line needs no newline. */
export class LineSplitter implements RowSplitter {
  private readonly row: RowBuffer;
  private line = 1;
  private rowStart: number;
  private chunkStart: number;

  constructor(maxRowBytes: number, fileOffset: number) {
    this.row = new RowBuffer(maxRowBytes);
    this.rowStart = fileOffset;
    this.chunkStart = fileOffset;
  }

  *push(chunk: Buffer): Iterable<RawRow> {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      this.row.append(chunk.subarray(from, at));
      yield this.row.take(this.line++, this.rowStart);
      from = at + 1;
      this.rowStart = this.chunkStart + from;
    }
    this.row.append(chunk.subarray(from));
    this.chunkStart += chunk.length;
  }

  *end(): Iterable<RawRow> {
    if (this.chunkStart > this.rowStart) yield this.row.take(this.line, this.rowStart);
  }
}

/** One row an element of the array that the whole file is, as in Alpaca's own file. */
export class ArraySplitter implements RowSplitter {
  private readonly row: RowBuffer;
  private line = 1;
  private chunkStart: number;
  /** 0 before the array, 1 between and directly inside elements, −1 after the array. */
  private depth = 0;
  private inString = false;
  private escaped = false;
  private element: { line: number; offset: number } | undefined;

  constructor(maxRowBytes: number, fileOffset: number) {
    this.row = new RowBuffer(maxRowBytes);
    this.chunkStart = fileOffset;
  }

  *push(chunk: Buffer): Iterable<RawRow> {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === NEWLINE) this.line++;
      if (this.inString) this.readInString(byte);
      else if (this.element) {
        if (!this.endsElement(byte)) continue;
        this.row.append(chunk.subarray(from, at));
        yield this.takeElement();
      } else if (this.beginsElement(byte, this.chunkStart + at)) from = at;
    }
    if (this.element) this.row.append(chunk.subarray(from));
    this.chunkStart += chunk.length;
  }

  *end(): Iterable<RawRow> {
    const isClosed = this.depth < 0;
    if (this.element) {
      const row = this.takeElement();
      yield isClosed ? { ...row, problem: 'text after the end of the JSON array' } : row;
    }
    if (isClosed) return;
    const problem = 'the file ends before its JSON array does';
    yield { bytes: Buffer.alloc(0), line: this.line, offset: this.chunkStart, problem };
  }

  private readInString(byte: number): void {
    if (this.escaped) this.escaped = false;
    else if (byte === BACKSLASH) this.escaped = true;
    else if (byte === QUOTE) this.inString = false;
  }

  /** Follows one byte outside strings; true when it closes the element. */
  private endsElement(byte: number): boolean {
    if (this.depth < 0) return false;
    if (byte === QUOTE) this.inString = true;
    else if (OPENING.has(byte)) this.depth++;
    else if (CLOSING.has(byte)) this.depth--;
    if (this.depth === 0) this.depth = -1;
    return this.depth < 0 || (this.depth === 1 && byte === COMMA);
  }

  private beginsElement(byte: number, offset: number): boolean {
    if (BETWEEN_ELEMENTS.has(byte)) return false;
    if (this.depth === 0) {
      this.depth = 1;
      return false;
    }
    if (this.depth === 1 && CLOSING.has(byte)) {
      this.depth = -1;
      return false;
    }
    this.element = { line: this.line, offset };
    this.endsElement(byte);
    return true;
  }

  private takeElement(): RawRow {
    const { line, offset } = this.element!;
    this.element = undefined;
    return this.row.take(line, offset);
  }
}
