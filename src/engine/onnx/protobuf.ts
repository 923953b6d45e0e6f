// Protocol Buffers wire format, writing only: as much of it as an ONNX model needs.

const encoder = new TextEncoder();

export class ProtobufWriter {
  private buffer = new Uint8Array(1024);
  private length = 0;

  /** Field of wire type 0. Negative values take ten bytes, as int64 does. */
  integer(field: number, value: number | bigint): this {
    this.key(field, 0);
    if (typeof value === 'bigint' || !(value >= 0) || !Number.isSafeInteger(value))
      this.largeVarint(BigInt.asUintN(64, BigInt(value)));
    else this.varint(value);
    return this;
  }

  float(field: number, value: number): this {
    this.key(field, 5);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.append(bytes);
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, encoder.encode(value));
  }

  bytes(field: number, value: Uint8Array): this {
    this.key(field, 2);
    this.varint(value.length);
    this.append(value);
    return this;
  }

  /**
   * A message within this one: `write` adds its fields. Their length belongs before them and is known afterwards, so
   * they move by as many bytes as it takes, which writing it behind them tells.
   */
  message(field: number, write: (inner: ProtobufWriter) => void): this {
    this.key(field, 2);
    const start = this.length;
    write(this);
    const size = this.length - start;
    this.varint(size);
    const room = this.length - start - size;
    this.buffer.copyWithin(start + room, start, start + size);
    this.length = start;
    this.varint(size);
    this.length = start + room + size;
    return this;
  }

  finish(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  private key(field: number, wireType: number): void {
    this.varint((field << 3) | wireType);
  }

  /** @param value a non-negative safe integer */
  private varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  private largeVarint(value: bigint): void {
    let rest = value;
    while (rest > 0x7fn) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.byte(Number(rest));
  }

  private byte(value: number): void {
    this.reserve(1);
    this.buffer[this.length++] = value;
  }

  private append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  private reserve(count: number): void {
    if (this.length + count <= this.buffer.length) return;
    const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.length + count));
    larger.set(this.buffer.subarray(0, this.length));
    this.buffer = larger;
  }
}
