import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainTokenizer } from '../../language/text/train.ts';
import { fingerprintFile, requireSameData } from './fingerprint.ts';
import { loadInstructionRows, loadMarkedRows, loadPreferenceRows, loadRankingRows } from './load.ts';
import { packRows } from './packing.ts';
import type { RowFault } from './read.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-load-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, ...rows: (object | string)[]): string {
  const path = join(folder, name);
  writeFileSync(path, rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n'));
  return path;
}

const tokenizer = trainTokenizer(['hello world'], { vocabularySize: 258, eos: '</s>', pad: '<pad>' });
const options = { maxLength: 64, truncation: 'drop' } as const;
const ask = (content: string) => ({ messages: [{ role: 'user', content }] });
const ids = (prompt: number, completion: number) => ({ prompt_ids: [prompt], completion_ids: [completion] });

describe('loadInstructionRows', () => {
  it('keeps good rows, drops and sets aside the others, and counts each by its reason', async () => {
    const path = file(
      'mixed.jsonl',
      { prompt: 'ab', completion: 'cde' },
      '{"prompt":',
      { prompt: 'ab', completion: ' ' },
      { prompt: 'ab', completion: 'cde', note: 'again' },
      { prompt: 'p', completion: 'x'.repeat(100) },
      { prompt: 'a', chosen: 'b', rejected: 'c' },
      { text: 'pretraining' },
      { prompt: 'abcd', completion: 'e' },
    );
    const faults: RowFault[] = [];
    const onFault = (fault: RowFault) => faults.push(fault);
    const { rows, report } = await loadInstructionRows([path], tokenizer, { ...options, onFault });
    expect(rows.map(({ ids, source }) => [ids.length, source.line])).toEqual([
      [6, 1],
      [6, 4],
      [6, 8],
    ]);
    expect(report).toMatchObject({
      rows: 8,
      kept: 3,
      dropped: { 'empty-completion': 1, 'sequence-too-long': 1 },
      faults: 4,
      notices: { duplicate: 1 },
      tokens: 18,
      trainedTokens: 10,
      lengths: { min: 6, median: 6, p95: 6, max: 6 },
    });
    expect(faults).toEqual([
      { file: path, line: 2, offset: 35, reason: expect.stringMatching(/^not JSON/), raw: '{"prompt":' },
      {
        ...{ file: path, line: 3, offset: 46, raw: '{"prompt":"ab","completion":" "}' },
        reason: 'a completion is empty or only white space',
      },
      {
        file: path,
        line: 6,
        offset: expect.any(Number),
        reason: 'expected an instruction (Alpaca, prompt/completion or messages), got a preference row',
        raw: '{"prompt":"a","chosen":"b","rejected":"c"}',
      },
      {
        file: path,
        line: 7,
        offset: expect.any(Number),
        reason: expect.stringContaining('got a text row'),
        raw: '{"text":"pretraining"}',
      },
    ]);
  });

  it('stops at an unreadable or unrecognised row when strict', async () => {
    const odd = file('odd.jsonl', { prompt: 'a', completion: 'b' }, { question: 'c' });
    await expect(loadInstructionRows([odd], tokenizer, { ...options, strict: true })).rejects.toThrow(
      `${odd}:2: expected a usable row (--strict), got no known format has the keys question`,
    );
  });

  const good = { prompt: 'a', completion: 'b' };
  const pair = { prompt: 'p', chosen: 'a', rejected: 'b' };
  const long = 'x'.repeat(100);
  it.each<[string, (...of: Parameters<typeof loadInstructionRows>) => Promise<unknown>, object[], RegExp]>([
    [
      'an empty completion',
      loadInstructionRows,
      [good, { prompt: 'a', completion: '' }],
      /completion is empty/,
    ],
    ['a conversation without an answer', loadInstructionRows, [good, ask('hi')], /no token would be trained/],
    ['an id beyond the vocabulary', loadInstructionRows, [good, ids(1, 258)], /vocabulary: 258 of 0 to 257/],
    [
      'a prompt that fills the context',
      loadInstructionRows,
      [good, { prompt: long, completion: 'b' }],
      /prompt alone/,
    ],
    [
      'equals',
      loadPreferenceRows,
      [pair, { ...pair, rejected: 'a' }],
      /chosen and rejected, .* are the same/,
    ],
    [
      'an empty answer behind one that is too long',
      loadPreferenceRows,
      [pair, { ...pair, chosen: long, rejected: '' }],
      /completion is empty/,
    ],
    [
      'an empty answer that is marked',
      loadMarkedRows,
      [
        { ...good, label: true },
        { ...good, completion: '', label: true },
      ],
      /empty/,
    ],
    ['an empty answer that is ranked', loadRankingRows, [pair, { prompt: 'p', ranked: ['a', ''] }], /empty/],
  ])('sets %s aside by its place, and stops there when strict', async (_, load, rows, reason) => {
    const path = file('unfit.jsonl', ...rows);
    const place = { file: path, line: 2, offset: JSON.stringify(rows[0]).length + 1 };
    const faults: RowFault[] = [];
    const onFault = (fault: RowFault) => faults.push(fault);
    await load([path], tokenizer, { ...options, onFault });
    expect(faults).toEqual([
      { ...place, reason: expect.stringMatching(reason), raw: JSON.stringify(rows[1]) },
    ]);
    await expect(load([path], tokenizer, { ...options, strict: true })).rejects.toThrow(
      `${path}:2: expected a usable row (--strict), got ${faults[0].reason} (byte ${place.offset})`,
    );
  });

  it('only counts an answer that --truncation drop leaves out, even when strict', async () => {
    const path = file('long.jsonl', good, { prompt: 'a', completion: long });
    const strict = { ...options, strict: true };
    const { report } = await loadInstructionRows([path], tokenizer, strict);
    expect(report).toMatchObject({ rows: 2, kept: 1, faults: 0, dropped: { 'sequence-too-long': 1 } });
    const cutting = { ...strict, truncation: 'prompt-left' } as const;
    await expect(loadInstructionRows([path], tokenizer, cutting)).rejects.toThrow(
      /:2: .* longer than the context/,
    );
  });

  it('says why no row is left', async () => {
    const empty = file('empty.jsonl', '');
    await expect(loadInstructionRows([empty], tokenizer, options)).rejects.toThrow(
      `${empty}: expected at least one row that is an instruction (Alpaca, prompt/completion or messages), got no rows at all`,
    );
    const bad = file('bad.jsonl', 'x', { prompt: 'a', completion: '' });
    await expect(loadInstructionRows([bad], tokenizer, options)).rejects.toThrow(
      /got none of 2 \(1 unreadable, the first at .*bad\.jsonl:1: not JSON.*; 1 dropped because a completion is empty.*, the first at .*bad\.jsonl:2\)/,
    );
  });

  it('gives the same windows whether the rows are in one file or in shards', async () => {
    const rows = Array.from({ length: 60 }, (_, i) => ({
      prompt: `p${i}`,
      completion: 'c'.repeat(1 + ((i * 7) % 23)),
    }));
    const hash = async (paths: string[]): Promise<string> => {
      const loaded = await loadInstructionRows(paths, tokenizer, options);
      const digest = createHash('sha256');
      for (const window of packRows(loaded.rows, 64)) digest.update(window.ids).update(window.segments);
      return digest.digest('hex');
    };
    const whole = await hash([file('whole.jsonl', ...rows)]);
    const shards = [0, 20, 40].map((at) => file(`shard-${at}.jsonl`, ...rows.slice(at, at + 20)));
    expect(await hash(shards)).toBe(whole);
  });

  it('reports progress and the fingerprint of what was read', async () => {
    const path = file('a.jsonl', { instruction: 'a', output: 'b' }, { instruction: 'c', output: 'd' });
    const seen: { rows: number; bytes: number }[] = [];
    const { report } = await loadInstructionRows([path], tokenizer, {
      ...options,
      maxLength: 512,
      onProgress: (progress) => seen.push(progress),
    });
    expect(seen.at(-1)).toEqual({ file: path, rows: 2, bytes: 65 });
    expect(report.files).toEqual([await fingerprintFile(path)]);
  });
});

describe('loadPreferenceRows', () => {
  it('counts repeated pairs, contradictions and pairs of equals', async () => {
    const path = file(
      'pairs.jsonl',
      { prompt: 'p', chosen: 'a', rejected: 'b' },
      { prompt: 'p', chosen: 'a', rejected: 'b' },
      { prompt: 'p', chosen: 'b', rejected: 'a' },
      { prompt: 'p', chosen: 'a', rejected: 'a' },
    );
    const { rows, report } = await loadPreferenceRows([path], tokenizer, options);
    expect(rows).toHaveLength(3);
    expect(report.notices).toEqual({ duplicate: 1, contradiction: 1 });
    expect(report.dropped).toEqual({ 'chosen-equals-rejected': 1 });
  });

  it('keeps the strength of those that have one, and sets rankings aside', async () => {
    const path = file(
      'strong.jsonl',
      { prompt: 'p', chosen: 'a', rejected: 'b', strength: 3 },
      { prompt: 'p', chosen: 'c', rejected: 'd' },
      { prompt: 'p', ranked: ['a', 'b'] },
    );
    const faults: string[] = [];
    const onFault = ({ reason }: RowFault) => faults.push(reason);
    const { rows } = await loadPreferenceRows([path], tokenizer, { ...options, onFault });
    expect(rows.map(({ strength }) => strength)).toEqual([3, undefined]);
    expect(faults).toEqual(['expected a preference (prompt, chosen, rejected), got a ranking row']);
  });
});

describe('loadMarkedRows', () => {
  it('reads answers with their marks, and preferences, as they come', async () => {
    const path = file(
      'marked.jsonl',
      { prompt: 'p', completion: 'aa', label: true },
      { prompt: 'p', chosen: 'b', rejected: 'c' },
      { prompt_ids: [1, 2], completion_ids: [3], label: false },
      { prompt: 'p', completion: 'aa', label: false },
      { prompt: 'p', completion: 'aa', label: true },
      { prompt: 'p', completion: ' ', label: true },
      { prompt: 'p', completion: 'dd' },
      { prompt: 'p', completion: 'dd', label: 'class 1' },
      { prompt: 'p', completion: 'ee', label: 1 },
    );
    const faults: string[] = [];
    const onFault = ({ reason }: RowFault) => faults.push(reason);
    const { rows, report } = await loadMarkedRows([path], tokenizer, { ...options, onFault });
    // Prompt, letters, EOS; ids as they were sampled, without.
    expect(
      rows.map((row) =>
        'answer' in row
          ? [row.answer.ids.length, row.isDesirable]
          : [row.chosen.ids.length, row.rejected.ids.length],
      ),
    ).toEqual([
      [4, true],
      [3, 3],
      [3, false],
      [4, false],
      [4, true],
      [4, true],
    ]);
    expect(report).toMatchObject({ rows: 9, kept: 6, faults: 3, dropped: { 'empty-completion': 1 } });
    expect(report.notices).toEqual({ contradiction: 2, duplicate: 1 });
    expect(faults).toEqual([
      'a completion is empty or only white space',
      ...Array(2).fill(
        'expected an answer with a label of true or false (prompt, completion, label) or a preference (prompt, chosen, rejected), got a completion row',
      ),
    ]);
  });

  it('are what other readers point to when they meet a mark', async () => {
    const path = file('only-marked.jsonl', { prompt: 'p', completion: 'a', label: true });
    for (const load of [loadPreferenceRows, loadRankingRows]) {
      await expect(load([path], tokenizer, options)).rejects.toThrow(
        /got none of 1 \(1 unreadable, .*got a completion row with the label true, which heed kto reads\)/,
      );
    }
    // To fine-tuning a mark is one more key that it leaves alone.
    expect((await loadInstructionRows([path], tokenizer, options)).rows).toHaveLength(1);
  });
});

describe('loadRankingRows', () => {
  it('reads rankings, and preferences as rankings of two', async () => {
    const path = file(
      'ranked.jsonl',
      { prompt: 'p', ranked: ['a', 'bb', 'ccc'] },
      { prompt: 'p', chosen: 'dd', rejected: 'e' },
      { prompt: 'p', ranked: ['a', 'bb', 'ccc'] },
      { prompt: 'p', ranked: ['a', 'a'] },
    );
    const { rows, report } = await loadRankingRows([path], tokenizer, options);
    // Prompt, letters, EOS.
    expect(rows.map(({ answers }) => answers.map(({ ids }) => ids.length))).toEqual([
      [3, 4, 5],
      [4, 3],
      [3, 4, 5],
    ]);
    expect(report).toMatchObject({ rows: 4, kept: 3, notices: { duplicate: 1 }, tokens: 31 });
    expect(report.dropped).toEqual({ 'chosen-equals-rejected': 1 });
  });
});

describe('fingerprints', () => {
  it('are the SHA-256 of the file, byte order mark included', async () => {
    const path = file('hash.txt', '\ufeffabc');
    expect(await fingerprintFile(path)).toEqual({
      path,
      bytes: 6,
      sha256: createHash('sha256').update(Buffer.from('\ufeffabc')).digest('hex'),
    });
  });

  it('refuse data that changed since the run began, and not a moved file', async () => {
    const before = await fingerprintFile(file('then.txt', 'abc'));
    const moved = await fingerprintFile(file('moved.txt', 'abc'));
    const changed = await fingerprintFile(file('then.txt', 'abd'));
    expect(() => requireSameData([before], [moved])).not.toThrow();
    expect(() => requireSameData([before], [changed])).toThrow(
      /then\.txt: expected the file that this run began with/,
    );
    expect(() => requireSameData([before], [before, changed])).toThrow(
      'data files: expected the 1 that this run began with, got 2',
    );
  });
});

describe('a quarantined row', () => {
  it('is reported the moment it is met, before the reading fails', async () => {
    const path = file('late.jsonl', { prompt: 'a', completion: 'b' }, 'oops');
    const faults: RowFault[] = [];
    const load = loadInstructionRows([path], tokenizer, {
      ...options,
      strict: true,
      onFault: (f) => faults.push(f),
    });
    await expect(load).rejects.toThrow();
    expect(faults.map(({ line }) => line)).toEqual([2]);
  });
});
