import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer as ReferenceTokenizer } from '@huggingface/tokenizers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runHeed } from '../testing/run-heed.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-tokenizer-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const heed = (...words: string[]) => runHeed(['tokenizer', ...words], folder);
const put = (name: string, text: string) => writeFileSync(join(folder, name), text);
const read = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
const special = ['<|pad|>', '<|bos|>', '<|eos|>'];

describe('heed tokenizer', () => {
  it("learns from text and JSONL a tokenizer that Hugging Face's library reads the same way", async () => {
    put('a.txt', 'the cat sat on the mat, the cat sat on the hat\n'.repeat(20));
    put('b.jsonl', '{"text": "말 잘 듣는 모델 말 잘 듣는 모델"}\n{"text": 7}\n');
    const words = ['--vocabulary-size', '280', '--special-tokens', ...special, '--out', 'made', '--json'];
    const trained = await heed('train', '--data', 'a.txt', 'b.jsonl', ...words);
    expect(trained.code).toBe(0);
    expect(JSON.parse(trained.stdout)).toMatchObject({
      ...{ vocabularySize: 280, special: { pad: 0, bos: 1, eos: 2 }, skipped: 1 },
    });
    expect(trained.stderr).toMatch(/warning: b\.jsonl:2: skipped: no `text` string/);

    const text = 'the cat, 모델 👩‍💻 <|eos|>!';
    const json = read('made/tokenizer.json');
    for (const [flags, tokenizer] of [
      [['--parse-special'], json],
      // To their library a special token is text only when none is listed.
      [[], { ...json, added_tokens: [] }],
    ]) {
      const encoded = await heed('encode', '--model', 'made', '--text', text, '--json', ...flags);
      const [{ ids }] = JSON.parse(encoded.stdout).documents;
      const reference = new ReferenceTokenizer(tokenizer, read('made/tokenizer_config.json'));
      expect(ids).toEqual(reference.encode(text, { add_special_tokens: false }).ids);
    }
  });

  it('takes only the bytes of the text into the alphabet when asked', async () => {
    put('a.txt', 'ab ab ab');
    await heed('train', '--data', 'a.txt', '--out', 'made', '--initial-alphabet', 'seen');
    expect(Object.keys(read('made/tokenizer.json').model.vocab)).toEqual(['a', 'b', 'Ġ', 'ab', 'Ġab']);
    const { code, stdout, stderr } = await heed('encode', '--model', 'made', '--text', 'ab! ab');
    expect([code, stdout.split('\n')[0], stderr]).toEqual([0, '|ab| ab|', '']);
  });

  it('shows tokens between bars, bytes of half characters and control characters as escapes', async () => {
    put('a.txt', 'ab ab ab');
    await heed('train', '--data', 'a.txt', '--vocabulary-size', '258', '--out', 'made');
    const { stdout } = await heed('encode', '--model', 'made', '--text', 'ab ab\n\x1bé');
    expect(stdout.split('\n').slice(0, 1)).toEqual(['|ab| ab|\\n|\\x1b|\\xc3|\\xa9|']);
    expect(stdout).toContain('6 tokens, 1.50 bytes per token');
  });

  it('never overwrites a tokenizer', async () => {
    put('a.txt', 'some text');
    const words = ['train', '--data', 'a.txt', '--vocabulary-size', '260', '--out', 'made'];
    await heed(...words);
    const before = readFileSync(join(folder, 'made/tokenizer.json'));
    const { code, stderr } = await heed(...words, '--seed');
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('--seed: expected an option of heed tokenizer train'),
    ]);
    const again = await heed(...words);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('a folder without a tokenizer')]);
    expect(readFileSync(join(folder, 'made/tokenizer.json'))).toEqual(before);
  });

  it.each([
    ['an empty file', '', /--data d\.jsonl: expected text, got none\./],
    ['blank lines', '\n\n', /--data d\.jsonl: expected text, got none\./],
    ['only faulty lines', '{"text": 1}\n{', /expected text, got none but 2 faulty lines\./],
  ])('refuses %s and writes nothing', async (_, text, message) => {
    put('d.jsonl', text);
    const { code, stderr } = await heed('train', '--data', 'd.jsonl', '--out', 'made');
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
    expect(existsSync(join(folder, 'made'))).toBe(false);
  });

  it('stops at the first faulty line with --strict', async () => {
    put('d.jsonl', '{"text": "fine"}\n{"text": \n');
    const { code, stderr } = await heed('train', '--data', 'd.jsonl', '--out', 'made', '--strict');
    expect([code, stderr]).toEqual([1, expect.stringContaining('error: d.jsonl:2: expected a usable row')]);
    expect(readdirSync(folder)).toEqual(['d.jsonl']);
  });

  it.each([
    [['train', '--data', 'nowhere.txt', '--out', 'made'], /nowhere\.txt/],
    [['encode', '--model', 'nowhere', '--text', 'x'], /nowhere.*expected a tokenizer file, got none/],
    [['encode', '--model', 'nowhere', '--txt', 'x'], /--txt: .* Try --text\./],
  ])('names what is missing in %j', async (words, message) => {
    const { code, stderr } = await heed(...words);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
    expect(stderr.split('\n')).toHaveLength(2);
  });
});
