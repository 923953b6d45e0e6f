// Bytes as the Protocol Buffers encoding guide states them, and values at the edges of a varint.

import { expect, it } from 'vitest';
import { ProtobufWriter } from './protobuf.ts';

const hex = (writer: ProtobufWriter): string => Buffer.from(writer.finish()).toString('hex');
const integer = (value: number | bigint): string => hex(new ProtobufWriter().integer(1, value));

it("writes the encoding guide's examples", () => {
  expect(integer(150)).toBe('089601');
  expect(hex(new ProtobufWriter().string(2, 'testing'))).toBe('120774657374696e67');
  expect(hex(new ProtobufWriter().message(3, (inner) => inner.integer(1, 150)))).toBe('1a03089601');
});

it('puts the length of a message before it, in as many bytes as it takes', () => {
  const outer = new ProtobufWriter().message(1, (inner) =>
    inner.message(2, (innermost) => innermost.bytes(3, new Uint8Array(200).fill(7))).integer(4, 1),
  );
  expect(outer.finish().length).toBe(3 + (3 + (3 + 200)) + 2);
  expect(hex(outer)).toBe(`0ad00112cb011ac801${'07'.repeat(200)}2001`);
});

it('takes a byte for every seven bits', () => {
  expect(integer(0)).toBe('0800');
  expect(integer(127)).toBe('087f');
  expect(integer(128)).toBe('088001');
  expect(integer(16383)).toBe('08ff7f');
  expect(integer(16384)).toBe('08808001');
  expect(integer(2 ** 32)).toBe('088080808010');
  expect(integer(2n ** 63n - 1n)).toBe('08ffffffffffffffff7f');
});

it('takes ten bytes for a negative number', () => {
  expect(integer(-1)).toBe('08ffffffffffffffffff01');
  expect(integer(-(2n ** 63n))).toBe('0880808080808080808001');
});

it('writes a field number above 15 in two bytes', () => {
  expect(hex(new ProtobufWriter().integer(20, 7))).toBe('a00107');
});

it('writes a float as its four little-endian bytes', () => {
  expect(hex(new ProtobufWriter().float(2, 1.5))).toBe('150000c03f');
  expect(hex(new ProtobufWriter().float(2, -0))).toBe('1500000080');
});

it('counts the bytes of a string, not its letters', () => {
  expect(hex(new ProtobufWriter().string(1, '말'))).toBe('0a03eba790');
  expect(hex(new ProtobufWriter().string(1, ''))).toBe('0a00');
});

it('grows past its first buffer', () => {
  const long = new Uint8Array(5000).fill(7);
  const written = new ProtobufWriter().integer(1, 1).bytes(2, long).integer(3, 1).finish();
  expect(written.length).toBe(2 + 3 + 5000 + 2);
  expect(Buffer.from(written.subarray(0, 6)).toString('hex')).toBe('080112882707');
  expect(Buffer.from(written.subarray(-3)).toString('hex')).toBe('071801');
});
