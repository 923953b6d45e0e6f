// Rewrites a WebAssembly module so that it counts its own work: each turn of a loop costs one unit of fuel, each bulk
// copy one for 16 bytes, and a module without fuel traps. What is counted is what the program does, so a program runs
// out at the same place on every machine, whichever built-in function it is in.
//
// Format: https://webassembly.github.io/spec/core/binary; of its instructions, those without vectors and exceptions.

/** The exported global that holds what fuel is left, an i32; 2^31 − 1 at first, below 0 when it ran out. */
export const fuelExport = 'fuel';

const section = { type: 1, import: 2, function: 3, global: 6, export: 7, code: 10 };
const header = 8;
const i32 = 0x7f;
const most = [0xff, 0xff, 0xff, 0xff, 0x07];

/** @throws Error for a module with instructions that are not known here */
export function meterWork(module: Uint8Array): Uint8Array<ArrayBuffer> {
  const sections = readSections(module);
  const parameters = parametersOfTypes(sections.get(section.type)!);
  const imported = sections.get(section.import);
  const fuel =
    (imported ? importedGlobals(imported) : 0) + new Reader(sections.get(section.global)!).number();
  const functions = new Reader(sections.get(section.function)!).vector((reader) => reader.number());
  sections.set(section.global, withItem(sections.get(section.global)!, [i32, 1, 0x41, ...most, 0x0b]));
  const name = [...new TextEncoder().encode(fuelExport)];
  const exported = [...unsigned(name.length), ...name, 3, ...unsigned(fuel)];
  sections.set(section.export, withItem(sections.get(section.export)!, exported));
  const code = new Reader(sections.get(section.code)!);
  const bodies = new Bytes(unsigned(code.number()));
  for (const type of functions) {
    const body = meteredBody(code.bytes(code.number()), parameters[type], fuel);
    bodies.add(unsigned(body.length)).add(body);
  }
  sections.set(section.code, bodies.all());
  const out = new Bytes(module.subarray(0, header));
  for (const [id, content] of sections) out.add([id]).add(unsigned(content.length)).add(content);
  return out.all();
}

/** By id, in their order; sections that running does not need are skipped. */
function readSections(module: Uint8Array): Map<number, Uint8Array> {
  const sections = new Map<number, Uint8Array>();
  const reader = new Reader(module, header);
  while (!reader.isAtEnd()) {
    const id = reader.byte();
    const content = reader.bytes(reader.number());
    if (id !== 0) sections.set(id, content);
  }
  return sections;
}

function parametersOfTypes(content: Uint8Array): number[] {
  return new Reader(content).vector((reader) => {
    reader.byte();
    const parameters = reader.vector(() => reader.byte()).length;
    reader.vector(() => reader.byte());
    return parameters;
  });
}

function importedGlobals(content: Uint8Array): number {
  const kinds = new Reader(content).vector((reader) => {
    reader.bytes(reader.number());
    reader.bytes(reader.number());
    const kind = reader.byte();
    if (kind === 0) reader.number();
    else if (kind === 3) reader.bytes(2);
    else {
      if (kind === 1) reader.byte();
      const hasMaximum = reader.byte() & 1;
      reader.number();
      if (hasMaximum) reader.number();
    }
    return kind;
  });
  return kinds.filter((kind) => kind === 3).length;
}

function withItem(vector: Uint8Array, item: readonly number[]): Uint8Array {
  const reader = new Reader(vector);
  const count = reader.number();
  return new Bytes(unsigned(count + 1)).add(vector.subarray(reader.position)).add(item).all();
}

/** A function's locals and instructions, with one more local, which holds how long a copy is. */
function meteredBody(body: Uint8Array, parameters: number, fuel: number): Uint8Array {
  const reader = new Reader(body);
  let locals = parameters;
  const groups = reader.number();
  const groupsStart = reader.position;
  for (let i = 0; i < groups; i++) {
    locals += reader.number();
    reader.byte();
  }
  const out = new Bytes(unsigned(groups + 1)).add(body.subarray(groupsStart, reader.position)).add([1, i32]);
  const global = unsigned(fuel);
  const local = unsigned(locals);
  // fuel −= cost; if (fuel < 0) unreachable
  const pay = (cost: readonly number[]) => [
    ...[0x23, ...global, ...cost, 0x6b, 0x24, ...global],
    ...[0x23, ...global, 0x41, 0, 0x48, 0x04, 0x40, 0x00, 0x0b],
  ];
  const turn = pay([0x41, 1]);
  const copy = [0x22, ...local, ...pay([0x20, ...local, 0x41, 4, 0x76])];
  while (!reader.isAtEnd()) {
    const start = reader.position;
    const instruction = skipInstruction(reader);
    const bytes = body.subarray(start, reader.position);
    if (instruction === 'copy') out.add(copy).add(bytes);
    else out.add(bytes);
    if (instruction === 'loop') out.add(turn);
  }
  return out.all();
}

/** Moves past one instruction; says which of those that are metered it is. */
function skipInstruction(reader: Reader): 'loop' | 'copy' | undefined {
  const code = reader.byte();
  if (code === 0xfc) return skipBulk(reader);
  if (code === 0x0e) {
    reader.vector(() => reader.number());
    reader.number();
  } else if (code === 0x1c) reader.vector(() => reader.byte());
  else if (code === 0x43) reader.bytes(4);
  else if (code === 0x44) reader.bytes(8);
  else if (code === 0x11 || (code >= 0x28 && code <= 0x3e)) {
    reader.number();
    reader.number();
  } else if (oneImmediate.has(code)) reader.number();
  else if (!isPlain(code)) throw new Error(`unknown WebAssembly instruction 0x${code.toString(16)}`);
  return code === 0x03 ? 'loop' : undefined;
}

/** block, loop, if, br, br_if, call, local.*, global.*, table.get and set, memory.size and grow, const, ref.* */
const oneImmediate = new Set([
  ...[0x02, 0x03, 0x04, 0x0c, 0x0d, 0x10, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26],
  ...[0x3f, 0x40, 0x41, 0x42, 0xd0, 0xd2],
]);

/** unreachable, nop, else, end, return, drop, select, ref.is_null and arithmetic */
function isPlain(code: number): boolean {
  const others = [0x00, 0x01, 0x05, 0x0b, 0x0f, 0x1a, 0x1b, 0xd1];
  return (code >= 0x45 && code <= 0xc4) || others.includes(code);
}

function skipBulk(reader: Reader): 'copy' | undefined {
  const code = reader.number();
  // Conversions have no immediates, memory.copy has two, memory.fill one.
  if (code > 11 || code === 8 || code === 9) throw new Error(`unknown WebAssembly instruction 0xfc ${code}`);
  if (code < 8) return undefined;
  reader.bytes(code === 10 ? 2 : 1);
  return 'copy';
}

class Reader {
  position: number;
  private readonly content: Uint8Array;

  constructor(content: Uint8Array, position = 0) {
    [this.content, this.position] = [content, position];
  }

  isAtEnd(): boolean {
    return this.position >= this.content.length;
  }

  byte(): number {
    return this.content[this.position++];
  }

  bytes(count: number): Uint8Array {
    this.position += count;
    return this.content.subarray(this.position - count, this.position);
  }

  /** LEB128; of signed and long ones only the length is right. */
  number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  }

  vector<T>(read: (reader: Reader) => T): T[] {
    return Array.from({ length: this.number() }, () => read(this));
  }
}

class Bytes {
  private readonly parts: ArrayLike<number>[] = [];

  constructor(first: ArrayLike<number>) {
    this.parts.push(first);
  }

  add(part: ArrayLike<number>): this {
    this.parts.push(part);
    return this;
  }

  all(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of this.parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
}
