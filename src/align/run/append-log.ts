// A log of one JSON object a line that only grows. A failed write (a full disk) loses that line alone and
// never stops the run: a log is worth less than the training it describes.

import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { type Listed, toStored } from '../../language/stored-names.ts';

export interface LogRecord {
  type: string;
  step: number;
}

export class AppendLog {
  private readonly file: number;
  private size: number;
  private lost = 0;
  private readonly path: string;
  private readonly onWarning: (message: string) => void;

  /** @param onWarning hears once when lines begin to be lost, and once when writing works again */
  constructor(path: string, onWarning: (message: string) => void) {
    this.path = path;
    this.onWarning = onWarning;
    this.file = openSync(path, 'a');
    this.size = fstatSync(this.file).size;
  }

  append<T extends object>(record: T & Listed<T>): void {
    const line = Buffer.from(`${JSON.stringify(toStored<T>(record))}\n`);
    try {
      writeFully(this.file, line);
      this.size += line.length;
    } catch (error) {
      this.lose(error);
      return;
    }
    if (this.lost > 0) this.onWarning(`${this.path}: written again; ${this.lost} lines are missing`);
    this.lost = 0;
  }

  sync(): void {
    try {
      fsyncSync(this.file);
    } catch (error) {
      this.onWarning(`${this.path}: not flushed to disk (${(error as Error).message})`);
    }
  }

  close(): void {
    closeSync(this.file);
  }

  private lose(error: unknown): void {
    if (this.lost++ === 0) {
      this.onWarning(`${this.path}: lines are being lost, the run goes on (${(error as Error).message})`);
    }
    try {
      ftruncateSync(this.file, this.size);
    } catch {
      // A device without a length: there is no half line to cut off.
    }
  }
}

function writeFully(file: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
}

/**
 * Cuts a log back to what an uninterrupted run had written when it committed the checkpoint of `step`:
 * up to that checkpoint's own line, or, where the log has none, up to the last whole line of an earlier or equal
 * step. A torn last line goes. A missing file is left missing.
 */
export function cutLogAfter(path: string, step: number): void {
  const bytes = readIfPresent(path);
  if (!bytes) return;
  const file = openSync(path, 'r+');
  try {
    ftruncateSync(file, endOfStep(bytes, step));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** The type of the last whole line; undefined when there is none. */
export function lastRecordType(path: string): string | undefined {
  return [...wholeLines(readIfPresent(path) ?? Buffer.alloc(0))].at(-1)?.record?.type;
}

function endOfStep(bytes: Buffer, step: number): number {
  let endOfCheckpoint: number | undefined;
  let endOfEarlier = 0;
  let isPast = false;
  for (const { record, end } of wholeLines(bytes)) {
    isPast ||= record !== undefined && (record.step > step || record.type === 'finished');
    if (!isPast) endOfEarlier = end;
    if (record?.type === 'checkpoint' && record.step === step) endOfCheckpoint = end;
  }
  return endOfCheckpoint ?? (step === 0 ? 0 : endOfEarlier);
}

function* wholeLines(bytes: Buffer): Generator<{ record: LogRecord | undefined; end: number }> {
  let start = 0;
  for (let newline = bytes.indexOf(10); newline >= 0; newline = bytes.indexOf(10, start)) {
    yield { record: parse(bytes.toString('utf8', start, newline)), end: newline + 1 };
    start = newline + 1;
  }
}

function parse(line: string): LogRecord | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function readIfPresent(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
