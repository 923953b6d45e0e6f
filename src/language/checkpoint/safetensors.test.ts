import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FormatError, ShapeError } from '../../engine/errors.ts';
import { readSafetensorsHeader, readTensor, readTensorInto, writeSafetensors } from './safetensors.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-safetensors-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A file with this header text, this claimed length, and this many bytes of data. */
function craft(header: string | Uint8Array, dataBytes = 0, claimed?: bigint): string {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(text.length));
  const path = join(folder, 'crafted.safetensors');
  writeFileSync(path, Buffer.concat([length, text, Buffer.alloc(dataBytes)]));
  return path;
}

const tensor = (dtype: string, shape: unknown, offsets: unknown) => ({ dtype, shape, data_offsets: offsets });
const refusal = (path: string) => readSafetensorsHeader(path).catch((error: unknown) => error);

async function expectRefusal(path: string, message: RegExp): Promise<void> {
  const error = await refusal(path);
  expect(error).toBeInstanceOf(FormatError);
  expect((error as FormatError).message).toMatch(message);
}

describe('writing and reading', () => {
  const values = Float32Array.of(0, -0, 1, -2.5, 2 ** -24, 2 ** -149, 65504, 0.1);

  test('gives F32 back bit for bit, with metadata', async () => {
    const path = join(folder, 'a.safetensors');
    await writeSafetensors(path, [{ name: 'x', shape: [2, 4], data: values }], {
      metadata: { made: 'here' },
    });
    const { entries, metadata } = await readSafetensorsHeader(path);
    const read = await readTensor(path, entries.get('x')!);
    expect(new Uint32Array(read.buffer)).toEqual(new Uint32Array(values.buffer));
    expect({ ...metadata }).toEqual({ format: 'pt', made: 'here' });
    expect(entries.get('x')!.start % 8).toBe(0);
  });

  test.each([
    ['F16', [0, 0x8000, 0x3c00, 0xc100, 1, 0, 0x7bff, 0x2e66]],
    ['BF16', [0, 0x8000, 0x3f80, 0xc020, 0x3380, 0, 0x4780, 0x3dcd]],
  ] as const)('stores %s as the nearest bit patterns', async (dtype, patterns) => {
    const path = join(folder, 'half.safetensors');
    await writeSafetensors(path, [{ name: 'x', shape: [8], data: values }], { dtype });
    const { entries } = await readSafetensorsHeader(path);
    const { start, end } = entries.get('x')!;
    const stored = new Uint16Array(Uint8Array.from(readFileSync(path).subarray(start, end)).buffer);
    expect([...stored]).toEqual(patterns);
    const read = await readTensor(path, entries.get('x')!);
    expect(read.slice(0, 4)).toEqual(values.slice(0, 4));
  });

  test('tells the hash and size of what it wrote', async () => {
    const path = join(folder, 'hashed.safetensors');
    const written = await writeSafetensors(path, [{ name: 'x', shape: [8], data: values }]);
    const bytes = readFileSync(path);
    expect(written).toEqual({
      sha256: createHash('sha256').update(bytes).digest('hex'),
      bytes: bytes.length,
    });
  });

  test('keeps scalars, empty tensors and tensors larger than one piece apart', async () => {
    const large = Float32Array.from({ length: 600_001 }, (_, i) => i);
    const path = join(folder, 'mixed.safetensors');
    await writeSafetensors(path, [
      { name: 'scalar', shape: [], data: Float32Array.of(7) },
      { name: 'empty', shape: [3, 0], data: new Float32Array() },
      { name: 'large', shape: [600_001], data: large },
      { name: 'ünïcode', shape: [1], data: Float32Array.of(9) },
    ]);
    const { entries } = await readSafetensorsHeader(path);
    const all = await Promise.all([...entries.values()].map((entry) => readTensor(path, entry)));
    expect(all.map((data) => data.length)).toEqual([1, 0, 600_001, 1]);
    expect([all[0][0], all[2][600_000], all[3][0]]).toEqual([7, 600_000, 9]);
  });

  test('reads into the middle of given memory without touching the rest', async () => {
    const path = join(folder, 'into.safetensors');
    await writeSafetensors(path, [{ name: 'x', shape: [2], data: Float32Array.of(3, 4) }], { dtype: 'BF16' });
    const { entries } = await readSafetensorsHeader(path);
    const memory = new Float32Array(4).fill(1);
    await readTensorInto(path, entries.get('x')!, memory.subarray(1, 3));
    expect([...memory]).toEqual([1, 3, 4, 1]);
    await expect(readTensorInto(path, entries.get('x')!, memory)).rejects.toBeInstanceOf(ShapeError);
  });

  test('refuses data that do not fill their shape, and a name twice', async () => {
    const path = join(folder, 'never.safetensors');
    const x = { name: 'x', shape: [3], data: new Float32Array(2) };
    await expect(writeSafetensors(path, [x])).rejects.toThrow('expected 3 values for [3], got 2');
    const one = { name: 'x', shape: [1], data: new Float32Array(1) };
    await expect(writeSafetensors(path, [one, one])).rejects.toThrow('every name once');
  });

  test('names a tensor whose data were cut off after the header was read', async () => {
    const path = join(folder, 'cut.safetensors');
    await writeSafetensors(path, [{ name: 'x', shape: [8], data: values }]);
    const { entries } = await readSafetensorsHeader(path);
    truncateSync(path, readFileSync(path).length - 4);
    await expect(readTensor(path, entries.get('x')!)).rejects.toThrow('tensor x');
    await expectRefusal(path, /32 bytes of tensor data, got 28/);
  });
});

describe('malformed headers', () => {
  test.each([0n, 1n, 100n, 100_000_001n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n])(
    'a length of %s is refused without allocating',
    async (claimed) => {
      const before = process.memoryUsage().arrayBuffers;
      await expectRefusal(craft('{}', 0, claimed), /header of 2 to 2 bytes/);
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
    },
  );

  test('a file shorter than the length itself, and no file', async () => {
    const path = join(folder, 'short.safetensors');
    writeFileSync(path, 'abc');
    await expectRefusal(path, /eight bytes/);
    await expectRefusal(join(folder, 'absent.safetensors'), /no such file/);
  });

  test.each([
    ['not an object', '["x"]', /starts with \{/],
    ['a leading space', ' {}', /starts with \{/],
    ['invalid UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d), /UTF-8/],
    ['not JSON', '{"x":', /JSON/],
    ['a tensor twice', '{"x":{},"x":{}}', /x twice/],
    ['a tensor twice, once escaped', '{"x":{},"\\u0078":{}}', /x twice/],
    ['a key of a tensor twice', '{"x":{"dtype":"F32","dtype":"F16"}}', /dtype twice/],
    ['metadata that are not strings', '{"__metadata__":{"a":1}}', /__metadata__\.a to be a string/],
    ['metadata that are not an object', '{"__metadata__":"a"}', /__metadata__ to be an object/],
    ['a tensor that is not an object', '{"x":7}', /tensor x/],
    [
      '100 000 nested lists',
      `{"x":${'['.repeat(1e5)}${']'.repeat(1e5)}}`,
      /tensor x: expected an object, got a list/,
    ],
  ])('%s', async (_, header, message) => {
    await expectRefusal(craft(header), message);
  });

  test.each([
    ['an end before its begin', { x: tensor('F32', [1], [4, 0]) }, 4, /begin ≤ end/],
    ['negative offsets', { x: tensor('F32', [1], [-4, 0]) }, 4, /data_offsets/],
    ['an end beyond the file', { x: tensor('F32', [2], [0, 8]) }, 4, /8 bytes of tensor data, got 4/],
    ['bytes after the last tensor', { x: tensor('F32', [1], [0, 4]) }, 8, /4 bytes of tensor data, got 8/],
    [
      'a hole',
      { x: tensor('F32', [1], [0, 4]), y: tensor('F32', [1], [8, 12]) },
      12,
      /tensor y: expected data at 4/,
    ],
    [
      'an overlap',
      { x: tensor('F32', [2], [0, 8]), y: tensor('F32', [1], [4, 8]) },
      8,
      /tensor y: expected data at 8/,
    ],
    ['a shape that needs other bytes', { x: tensor('F32', [3], [0, 8]) }, 8, /12 bytes for F32 \[3\], got 8/],
    ['a product past 2⁶⁴', { x: tensor('F32', [2 ** 32, 2 ** 32], [0, 0]) }, 0, /73786976294838206464 bytes/],
    ['a fractional size', { x: tensor('F32', [0.5], [0, 2]) }, 2, /shape of whole numbers/],
    ['a size past 2⁵³', { x: tensor('F32', [2 ** 53], [0, 4]) }, 4, /shape of whole numbers/],
    ['an 8-bit float', { x: tensor('F8_E4M3', [4], [0, 4]) }, 4, /F32, F16, BF16, got F8_E4M3/],
    ['a type from the prototype', { x: tensor('constructor', [4], [0, 4]) }, 4, /got constructor/],
    ['no type', { x: { shape: [1], data_offsets: [0, 4] } }, 4, /a dtype/],
  ])('%s', async (_, header, dataBytes, message) => {
    await expectRefusal(craft(JSON.stringify(header), dataBytes), message);
  });

  test.each([
    ['empty tensors', `{${Array.from({ length: 3e5 }, (_, i) => `"${i}":{"shape":[0,0,0]}`).join(',')}}`],
    ['sizes in a shape', `{"x":{"dtype":"F32","shape":[${'1,'.repeat(2e7)}1],"data_offsets":[0,4]}}`],
    ['nested lists', `{"x":${'['.repeat(2e7)}`],
  ])('too many %s are refused before they are parsed, in little memory', async (_, header) => {
    const path = craft(header);
    const before = process.resourceUsage().maxRSS;
    await expectRefusal(path, /a header of at most 1000000 values, got \d{7,8}\.$/);
    const grown = (process.resourceUsage().maxRSS - before) * 1024;
    expect(grown).toBeLessThan(1.5 * header.length + 2 ** 24);
  });

  test('a tensor called __proto__ is a tensor like any other', async () => {
    const path = craft('{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4);
    expect([...(await readSafetensorsHeader(path)).entries.keys()]).toEqual(['__proto__']);
  });

  test('a skipped tensor may have any type, but its bytes still count', async () => {
    const header = { mask: tensor('BOOL', [4], [0, 4]), x: tensor('F32', [1], [4, 8]) };
    const skip = (name: string) => name === 'mask';
    const { entries } = await readSafetensorsHeader(craft(JSON.stringify(header), 8), { skip });
    expect([...entries.keys()]).toEqual(['x']);
    await expect(readSafetensorsHeader(craft(JSON.stringify(header), 9), { skip })).rejects.toThrow(
      FormatError,
    );
  });

  test('a mutated file is read or refused with a FormatError, never anything else', async () => {
    const path = join(folder, 'seed.safetensors');
    await writeSafetensors(path, [
      { name: 'a', shape: [2, 2], data: new Float32Array(4) },
      { name: 'b', shape: [3], data: new Float32Array(3) },
    ]);
    const original = readFileSync(path);
    const mutation = fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), {
      minLength: 1,
      maxLength: 6,
    });
    const mutated = join(folder, 'mutated.safetensors');
    await fc.assert(
      fc.asyncProperty(mutation, fc.nat(original.length), async (changes, cut) => {
        const bytes = Buffer.from(original.subarray(0, original.length - (cut % 7 === 0 ? cut : 0)));
        for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
        writeFileSync(mutated, bytes);
        const outcome = await refusal(mutated);
        return outcome instanceof FormatError || !(outcome instanceof Error);
      }),
      { numRuns: 400 },
    );
  });
});
