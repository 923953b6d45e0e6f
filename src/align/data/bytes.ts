// The bytes of a data file, unpacked where it is compressed.

import { createReadStream } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import { FormatError, UserError } from '../../engine/errors.ts';

const CHUNK_BYTES = 256 * 1024;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
/** Text is packed to a twentieth; what unpacks to much more than this is no text but a trap. */
const mostUnpacking = 200;
const alwaysUnpacked = 64 * 2 ** 20;
/** As much as the zstd program itself unpacks without being told to. */
const mostWindow = 128 * 2 ** 20;

export const parquetMark = Buffer.from('PAR1');
/** Sees how much was unpacked so far, and throws where it is too much. */
type Guard = (plainBytes: number) => void;
const packings: readonly { name: string; begins: Buffer; unpack: typeof gunzip }[] = [
  { name: 'gzip', begins: Buffer.from([0x1f, 0x8b]), unpack: gunzip },
  { name: 'zstd', begins: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), unpack: unzstd },
];
const otherFormats: readonly { name: string; begins: Buffer; advice: string }[] = [
  { name: 'a zip archive', begins: Buffer.from('PK\u0003\u0004'), advice: 'unpacking it first' },
  { name: 'UTF-16 text', begins: Buffer.from([0xff, 0xfe]), advice: 'saving it as UTF-8' },
  { name: 'UTF-16 text', begins: Buffer.from([0xfe, 0xff]), advice: 'saving it as UTF-8' },
  { name: 'a Git LFS pointer', begins: Buffer.from('version https://git-lfs'), advice: '`git lfs pull`' },
];

/**
 * The bytes of a file, chunk by chunk, unpacked where they are gzip or zstd, after their byte order mark if they have one.
 * @param onBytes sees every byte of the file once, in order, as it lies there
 * @returns offsets are of the unpacked bytes
 * @throws UserError when the file cannot be opened, FormatError when it is plainly not text, when it is cut off or
 *   broken within its compression, or unpacks to 200 times its size
 */
export async function* readBytes(
  path: string,
  onBytes?: (chunk: Buffer) => void,
): AsyncGenerator<{ bytes: Buffer; offset: number }> {
  let offset = 0;
  try {
    for await (let bytes of unpacked(path, fileChunks(path, onBytes))) {
      if (offset === 0) {
        refuseOtherFormats(path, bytes);
        if (startsWith(bytes, BYTE_ORDER_MARK)) {
          bytes = bytes.subarray(BYTE_ORDER_MARK.length);
          offset = BYTE_ORDER_MARK.length;
        }
      }
      yield { bytes, offset };
      offset += bytes.length;
    }
  } catch (error) {
    throw readingFailure(path, error);
  }
}

export const startsWith = (bytes: Buffer, start: Buffer): boolean =>
  bytes.subarray(0, start.length).equals(start);

async function* fileChunks(path: string, onBytes?: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    onBytes?.(chunk as Buffer);
    yield chunk as Buffer;
  }
}

/**
 * The first of what a generator gives, and all of it once more; undefined where it gives nothing. Whoever leaves `all`
 * early ends the generator too.
 */
export async function withFirst<T>(
  given: AsyncGenerator<T>,
): Promise<{ first: T; all: AsyncGenerator<T> } | undefined> {
  const { value: first, done } = await given.next();
  if (done) return undefined;
  const all = async function* () {
    try {
      yield first;
      yield* given;
    } finally {
      await given.return(undefined);
    }
  };
  return { first, all: all() };
}

async function* unpacked(path: string, chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const peeked = await withFirst(chunks);
  if (!peeked) return;
  const { first, all } = peeked;
  const packing = packings.find(({ begins }) => startsWith(first, begins));
  if (!packing) {
    yield* all;
    return;
  }
  let [packed, plain] = [0, 0];
  const counted = async function* () {
    for await (const chunk of all) {
      packed += chunk.length;
      yield chunk;
    }
  };
  const broken = (found: string, cause?: unknown) =>
    new FormatError({ where: path, expected: `whole ${packing.name}`, found }, { cause });
  const guard: Guard = (bytes) => {
    plain += bytes;
    if (plain > alwaysUnpacked && plain > mostUnpacking * packed) {
      throw broken(`one that unpacks to more than ${mostUnpacking} times its size`);
    }
  };
  try {
    yield* packing.unpack(counted(), guard);
  } catch (error) {
    throw error instanceof FormatError ? error : broken((error as Error).message, error);
  }
}

async function* gunzip(chunks: AsyncIterable<Buffer>, guard: Guard): AsyncGenerator<Buffer> {
  const stream = createGunzip({ chunkSize: CHUNK_BYTES });
  pipeline(Readable.from(chunks), stream, () => {});
  for await (const chunk of stream) {
    guard(chunk.length);
    yield chunk;
  }
}

/** Checksums are not checked: the library does not. */
async function* unzstd(chunks: AsyncIterable<Buffer>, guard: Guard): AsyncGenerator<Buffer> {
  const ready: Buffer[] = [];
  let [isWhole, isFirst] = [false, true];
  const stream = new Decompress((chunk, isLast) => {
    guard(chunk.length);
    ready.push(Buffer.from(chunk));
    isWhole = isLast === true;
  });
  for await (const chunk of chunks) {
    if (isFirst) requireWindow(chunk);
    isFirst = false;
    stream.push(chunk);
    yield* ready.splice(0);
  }
  stream.push(new Uint8Array(0), true);
  yield* ready.splice(0);
  if (!isWhole) throw new Error('unexpected end of file');
}

/** Memory is set aside for a frame's window before anything of it is read. RFC 8878, section 3.1.1. */
function requireWindow(frame: Buffer): void {
  const descriptor = frame[4] ?? 0;
  const isSingle = (descriptor & 0x20) !== 0;
  if (!isSingle) {
    const [exponent, mantissa] = [(frame[5] ?? 0) >> 3, (frame[5] ?? 0) & 7];
    const window = 2 ** (10 + exponent) * (1 + mantissa / 8);
    if (window > mostWindow) throw new Error(`a window of ${window} bytes, over ${mostWindow}`);
    return;
  }
  const start = 5 + [0, 1, 2, 4][descriptor & 3];
  const length = [1, 2, 4, 8][descriptor >> 6];
  if (frame.length < start + length) return;
  const size = length === 8 ? Number(frame.readBigUInt64LE(start)) : frame.readUIntLE(start, length);
  if (size > mostWindow) throw new Error(`one piece of ${size} bytes, over ${mostWindow}`);
}

function refuseOtherFormats(path: string, start: Buffer): void {
  for (const { name, begins, advice } of otherFormats) {
    if (!startsWith(start, begins)) continue;
    throw new FormatError({ where: path, expected: 'UTF-8 text', found: name, advice });
  }
}

export function readingFailure(path: string, error: unknown): unknown {
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
