// Cuts a stream of bytes into rows without knowing what is in them: one row a line, or one row a JSON value. Memory
// stays near one row; a row over the cap is skipped and reported by its `problem`.

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
const BRACKET = 0x5b;
const OPENING = new Set([BRACKET, 0x7b]);
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

const mostRest = 4096;
/** `, "count": 3}`: the end of an object around rows. */
const endOfWrapper = /^(?:\s*,\s*"[^"\\]*"\s*:\s*(?:"[^"\\]*"|[\w.+-]+))*\s*\}\s*$/;

/**
 * One row a JSON value, whatever lines it takes: values one after the other, or the elements of arrays, several of which
 * may follow each other.
 */
export class ValueSplitter implements RowSplitter {
  private readonly row: RowBuffer;
  private readonly wrapper: { skippedBytes: number } | undefined;
  private line = 1;
  private chunkStart: number;
  private isInArray = false;
  /** What follows the array in a wrapper: nothing that could be a row. */
  private rest: string | undefined;
  private inString = false;
  private escaped = false;
  /** `depth`: its open brackets; 0 in a value that is none. */
  private value: { line: number; offset: number; depth: number } | undefined;

  /** @param wrapper the bytes up to an array whose elements are the rows, within an object that says nothing else */
  constructor(maxRowBytes: number, fileOffset: number, wrapper?: { skippedBytes: number }) {
    this.row = new RowBuffer(maxRowBytes);
    this.chunkStart = fileOffset;
    this.wrapper = wrapper && { ...wrapper };
  }

  *push(chunk: Buffer): Iterable<RawRow> {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (this.rest !== undefined) {
        this.rest += chunk.toString('latin1', at, at + mostRest - this.rest.length);
        break;
      }
      if (byte === NEWLINE) this.line++;
      if (this.wrapper && this.wrapper.skippedBytes > 0) this.wrapper.skippedBytes--;
      else if (!this.value) {
        if (this.beginsValue(byte, this.chunkStart + at)) from = at;
      } else {
        const end = this.endOfValue(byte, at);
        if (end === undefined) continue;
        this.row.append(chunk.subarray(from, end));
        yield this.takeValue();
        if (end === at) this.beginsValue(byte, this.chunkStart + at);
      }
    }
    if (this.value) this.row.append(chunk.subarray(from));
    this.chunkStart += chunk.length;
  }

  *end(): Iterable<RawRow> {
    const { value, isInArray, rest } = this;
    if (value) yield this.takeValue();
    if (rest !== undefined && !endOfWrapper.test(rest)) {
      const problem = 'more than plain values follows the array of rows in this object';
      yield { bytes: Buffer.from(rest, 'latin1'), line: this.line, offset: this.chunkStart, problem };
    }
    if (!isInArray && !(value && value.depth > 0)) return;
    const problem = `the file ends before its JSON ${isInArray ? 'array' : 'value'} does`;
    yield { bytes: Buffer.alloc(0), line: this.line, offset: this.chunkStart, problem };
  }

  /** Where the value ends that this byte is read in: after it, before it, or not yet. */
  private endOfValue(byte: number, at: number): number | undefined {
    const value = this.value!;
    if (this.inString) {
      this.readInString(byte);
      return undefined;
    }
    if (value.depth === 0) {
      const ends = byte === COMMA || CLOSING.has(byte) || (byte === NEWLINE && !this.isInArray);
      if (byte === QUOTE) this.inString = true;
      return ends ? at : undefined;
    }
    if (byte === QUOTE) this.inString = true;
    else if (OPENING.has(byte)) value.depth++;
    else if (CLOSING.has(byte)) value.depth--;
    return value.depth === 0 ? at + 1 : undefined;
  }

  private readInString(byte: number): void {
    if (this.escaped) this.escaped = false;
    else if (byte === BACKSLASH) this.escaped = true;
    else if (byte === QUOTE) this.inString = false;
  }

  /** Follows one byte between values; true when it begins one. */
  private beginsValue(byte: number, offset: number): boolean {
    if (BETWEEN_ELEMENTS.has(byte)) return false;
    if (!this.isInArray && byte === BRACKET) {
      this.isInArray = true;
      return false;
    }
    if (this.isInArray && CLOSING.has(byte)) {
      this.isInArray = false;
      if (this.wrapper) this.rest = '';
      return false;
    }
    this.value = { line: this.line, offset, depth: OPENING.has(byte) ? 1 : 0 };
    this.inString = byte === QUOTE;
    return true;
  }

  private takeValue(): RawRow {
    const { line, offset } = this.value!;
    this.value = undefined;
    this.inString = false;
    this.escaped = false;
    return this.row.take(line, offset);
  }
}
