// Whole files that may come from anywhere, such as those of a model's folder: only regular ones (a pipe could be waited
// for without end), none larger than asked, and every complaint names the file.

import type { Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { FormatError } from '../engine/errors.ts';

export interface FileKind {
  /** What the file should be, for messages. */
  expected?: string;
  largestBytes?: number;
}

/** The index of the largest models takes half of it, configurations a thousandth. */
const largestTextBytes = 16 * 2 ** 20;

const failures: Record<string, string> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  EACCES: 'one that may not be read',
  EPERM: 'one that may not be read',
  ELOOP: 'a link to itself',
};

/** @throws FormatError unless `path` is a regular file, or a link to one, that may be opened and is not too large */
export async function requireRegularFile(path: string, kind: FileKind = {}): Promise<void> {
  await reading(path, kind, async () => refuseOthers(await stat(path), path, kind));
}

/** @throws FormatError as `requireRegularFile` does */
export async function readWholeFile(path: string, kind: FileKind = {}): Promise<Buffer> {
  await requireRegularFile(path, kind);
  return reading(path, kind, () => readFile(path));
}

/**
 * A text in UTF-8; a byte order mark, which some editors write, does not count.
 * @param kind.largestBytes default 16 MiB
 * @throws FormatError as `requireRegularFile` does, and when the file is not UTF-8
 */
async function readTextFile(path: string, kind: FileKind = {}): Promise<string> {
  return textOf(await readWholeFile(path, { largestBytes: largestTextBytes, ...kind }), path, kind);
}

/** What `readTextFile` makes of a file's bytes. @throws FormatError when they are not UTF-8 */
export function textOf(bytes: Uint8Array, path: string, { expected = 'text' }: FileKind = {}): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError({ where: path, expected: `${expected} in UTF-8`, found: 'other bytes' }, { cause });
  }
}

/** @throws FormatError as `readTextFile` does, and when the text is not JSON */
export async function readJsonFile(path: string, kind: FileKind = {}): Promise<unknown> {
  return jsonOf(await readTextFile(path, { expected: 'JSON', ...kind }), path);
}

/** What `readJsonFile` makes of a file's text. @throws FormatError when it is not JSON */
export function jsonOf(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    // What JSON.parse says quotes the text, line ends included.
    const found = text === '' ? 'an empty file' : (cause as Error).message.replaceAll(/\s+/g, ' ');
    throw new FormatError({ where: path, expected: 'JSON in UTF-8', found }, { cause });
  }
}

/** Runs what opens a file. @throws FormatError where the system says that it cannot be read */
export async function reading<Result>(
  path: string,
  { expected = 'a file' }: FileKind,
  act: () => Promise<Result>,
): Promise<Result> {
  try {
    return await act();
  } catch (cause) {
    const found = failures[(cause as NodeJS.ErrnoException).code ?? ''];
    if (found === undefined) throw cause;
    throw new FormatError({ where: path, expected, found }, { cause });
  }
}

function refuseOthers(status: Stats, path: string, { expected = 'a file', largestBytes }: FileKind): void {
  if (!status.isFile()) throw new FormatError({ where: path, expected, found: nameOf(status) });
  if (largestBytes === undefined || status.size <= largestBytes) return;
  const most = `${expected} of at most ${largestBytes} bytes`;
  throw new FormatError({ where: path, expected: most, found: `${status.size}` });
}

function nameOf(status: Stats): string {
  if (status.isDirectory()) return 'a folder';
  if (status.isFIFO()) return 'a pipe';
  return status.isSocket() ? 'a socket' : 'a device';
}
