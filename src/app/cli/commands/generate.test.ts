import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runHeed } from '../testing/run-heed.ts';
import { visible } from '../visible.ts';

const golden = resolve(process.env.HEED_GOLDEN ?? '../shared/golden');
const isMissing = !existsSync(golden);
const model = join(golden, 'models/llama');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-generate-command-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const heed = (...words: string[]) => runHeed(['generate', '--model', model, ...words], folder);
const greedy = ['--temperature', '0', '--max-tokens', '8'];

describe.skipIf(isMissing)('heed generate (with the golden model)', () => {
  it('prints to stdout nothing but the text that --json holds', async () => {
    const words = ['--prompt', 'the cat', '--max-tokens', '12', '--seed', '4'];
    const plain = await heed(...words);
    const json = await heed(...words, '--json');
    expect([plain.code, json.code]).toEqual([0, 0]);
    const { completions, tokens_per_second } = JSON.parse(json.stdout);
    const [{ text, ids, log_probs, raw_log_probs }] = completions;
    expect(plain.stdout).toBe(`${visible(text)}\n`);
    expect(ids.length).toBeGreaterThan(0);
    // Temperature 1 without filters draws from the model's own distribution.
    log_probs.forEach((logProb: number, i: number) => {
      expect(Math.abs(logProb - raw_log_probs[i])).toBeLessThan(1e-4);
    });
    expect(tokens_per_second).toBeGreaterThan(1);
    expect(plain.stderr).toMatch(/tokens\/s/);
  });

  it('heads each of several completions with its prompt, sample and end', async () => {
    const { stdout } = await heed('--prompt', 'the cat', 'a\x1b[2Jdog', '--samples', '2', ...greedy);
    const headings = stdout.split('\n').filter((line) => /\[[12], \d tokens, \w+\]$/.test(line));
    expect(headings).toHaveLength(4);
    expect(headings[2]).toMatch(/^a\\x1b\[2Jdog \[1, /);
    expect(stdout).not.toContain('\x1b');
  });

  it('answers the rows of a file in order, and says which it skipped', async () => {
    writeFileSync(join(folder, 'p.jsonl'), '{"prompt": "b"}\nnonsense\n{"prompt_ids": [5, 6]}\n');
    const { code, stdout, stderr } = await heed('--data', 'p.jsonl', ...greedy, '--json');
    const { completions, faults } = JSON.parse(stdout);
    expect([code, faults]).toEqual([0, 1]);
    expect(completions.map(({ file, line }: { file: string; line: number }) => [file, line])).toEqual([
      ['p.jsonl', 1],
      ['p.jsonl', 3],
    ]);
    expect(stderr).toMatch(/warning: p\.jsonl:2: skipped: not JSON/);
  });

  it.each([
    [['--prompt', 'a', '--data', 'b'], /expected either --prompt or --data, got both/],
    [[], /expected either --prompt or --data, got neither/],
    [['--prompt', 'a', '--top-p', '1.5'], /--top-p: expected a number, above 0, at most 1, got 1\.5/],
    [['--prompt', 'a', '--template', 'alpac'], /--template: .* Try alpaca\./],
    [['--prompt', 'x y '.repeat(60)], /--prompt, number 1: .* fill the context of 64/],
    [['--data', 'nowhere.jsonl'], /nowhere\.jsonl: expected a data file, got no such file/],
  ])('refuses %j in one line', async (words, message) => {
    const { code, stderr } = await heed(...words);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});
