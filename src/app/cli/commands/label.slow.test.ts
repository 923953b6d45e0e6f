import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveTinyModel, tinyConfig } from '../../../align/run/testing/tiny-run.ts';
import { runHeed } from '../testing/run-heed.ts';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-label-command-'));
  await saveTinyModel(
    join(folder, 'model'),
    tinyConfig('llama', { maxPositions: 512, initializerRange: 0.3 }),
  );
  const rows = Array.from({ length: 24 }, (_, i) => ({ instruction: `숫자 ${i}을 두 배로 만드세요.` }));
  writeFileSync(join(folder, 'prompts.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
});
afterAll(() => rmSync(folder, { recursive: true }));

const words = (...more: string[]) => [
  ...[
    'label',
    '--model',
    'model',
    '--data',
    'prompts.jsonl',
    '--threads',
    '1',
    '--generation-batch-size',
    '2',
  ],
  ...['--samples', '4', '--pairs', '3', '--annotators', '3', '--max-tokens', '24', ...more],
];
const files = ['answers.jsonl', 'labels.jsonl', 'preferences.jsonl', 'report.json', 'inputs.json'];
const bytes = (out: string) => files.map((name) => readFileSync(join(folder, out, name), 'utf8'));

/** Starts heed in a process group of its own, and kills all of it when the file has grown. */
async function killWhenGrown(more: string[], file: string): Promise<void> {
  const heed = spawn(process.execPath, [resolve('bin/heed.js'), ...words(...more)], {
    cwd: folder,
    detached: true,
    stdio: 'ignore',
  });
  const ended = new Promise((done) => heed.once('exit', done));
  while (!existsSync(file) || statSync(file).size === 0) await wait(5);
  process.kill(-heed.pid!, 'SIGKILL');
  await ended;
}

describe('heed label', () => {
  it('prints what people agree on, and as JSON the report', async () => {
    const { code, stdout, stderr } = await runHeed(words('--out', 'whole', '--json'), folder);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/agreement between two annotators +\d/)]);
    const { report, tokens_generated, is_reused } = JSON.parse(stdout);
    expect(report.counts).toMatchObject({ prompts: 24, answers: 96, rankings: 0 });
    expect(report.counts.judgements).toBeGreaterThan(72);
    expect([tokens_generated, is_reused]).toEqual([report.tokens_generated, false]);
  });

  it('killed and resumed leaves the bytes of an uninterrupted run', async () => {
    await killWhenGrown(['--out', 'killed'], join(folder, 'killed/answers.jsonl'));
    expect(existsSync(join(folder, 'killed/report.json'))).toBe(false);
    const { code } = await runHeed(words('--out', 'killed', '--resume'), folder);
    expect(code).toBe(0);
    expect(bytes('killed')).toEqual(bytes('whole'));
    const again = await runHeed(words('--out', 'killed', '--resume'), folder);
    expect(again.stderr).toContain('finished already');
  });

  it.each([
    [['--samples', '1'], /--samples: expected an integer, at least 2, at most 64, got 1/],
    [['--annotator', 'carefull'], /--annotator: .* Try careful\./],
    [['--flip-rate', '2'], /--flip-rate: expected a number, at least 0, at most 1, got 2/],
    [['--model', 'nowhere'], /nowhere: expected/],
    [['--data', 'nowhere.jsonl'], /nowhere\.jsonl: expected a data file, got no such file/],
  ])('refuses %j in one line, and writes nothing', async (more, message) => {
    const { code, stderr } = await runHeed(words('--out', 'refused', ...more), folder);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(existsSync(join(folder, 'refused'))).toBe(false);
  });
});
