import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runHeed } from '../testing/run-heed.ts';

const golden = resolve(process.env.HEED_GOLDEN ?? '../shared/golden');
const isMissing = !existsSync(golden);
const model = join(golden, 'models/llama');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-score-command-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const put = (name: string, rows: readonly unknown[]) =>
  writeFileSync(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
const heed = (...words: string[]) => runHeed(['score', ...words], folder);

describe.skipIf(isMissing)('heed score (with the golden model)', () => {
  it('prints rows and perplexity as one line of JSON, for a run folder too', async () => {
    const { examples, families } = JSON.parse(readFileSync(join(golden, 'models.json'), 'utf8'));
    put(
      'rows.jsonl',
      examples.map((e: { prompt: number[]; completion: number[] }) => ({
        prompt_ids: e.prompt,
        completion_ids: e.completion,
      })),
    );
    cpSync(model, join(folder, 'run/model'), { recursive: true });
    const { code, stdout } = await heed('--model', 'run', '--data', 'rows.jsonl', '--json');
    expect([code, stdout.trimEnd().split('\n').length]).toEqual([0, 1]);
    const { rows, perplexity, faults } = JSON.parse(stdout);
    expect(rows.map((row: { tokens: number }) => row.tokens)).toEqual([9, 4, 17]);
    families.llama.completion_logp_sum.forEach((expected: number, i: number) => {
      expect(Math.abs(rows[i].completion_logp - expected)).toBeLessThan(1e-5 * Math.abs(expected));
    });
    expect(Math.abs(perplexity / Math.exp(families.llama.sft_loss) - 1)).toBeLessThan(1e-5);
    expect(faults).toBe(0);
  });

  it('shows a table to people and warns of faulty rows by place', async () => {
    put('rows.jsonl', [
      { prompt: 'the cat', completion: ' sat' },
      { prompt: '', completion: 'x' },
    ]);
    const { code, stdout, stderr } = await heed('--model', model, '--data', 'rows.jsonl');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^perplexity +\d+\.\d+$/m);
    expect(stdout).toMatch(/^rows +1$/m);
    expect(stderr).toMatch(/warning: rows\.jsonl:2: skipped: the prompt is empty \(byte 41\)/);
  });

  it('names only the first of many faulty rows, and their number', async () => {
    put('rows.jsonl', [{ prompt: 'a', completion: 'b' }, ...Array(12).fill({ prompt: '', completion: 'x' })]);
    const { stderr } = await heed('--model', model, '--data', 'rows.jsonl');
    expect(stderr.match(/skipped: the prompt/g)).toHaveLength(10);
    expect(stderr).toContain('warning: 12 faulty rows skipped in total');
  });

  it.each([
    [
      'a faulty row with --strict',
      ['--strict'],
      [{ prompt_ids: [1], completion_ids: [999] }],
      /a\.jsonl:1: .*999/,
    ],
    ['no row left', [], [{ text: '' }], /expected at least one row that can be scored, got 1 faulty rows/],
    ['an empty file', [], [], /a\.jsonl: expected at least one row .*, got no rows/],
  ])('ends with exit code 1 at %s', async (_, words, rows, message) => {
    put('a.jsonl', rows);
    const { code, stderr } = await heed('--model', model, '--data', 'a.jsonl', ...words);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
  });

  it('names a model and a file that are not there', async () => {
    put('a.jsonl', [{ text: 'abc' }]);
    const noModel = await heed('--model', 'nowhere', '--data', 'a.jsonl');
    expect([noModel.code, noModel.stderr]).toEqual([
      1,
      expect.stringMatching(/nowhere: expected a model's folder, .* got no such folder/),
    ]);
    const noData = await heed('--model', model, '--data', 'b.jsonl');
    expect([noData.code, noData.stderr]).toEqual([1, expect.stringMatching(/b\.jsonl: .* no such file/)]);
  });
});
