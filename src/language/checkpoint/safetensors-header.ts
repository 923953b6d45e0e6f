// The header of a safetensors file: eight bytes of length, then JSON that gives every tensor's type, shape and bytes.
// A header is believed only when its tensors fill the rest of the file exactly, without holes or overlaps.

import { open } from 'node:fs/promises';
import { FormatError } from '../../engine/errors.ts';
import { describeJson } from '../model/config-fields.ts';
import { reading, requireRegularFile } from '../read-file.ts';

export type StoredType = 'F32' | 'F16' | 'BF16';

export interface TensorEntry {
  name: string;
  dtype: StoredType;
  shape: number[];
  /** Absolute byte offsets in the file. */
  start: number;
  end: number;
}

export interface SafetensorsHeader {
  entries: Map<string, TensorEntry>;
  metadata: Record<string, string>;
}

export const bytesPerElement: Record<StoredType, number> = { F32: 4, F16: 2, BF16: 2 };

/** As in the format's own library. */
const maximumHeaderBytes = 100_000_000;
/** Some hundred thousand tensors. Values take more room parsed than written; bytes alone do not bound them. */
const maximumValues = 1_000_000;

/**
 * Reads and checks a header, in memory of some times its own size.
 * @param options.skip tensors to leave out; their type may be one that heed cannot read
 * @throws FormatError for every malformed header
 */
export async function readSafetensorsHeader(
  path: string,
  options: { skip?: (name: string) => boolean } = {},
): Promise<SafetensorsHeader> {
  const { text, dataStart, fileBytes } = await readHeaderText(path);
  const header = parseHeaderObject(text, path);
  refuseDuplicateKeys(text, path);
  const metadata = parseMetadata(header.get('__metadata__'), path);
  header.delete('__metadata__');
  const skip = options.skip ?? (() => false);
  const ranges: ByteRange[] = [];
  const entries = new Map<string, TensorEntry>();
  for (const [name, value] of header) {
    const { dtype, shape, begin, end } = parseTensor(value, `${path}: tensor ${name}`);
    ranges.push({ name, begin, end });
    if (skip(name)) continue;
    const known = checkType(dtype, shape, end - begin, `${path}: tensor ${name}`);
    entries.set(name, { name, dtype: known, shape, start: dataStart + begin, end: dataStart + end });
  }
  refuseHolesAndOverlaps(ranges, fileBytes - dataStart, path);
  return { entries, metadata };
}

async function readHeaderText(path: string) {
  const file = await openTensorFile(path);
  try {
    const { size: fileBytes } = await file.stat();
    const prefix = Buffer.alloc(8);
    const { bytesRead } = await file.read(prefix, 0, 8, 0);
    if (bytesRead < 8) throw fault(path, 'eight bytes of header length', `a file of ${fileBytes} bytes`);
    if (prefix.toString('latin1') === 'version ') {
      const found = 'a Git LFS pointer, which stands for a file that was not fetched';
      throw new FormatError({ where: path, expected: 'a safetensors file', found, advice: '`git lfs pull`' });
    }
    const headerBytes = prefix.readBigUInt64LE();
    const most = Math.min(maximumHeaderBytes, fileBytes - 8);
    if (headerBytes < 2n || headerBytes > BigInt(most)) {
      throw fault(path, `a header of 2 to ${most} bytes`, `a length of ${headerBytes}`);
    }
    const header = Buffer.alloc(Number(headerBytes));
    const read = await file.read(header, 0, header.length, 8);
    if (read.bytesRead < header.length) throw fault(path, `${header.length} bytes of header`, 'fewer');
    return { text: decodeHeader(header, path), dataStart: 8 + header.length, fileBytes };
  } finally {
    await file.close();
  }
}

/** @throws FormatError unless there is a regular file that may be read */
export async function openTensorFile(path: string) {
  const kind = { expected: 'a safetensors file' };
  await requireRegularFile(path, kind);
  return reading(path, kind, () => open(path, 'r'));
}

function decodeHeader(bytes: Buffer, path: string): string {
  if (bytes[0] !== 0x7b) throw fault(path, 'a header that starts with {', `the byte ${bytes[0]}`);
  refuseManyValues(bytes, path);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw fault(path, 'a header in UTF-8', 'invalid bytes', cause);
  }
}

/** Counts what JSON has before every value but the first: `{`, `[` and commas, in texts too. */
function refuseManyValues(bytes: Buffer, path: string): void {
  let count = 0;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === 0x2c || bytes[i] === 0x5b || bytes[i] === 0x7b) count++;
  }
  if (count > maximumValues) throw fault(path, `a header of at most ${maximumValues} values`, `${count}`);
}

function parseHeaderObject(text: string, path: string): Map<string, unknown> {
  try {
    return new Map(Object.entries(JSON.parse(text)));
  } catch (cause) {
    throw fault(path, 'a header in JSON', (cause as Error).message, cause);
  }
}

/** JSON.parse keeps the last of two equal keys; here the second one is an attack or a fault. `text` is valid JSON. */
function refuseDuplicateKeys(text: string, path: string): void {
  const openObjects: Set<string>[] = [];
  let lastString = '';
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '{') openObjects.push(new Set());
    else if (text[i] === '}') openObjects.pop();
    else if (text[i] === ':') refuseSecond(JSON.parse(lastString), openObjects[openObjects.length - 1], path);
    else if (text[i] === '"') {
      const end = closingQuote(text, i);
      lastString = text.slice(i, end + 1);
      i = end;
    }
  }
}

function refuseSecond(key: string, keys: Set<string>, path: string): void {
  if (keys.has(key)) throw fault(path, 'every name once', `${key} twice`);
  keys.add(key);
}

function closingQuote(text: string, opening: number): number {
  let i = opening + 1;
  while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i;
}

function parseMetadata(value: unknown, path: string): Record<string, string> {
  if (value === undefined) return {};
  if (!isRecord(value)) throw fault(path, '__metadata__ to be an object', describeJson(value));
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw fault(path, `__metadata__.${key} to be a string`, describeJson(text));
  }
  return Object.assign(Object.create(null), value);
}

interface ByteRange {
  name: string;
  begin: number;
  end: number;
}

function parseTensor(value: unknown, where: string) {
  if (!isRecord(value)) throw fault(where, 'an object', describeJson(value));
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string') throw fault(where, 'a dtype', describeJson(dtype));
  if (!isCounts(shape)) throw fault(where, 'a shape of whole numbers', describeJson(shape));
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[1] < offsets[0]) {
    throw fault(where, 'data_offsets [begin, end] with begin ≤ end', describeJson(offsets));
  }
  return { dtype, shape, begin: offsets[0], end: offsets[1] };
}

function checkType(dtype: string, shape: number[], bytes: number, where: string): StoredType {
  if (!Object.hasOwn(bytesPerElement, dtype)) {
    throw fault(where, `one of the types ${Object.keys(bytesPerElement).join(', ')}`, dtype);
  }
  const known = dtype as StoredType;
  const needed = shape.reduce((product, size) => product * BigInt(size), BigInt(bytesPerElement[known]));
  if (needed !== BigInt(bytes)) throw fault(where, `${needed} bytes for ${dtype} [${shape}]`, `${bytes}`);
  return known;
}

function refuseHolesAndOverlaps(ranges: ByteRange[], dataBytes: number, path: string): void {
  ranges.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  for (const { name, begin, end } of ranges) {
    if (begin !== position) throw fault(`${path}: tensor ${name}`, `data at ${position}`, `data at ${begin}`);
    position = end;
  }
  if (position !== dataBytes) throw fault(path, `${position} bytes of tensor data`, `${dataBytes}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function fault(where: string, expected: string, found: string, cause?: unknown): FormatError {
  return new FormatError({ where, expected, found: found.slice(0, 200) }, { cause });
}
