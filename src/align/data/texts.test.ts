import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainTokenizer } from '../../language/text/train.ts';
import type { RowFault } from './read.ts';
import { readTexts, type TextPiece, tokenizeTexts } from './texts.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-texts-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function read(
  name: string,
  content: string | Buffer,
  pieceBytes?: number,
): Promise<{ pieces: TextPiece[]; documents: string[]; faults: RowFault[] }> {
  const path = join(folder, name);
  writeFileSync(path, content);
  const faults: RowFault[] = [];
  const pieces: TextPiece[] = [];
  for await (const piece of readTexts(path, { pieceBytes, onFault: (fault) => faults.push(fault) })) {
    pieces.push(piece);
  }
  const documents = [''];
  for (const { text, endsDocument } of pieces) {
    documents[documents.length - 1] += text;
    if (endsDocument) documents.push('');
  }
  expect(documents.pop()).toBe('');
  return { pieces, documents, faults };
}

describe('readTexts', () => {
  it('takes a text file as one document', async () => {
    expect((await read('a.md', 'one\n\ntwo\n')).documents).toEqual(['one\n\ntwo\n']);
  });

  it('parts documents at lines that are <|endoftext|>, and only there', async () => {
    const text = 'one\n<|endoftext|>\n<|endoftext|>\r\ntwo <|endoftext|> x\n<|endoftext|>';
    expect((await read('a.txt', text)).documents).toEqual(['one\n', 'two <|endoftext|> x\n']);
  });

  it('gives long documents in pieces cut before a line that begins with a character', async () => {
    const lines = Array.from({ length: 200 }, (_, i) => (i % 3 ? `    줄 ${i}` : `line ${i}`)).join('\n');
    const { pieces, documents } = await read('long.txt', lines, 100);
    expect(documents).toEqual([lines]);
    expect(pieces.length).toBeGreaterThan(20);
    for (const { text } of pieces.slice(1, -1)) expect(text).toMatch(/^line/);
    expect(pieces.at(-2)?.line).toBe(
      lines.slice(0, lines.lastIndexOf(pieces.at(-2)!.text)).split('\n').length,
    );
  });

  it('never cuts inside a character when there is nowhere to cut', async () => {
    const text = '한'.repeat(200);
    const { pieces, documents } = await read('solid.txt', text, 100);
    expect(documents).toEqual([text]);
    expect(pieces.length).toBeGreaterThan(5);
  });

  it('sets lines with invalid UTF-8 or NUL aside and keeps the others', async () => {
    const bytes = Buffer.concat([
      Buffer.from('good\nb'),
      Buffer.from([0xc3]),
      Buffer.from('d\nfine\nn\0l\nend'),
    ]);
    const { documents, faults } = await read('bad.txt', bytes);
    expect(documents).toEqual(['good\nfine\nend']);
    expect(faults.map(({ line, offset, reason }) => [line, offset, reason])).toEqual([
      [2, 5, 'invalid UTF-8 at byte 7'],
      [4, 14, 'a NUL byte at byte 15'],
    ]);
  });

  it('takes a row of JSONL as a document and sets rows without text aside', async () => {
    const { documents, faults } = await read('a.jsonl', '{"text":"one"}\n{"txt":"two"}\n{"text":"three"}\n');
    expect(documents).toEqual(['one', 'three']);
    expect(faults).toMatchObject([{ line: 2, offset: 15, reason: 'no `text` string in this row' }]);
  });

  it('has no documents in an empty file', async () => {
    expect((await read('empty.txt', '')).pieces).toEqual([]);
  });
});

describe('tokenizeTexts', () => {
  it('begins each document, and no later piece of it, with BOS', async () => {
    const tokenizer = trainTokenizer(['x'], { vocabularySize: 258, bos: '<s>', eos: '</s>' });
    async function* pieces(): AsyncGenerator<TextPiece> {
      yield { text: 'ab', endsDocument: false, line: 1 };
      yield { text: 'c', endsDocument: true, line: 2 };
      yield { text: 'd', endsDocument: true, line: 3 };
    }
    const found: string[] = [];
    for await (const { ids, endsDocument } of tokenizeTexts(pieces(), tokenizer)) {
      found.push(tokenizer.decode(ids) + (endsDocument ? '.' : ''));
    }
    expect(found).toEqual(['<s>ab', 'c.', '<s>d.']);
  });
});
