import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type JsonRow, type RowFault, readRows } from './read.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-read-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let written = 0;
function file(content: string | Buffer, name = `data-${written++}.jsonl`): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function read(
  path: string,
  options: { strict?: boolean; maxRowBytes?: number } = {},
): Promise<{ rows: JsonRow[]; faults: RowFault[] }> {
  const rows: JsonRow[] = [];
  const faults: RowFault[] = [];
  for await (const row of readRows(path, { ...options, onFault: (fault) => faults.push(fault) })) {
    rows.push(row);
  }
  return { rows, faults };
}

describe('lines', () => {
  it('gives each row its line and the byte offset where it begins', async () => {
    const { rows, faults } = await read(file('{"a":"한"}\n\n  {"a":2}\r\n{"a":3}'));
    expect(faults).toEqual([]);
    expect(rows).toEqual([
      { value: { a: '한' }, line: 1, offset: 0 },
      { value: { a: 2 }, line: 3, offset: 13 },
      { value: { a: 3 }, line: 4, offset: 24 },
    ]);
  });

  it('sets a broken row aside with file, line, offset, reason and text, and reads on', async () => {
    const path = file('{"a":1}\n{"a":\n{"a":3}\n');
    const { rows, faults } = await read(path);
    expect(rows.map(({ value }) => value)).toEqual([{ a: 1 }, { a: 3 }]);
    expect(faults).toMatchObject([{ file: path, line: 2, offset: 8, raw: '{"a":' }]);
    expect(faults[0].reason).toMatch(/^not JSON: /);
  });

  it('sets a truncated last line aside and takes a whole one without a newline', async () => {
    expect(await read(file('{"a":1}\n{"a":"cut'))).toMatchObject({
      rows: [{ line: 1 }],
      faults: [{ line: 2, offset: 8 }],
    });
    expect((await read(file('{"a":1}\n{"a":2}'))).rows).toHaveLength(2);
  });

  it('stops at the first fault when strict, after reporting it', async () => {
    const path = file('{"a":1}\nnonsense\n{"a":3}\n');
    const faults: RowFault[] = [];
    const reading = async () => {
      for await (const _ of readRows(path, { strict: true, onFault: (fault) => faults.push(fault) }));
    };
    await expect(reading()).rejects.toThrow(`${path}:2: expected a usable row (--strict), got not JSON`);
    expect(faults.map(({ line }) => line)).toEqual([2]);
  });

  it('has no rows and no faults in an empty or blank file', async () => {
    expect(await read(file(''))).toEqual({ rows: [], faults: [] });
    expect(await read(file('\n \r\n\t\n'))).toEqual({ rows: [], faults: [] });
  });

  it('reads rows that reach over chunk borders', async () => {
    const texts = Array.from({ length: 40 }, (_, i) => String(i).repeat(9000 + 977 * i));
    const lines = texts.map((text) => JSON.stringify({ text }));
    const { rows } = await read(file(lines.join('\n')));
    expect(rows.map(({ value }) => (value as { text: string }).text)).toEqual(texts);
    expect(rows[39].offset).toBe(lines.slice(0, 39).reduce((sum, line) => sum + line.length + 1, 0));
  });
});

describe('encoding', () => {
  it('reads past a byte order mark and counts its bytes', async () => {
    expect((await read(file('\ufeff{"a":1}'))).rows).toEqual([{ value: { a: 1 }, line: 1, offset: 3 }]);
  });

  it('names the byte of invalid UTF-8', async () => {
    const bad = Buffer.concat([Buffer.from('{"a":1}\n{"a":"한'), Buffer.from([0xff]), Buffer.from('"}\n')]);
    expect((await read(file(bad))).faults).toMatchObject([
      { line: 2, offset: 8, reason: 'invalid UTF-8 at byte 17' },
    ]);
  });

  it('names the byte of a NUL', async () => {
    const { rows, faults } = await read(file('{"a":1}\n{"a":"x\0"}\n'));
    expect(rows).toHaveLength(1);
    expect(faults[0].reason).toBe('a NUL byte at byte 15');
  });

  it('refuses lone surrogates, in values and keys, and keeps pairs', async () => {
    const { rows, faults } = await read(
      file('{"a":"\\ud83d\\ude00"}\n{"a":"\\ud83d"}\n{"a":[{"\\udc00":1}]}\n'),
    );
    expect(rows.map(({ value }) => value)).toEqual([{ a: '😀' }]);
    expect(faults.map(({ line, reason }) => [line, reason.slice(0, 16)])).toEqual([
      [2, 'a lone surrogate'],
      [3, 'a lone surrogate'],
    ]);
  });

  it('refuses a file that is UTF-16 by name', async () => {
    const bytes = Buffer.from('\ufeff{"a":1}', 'utf16le');
    await expect(read(file(bytes))).rejects.toThrow('expected UTF-8 text, got UTF-16');
  });

  it('says that a missing file is missing and a folder is a folder', async () => {
    await expect(read(join(folder, 'nothing.jsonl'))).rejects.toThrow(
      'expected a data file, got no such file',
    );
    await expect(read(folder)).rejects.toThrow('expected a data file, got a folder');
  });
});

describe('hostile rows', () => {
  it('passes over a line beyond the cap and goes on after it', async () => {
    const path = file(`{"a":1}\n{"a":"${'x'.repeat(3_000_000)}"}\n{"a":3}\n`);
    const { rows, faults } = await read(path, { maxRowBytes: 1000 });
    expect(rows.map(({ line }) => line)).toEqual([1, 3]);
    expect(faults).toMatchObject([{ line: 2, offset: 8 }]);
    expect(faults[0].reason).toBe('a row of 3000008 bytes, over the limit of 1000');
    expect(faults[0].raw).toHaveLength(200);
  });

  it('refuses 100,000 levels of nesting without overflowing the stack', async () => {
    const deep = '['.repeat(100_000);
    const { faults } = await read(file(`{"a":${deep}${']'.repeat(100_000)}}\n{"a":"${deep}"}\n`));
    expect(faults.map(({ line, reason }) => [line, reason])).toEqual([[1, 'nested deeper than 100 levels']]);
  });

  it('leaves prototypes alone', async () => {
    const { rows } = await read(
      file('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}\n'),
    );
    expect(rows).toHaveLength(1);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    expect((rows[0].value as { polluted?: number }).polluted).toBeUndefined();
  });

  it.each(['{"a":NaN}', '{"a":Infinity}', '{"a":1,}', "{'a':1}"])('refuses %s', async (row) => {
    expect((await read(file(row))).faults).toHaveLength(1);
  });

  it('takes the last of two equal keys, and refuses them when strict', async () => {
    const path = file('{"a":{"b":1,"c":"}\\"{","b":2}}\n');
    expect((await read(path)).rows[0].value).toEqual({ a: { b: 2, c: '}"{' } });
    await expect(read(path, { strict: true })).rejects.toThrow('the key "b" is there twice');
    const apart = file('{"a":{"b":1},"c":[{"b":"b"},{"b":2}]}\n');
    expect((await read(apart, { strict: true })).rows).toHaveLength(1);
  });

  it('gives back every JSON value that JSON.stringify wrote, and survives any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.jsonValue({ maxDepth: 3 }), { maxLength: 5 }), async (values) => {
        const objects = values.map((value) => ({ value }));
        const lines = objects.map((value) => JSON.stringify(value));
        const expected = lines.map((line) => JSON.parse(line));
        for (const text of [lines.join('\n'), JSON.stringify(objects), JSON.stringify(objects, null, 1)]) {
          const { rows, faults } = await read(file(text, 'fuzz.json'));
          const refused = faults.filter(({ reason }) => !reason.startsWith('a lone surrogate'));
          expect(refused).toEqual([]);
          if (faults.length === 0) expect(rows.map(({ value }) => value)).toEqual(expected);
        }
      }),
      { numRuns: 40, seed: 1 },
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (bytes) => {
        await read(file(Buffer.concat([Buffer.from('[{'), bytes]), 'fuzz.json'));
        await read(file(Buffer.concat([Buffer.from('{"'), bytes]), 'fuzz.json'));
      }),
      { numRuns: 100, seed: 1 },
    );
  });
});

describe('one JSON array', () => {
  it("reads Alpaca's own shape with each element's line and offset", async () => {
    const text = '[\n    {\n        "output": "a ] , } \\" b"\n    },\n    {"output": [1, {"x": 2}]}\n]\n';
    const { rows, faults } = await read(file(text));
    expect(faults).toEqual([]);
    expect(rows).toEqual([
      { value: { output: 'a ] , } " b' }, line: 2, offset: 6 },
      { value: { output: [1, { x: 2 }] }, line: 5, offset: text.indexOf('{"output": [') },
    ]);
  });

  it('sets a broken element aside and reads on', async () => {
    const { rows, faults } = await read(file('[{"a":1},\n{"a":NaN},\n{"a":3}]'));
    expect(rows.map(({ value }) => value)).toEqual([{ a: 1 }, { a: 3 }]);
    expect(faults).toMatchObject([{ line: 2, offset: 10 }]);
  });

  it('keeps the rows of a truncated array and reports its end', async () => {
    const { rows, faults } = await read(file('[{"a":1},\n{"a":2'));
    expect(rows).toHaveLength(1);
    expect(faults.map(({ line, reason }) => [line, reason.slice(0, 24)])).toEqual([
      [2, expect.stringMatching(/^not JSON/)],
      [2, 'the file ends before its'],
    ]);
  });

  it('reports what stands after the array, and takes what is a row', async () => {
    const { rows, faults } = await read(file('[{"a":1}]\n{"a":2}\nend\n'));
    expect(rows).toHaveLength(2);
    expect(faults).toMatchObject([{ line: 3, reason: expect.stringMatching(/^not JSON/) }]);
  });

  it('passes over an element beyond the cap', async () => {
    const { rows, faults } = await read(file(`[{"a":1},{"a":"${'x'.repeat(5000)}"},{"a":3}]`), {
      maxRowBytes: 1000,
    });
    expect(rows).toHaveLength(2);
    expect(faults[0].reason).toMatch(/over the limit of 1000/);
  });

  it('has no rows and no faults when it is empty', async () => {
    expect(await read(file('[ ]\n'))).toEqual({ rows: [], faults: [] });
  });
});
