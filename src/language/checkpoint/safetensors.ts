// Tensors in and out of safetensors files, as float32 in memory and as F32, F16 or BF16 on disk. Data flows in pieces:
// a half-precision file never stands in memory beside its float32 values. Needs a little-endian machine, as
// ONNX Runtime does.

import { createHash } from 'node:crypto';
import { FormatError, ShapeError } from '../../engine/errors.ts';
import { diskFiles, type Files } from './files.ts';
import { bfloat16FromFloat32, float16FromFloat32, float32FromBfloat16, float32FromFloat16 } from './half.ts';
import { bytesPerElement, openTensorFile, type StoredType, type TensorEntry } from './safetensors-header.ts';

export { readSafetensorsHeader, type StoredType, type TensorEntry } from './safetensors-header.ts';

const elementsPerPiece = 2 ** 18;

const widen = { F16: float32FromFloat16, BF16: float32FromBfloat16 };
const narrow = { F16: float16FromFloat32, BF16: bfloat16FromFloat32 };

/** A tensor's values, row-major. */
export async function readTensor(path: string, entry: TensorEntry): Promise<Float32Array> {
  const values = new Float32Array((entry.end - entry.start) / bytesPerElement[entry.dtype]);
  await readTensorInto(path, entry, values);
  return values;
}

/**
 * Reads a tensor into memory that the caller has.
 * @throws ShapeError unless `target` has the tensor's size; FormatError when the file has become shorter
 */
export async function readTensorInto(path: string, entry: TensorEntry, target: Float32Array): Promise<void> {
  const elements = (entry.end - entry.start) / bytesPerElement[entry.dtype];
  if (target.length !== elements) {
    throw new ShapeError({ where: entry.name, expected: `room for ${elements}`, found: `${target.length}` });
  }
  const file = await openTensorFile(path);
  try {
    for (let done = 0; done < elements; done += elementsPerPiece) {
      const piece = target.subarray(done, done + elementsPerPiece);
      const stored = storage(entry.dtype, piece);
      const position = entry.start + done * bytesPerElement[entry.dtype];
      await readFully(file, bytesOf(stored), position, `${path}: tensor ${entry.name}`);
      if (entry.dtype !== 'F32') widenInto(piece, stored as Uint16Array, widen[entry.dtype]);
    }
  } finally {
    await file.close();
  }
}

function storage(dtype: StoredType, piece: Float32Array): Float32Array | Uint16Array {
  return dtype === 'F32' ? piece : new Uint16Array(piece.length);
}

function bytesOf(array: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

async function readFully(
  file: Awaited<ReturnType<typeof openTensorFile>>,
  bytes: Uint8Array,
  position: number,
  where: string,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0)
      throw new FormatError({ where, expected: 'more data', found: 'the end of the file' });
    done += bytesRead;
  }
}

function widenInto(target: Float32Array, halves: Uint16Array, convert: (half: number) => number): void {
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < halves.length; i++) bits[i] = convert(halves[i]);
}

export interface NamedTensor {
  name: string;
  shape: readonly number[];
  data: Float32Array;
}

export interface WriteOptions {
  /** Default F32. F16 and BF16 round to nearest, ties to even. */
  dtype?: StoredType;
  metadata?: Record<string, string>;
  files?: Files;
}

/**
 * Writes a file of tensors in the order given: aside, forced to the disk, then renamed.
 * @returns the SHA-256 of the file and its size
 * @throws ShapeError when a tensor's data does not fill its shape or a name comes twice
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<NamedTensor>,
  options: WriteOptions = {},
): Promise<{ sha256: string; bytes: number }> {
  const { dtype = 'F32', metadata = {}, files = diskFiles } = options;
  const list = [...tensors];
  const hash = createHash('sha256');
  let bytes = 0;
  function* hashed(): Generator<Uint8Array> {
    for (const chunk of chunks(list, dtype, metadata)) {
      hash.update(chunk);
      bytes += chunk.length;
      yield chunk;
    }
  }
  await files.write(`${path}.partial`, hashed());
  await files.rename(`${path}.partial`, path);
  return { sha256: hash.digest('hex'), bytes };
}

function* chunks(
  tensors: readonly NamedTensor[],
  dtype: StoredType,
  metadata: Record<string, string>,
): Generator<Uint8Array> {
  const header = new TextEncoder().encode(headerText(tensors, dtype, metadata));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  yield length;
  yield header;
  for (const { data } of tensors) {
    for (let done = 0; done < data.length; done += elementsPerPiece) {
      const piece = data.subarray(done, done + elementsPerPiece);
      yield bytesOf(dtype === 'F32' ? piece : narrowed(piece, narrow[dtype]));
    }
  }
}

/** JSON padded with spaces so that the data start at a multiple of eight bytes. */
function headerText(
  tensors: readonly NamedTensor[],
  dtype: StoredType,
  metadata: Record<string, string>,
): string {
  const entries = new Map<string, unknown>([['__metadata__', { format: 'pt', ...metadata }]]);
  let position = 0;
  for (const { name, shape, data } of tensors) {
    const elements = shape.reduce((product, size) => product * size, 1);
    if (elements !== data.length) {
      throw new ShapeError({
        where: name,
        expected: `${elements} values for [${shape}]`,
        found: `${data.length}`,
      });
    }
    if (entries.has(name))
      throw new ShapeError({ where: name, expected: 'every name once', found: 'it twice' });
    const end = position + elements * bytesPerElement[dtype];
    entries.set(name, { dtype, shape, data_offsets: [position, end] });
    position = end;
  }
  const members = [...entries].map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`);
  const text = `{${members.join(',')}}`;
  const bytes = Buffer.byteLength(text);
  return text.padEnd(text.length + ((8 - (bytes % 8)) % 8));
}

function narrowed(values: Float32Array, convert: (bits: number) => number): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < halves.length; i++) halves[i] = convert(bits[i]);
  return halves;
}
