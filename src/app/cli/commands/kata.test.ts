import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runHeed } from '../testing/run-heed.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-kata-command-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const heed = (...words: string[]) => runHeed(['kata', ...words], folder);
const small = ['--instructions', '20', '--prompts', '10', '--problems', '4', '--coaching', '3'];

describe('heed kata', () => {
  it('says what it wrote, and writes it again from its recipe', async () => {
    const { code, stdout } = await heed('--out', 'a', ...small, '--seed', '2', '--json');
    const { rows, overlap } = JSON.parse(stdout);
    expect([code, rows]).toEqual([
      0,
      { 'instructions.jsonl': 20, 'prompts.jsonl': 10, 'held-out.jsonl': 4, 'held-out-coaching.jsonl': 3 },
    ]);
    expect(overlap).toMatchObject({ held_out_programs: 4, equal_after_renaming: 0 });
    const again = await heed('--config', 'a/recipe.yaml', '--out', 'b');
    expect(again.stdout).toMatch(/^prompts\.jsonl +10$/m);
    for (const name of Object.keys(rows)) {
      expect(readFileSync(join(folder, 'b', name), 'utf8')).toBe(
        readFileSync(join(folder, 'a', name), 'utf8'),
      );
    }
  });

  it.each([
    [['--quality', 'cleann'], /--quality: .* Try clean\./],
    [['--problems', '0'], /--problems: expected an integer, at least 1, got 0/],
    [['--coaching-share', '1.5'], /--coaching-share: expected a number, at least 0, at most 0\.9, got 1\.5/],
  ])('refuses %j in one line, and writes nothing', async (words, message) => {
    const { code, stderr } = await heed('--out', 'a', ...words);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(existsSync(join(folder, 'a'))).toBe(false);
  });
});
