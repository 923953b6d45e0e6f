// Data files in the forms that people have them in.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type JsonRow, type RowFault, readRows } from './read.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-forms-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let written = 0;
async function read(
  content: string | Buffer,
  name = `data-${written++}`,
): Promise<{ rows: JsonRow[]; faults: RowFault[] }> {
  const path = join(folder, name);
  writeFileSync(path, content);
  const rows: JsonRow[] = [];
  const faults: RowFault[] = [];
  for await (const row of readRows(path, { onFault: (fault) => faults.push(fault), maxRowBytes: 1e6 })) {
    rows.push(row);
  }
  return { rows, faults };
}

const records = [
  { instruction: 'a "b" ] }', input: '', output: '한\nc' },
  { instruction: 'd', input: '{[', output: 'e\\' },
  { instruction: 'f', input: '', output: 'g' },
];
const spread = records.map((record) => JSON.stringify(record, null, 2));
const array = JSON.stringify(records);

/** A frame of one block that is not compressed, as the format allows. */
function zstd(text: string): Buffer {
  const content = Buffer.from(text);
  const header = Buffer.alloc(12);
  header.writeUInt32LE(0xfd2fb528, 0);
  // One segment; the content's size in four bytes.
  header.writeUInt8(0b10100000, 4);
  header.writeUInt32LE(content.length, 5);
  header.writeUIntLE((content.length << 3) | 1, 9, 3);
  return Buffer.concat([header, content]);
}

describe('rows are found in', () => {
  it.each([
    ['objects over several lines', spread.join('\n'), [1, 6, 11]],
    ['one object over several lines', spread[0], [1]],
    [
      'a key and its value on two lines',
      `{ "instruction":\n${JSON.stringify(records[0].instruction)},\n${spread[0].slice(spread[0].indexOf('"input"'))}`,
      [1],
    ],
    ['arrays one after the other', `${array}\n${array}`, [1, 1, 1, 2, 2, 2]],
    ['an array a line', `${array}\r\n${array}\r\n`, [1, 1, 1, 2, 2, 2]],
    [
      'an object around an array',
      `{"version": "1", "n": 3, "data": ${JSON.stringify(records, null, 2)}, "end": null}`,
      [2, 7, 12],
    ],
    ['such an object in one line', `{"version":"1.0","rows":${array}}\n`, [1, 1, 1]],
    ['a line of them each', records.map((record) => JSON.stringify(record)).join('\n'), [1, 2, 3]],
  ])('%s', async (_, text, lines) => {
    for (const bytes of [Buffer.from(text), gzipSync(text), zstd(text)]) {
      const { rows, faults } = await read(bytes);
      expect(faults).toEqual([]);
      expect(rows.map(({ value }) => value)).toEqual(lines.map((_, i) => records[i % 3]));
      expect(rows.map(({ line }) => line)).toEqual(lines);
      for (const { offset } of rows) expect(Buffer.from(text)[offset]).toBe('{'.charCodeAt(0));
    }
  });

  it('a row that has a list of its own under data', async () => {
    const row = { instruction: 'i', output: 'o', data: [1, 2] };
    expect((await read(JSON.stringify(row))).rows).toMatchObject([{ value: row }]);
  });

  it('lines of which the first is broken', async () => {
    const { rows, faults } = await read('{"a": 1\n{"a": 2}\n{"a": 3}\n');
    expect(rows.map(({ line }) => line)).toEqual([2, 3]);
    expect(faults).toMatchObject([{ line: 1 }]);
  });

  it('lines of which the first two are broken', async () => {
    const { rows, faults } = await read('{"a": "x\n{"a": "y\n{"a": 3}\n');
    expect(rows.map(({ line }) => line)).toEqual([3]);
    expect(faults).toHaveLength(2);
  });

  it('an object around an array, and nothing is lost that follows', async () => {
    const line = '{"data": [{"a": 1}]}';
    expect((await read(`${line}\n${line}\n`)).rows.map(({ value }) => value)).toEqual([
      { data: [{ a: 1 }] },
      { data: [{ a: 1 }] },
    ]);
    const { rows, faults } = await read('{"train": [{"a": 1}],\n"test": [{"a": 2}]}');
    expect(rows.map(({ value }) => value)).toEqual([{ a: 1 }]);
    expect(faults).toMatchObject([{ reason: expect.stringMatching(/^more than plain values follows/) }]);
  });

  it('cells of a table, which are texts unless a column or turns ask for lists', async () => {
    const turn = '{""from"":""gpt"",""value"":""a""}';
    const text = `prompt,chosen,rejected,strength\n"[1, 3]","${turn}","[${turn}]",2\n`;
    const { rows } = await read(text);
    const answer = { from: 'gpt', value: 'a' };
    expect(rows.map(({ value }) => value)).toEqual([
      { prompt: '[1, 3]', chosen: answer, rejected: [answer], strength: '2' },
    ]);
    const python = await read(`prompt,completion\n"[{'role': 'user'}]",a\nb,c\n`);
    expect(python.rows).toHaveLength(1);
    expect(python.faults).toMatchObject([
      { line: 2, reason: expect.stringMatching(/^prompt: expected JSON/) },
    ]);
  });

  it('a table, its places those of the lines', async () => {
    const text =
      '\ufeffinstruction, output,label\r\n"two\r\nlines","say ""x"", y",1\r\n\r\ntoo,many,1,1\r\nc,d,0\r\n';
    const { rows, faults } = await read(text);
    expect(rows).toEqual([
      { value: { instruction: 'two\r\nlines', output: 'say "x", y', label: '1' }, line: 2, offset: 30 },
      {
        value: { instruction: 'c', output: 'd', label: '0' },
        line: 6,
        offset: expect.any(Number),
      },
    ]);
    expect(faults).toMatchObject([{ line: 5, reason: expect.stringMatching(/^not a row of this table/) }]);
  });

  it('tables with other delimiters, and lists in their cells', async () => {
    const turns = [{ role: 'user', content: 'q' }];
    const cell = `"${JSON.stringify(turns).replaceAll('"', '""')}"`;
    const expected = [{ messages: turns, id: '[x]' }];
    for (const delimiter of [',', ';', '\t']) {
      const { rows } = await read(`${['messages', 'id'].join(delimiter)}\n${cell}${delimiter}[x]`);
      expect(rows.map(({ value }) => value)).toEqual(expected);
    }
    expect((await read('question\nwhat?\n', 'one-column.csv')).rows).toMatchObject([
      { value: { question: 'what?' } },
    ]);
  });

  it('Parquet, by row groups', async () => {
    const conversations = [[{ role: 'user', content: 'q' }], [{ role: 'user', content: 'r' }], []];
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: 'output', data: ['한', 'b', 'c'], type: 'STRING' },
        { name: 'n', data: [1n, 2n, 3n], type: 'INT64' },
        { name: 'messages', data: conversations, type: 'JSON' },
      ],
      rowGroupSize: 2,
    });
    const { rows } = await read(Buffer.from(buffer));
    expect(rows).toEqual([
      { value: { output: '한', n: 1, messages: conversations[0] }, line: 1, offset: 0 },
      { value: { output: 'b', n: 2, messages: conversations[1] }, line: 2, offset: 0 },
      { value: { output: 'c', n: 3, messages: conversations[2] }, line: 3, offset: 0 },
    ]);
  });
});

describe('a file that cannot be read is named for what it is', () => {
  it.each([
    ['whole gzip', gzipSync(array).subarray(0, 40)],
    ['whole gzip', Buffer.concat([gzipSync(array).subarray(0, 20), Buffer.alloc(30, 7)])],
    ['whole zstd', zstd(array).subarray(0, 60)],
    ['a whole Parquet file', Buffer.from('PAR1....nothing at all')],
    [
      'UTF-8 text, got a Git LFS pointer',
      Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\n'),
    ],
    ['UTF-8 text, got a zip archive', Buffer.from('PK\u0003\u0004....')],
    ['UTF-8 text, got other bytes', Buffer.from('prompt,completion\ncaf\xe9,b\n', 'latin1')],
    ['text, got a NUL byte', Buffer.from('prompt,completion\na\0,b\n')],
    ['rows of at most 1000000 bytes', Buffer.from(`prompt,completion\n"${'x\n'.repeat(600_000)}`)],
    ['whole zstd, got a window of', Buffer.from('28b52ffd0090ffff', 'hex')],
    ['columns of different names, got output twice', Buffer.from('instruction,output,output\na,b,c\n')],
  ])('%s', async (expected, bytes) => {
    await expect(read(bytes)).rejects.toThrow(`expected ${expected}`);
  });

  it('a small file that unpacks to a great one', async () => {
    const bomb = gzipSync(Buffer.alloc(300e6, ' '));
    expect(bomb.length).toBeLessThan(1e6);
    await expect(read(bomb)).rejects.toThrow(
      'expected whole gzip, got one that unpacks to more than 200 times its size',
    );
  });

  it('or survives, whatever its bytes are', async () => {
    const starts = ['PAR1', '(\xb5/\xfd', '\x1f\x8b\x08', 'prompt,completion\n"', '{\n "data": [{', '[[{'];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 80 }), async (start, bytes) => {
        await read(Buffer.concat([Buffer.from(start, 'latin1'), bytes]), 'fuzz').catch((error) => {
          expect(error.name).toMatch(/^(FormatError|UserError)$/);
        });
      }),
      { numRuns: 300, seed: 1 },
    );
  });
});
