// biome-ignore-all lint/suspicious/noTemplateCurlyInString: recipes refer to stages by ${name}
// The real program: recipes that are killed, stopped, changed and looked at beforehand.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveTinyModel, timelessLog, writeDemonstrations } from '../../../align/run/testing/tiny-run.ts';
import { runHeed } from '../testing/run-heed.ts';

let folder: string;
const path = (...names: string[]) => join(folder, ...names);
const heed = (...words: string[]) => runHeed(words, folder);

const recipe = `
name: small
seed: 5
models: { start: start }
stages:
  tokenizer: { command: tokenizer train, data: [corpus.jsonl], vocabulary-size: 300, special-tokens: ['<|eos|>'] }
  base:
    command: pretrain
    model: '\${start}'
    data: [corpus.jsonl]
    window-length: 32
    batch-size: 4
    epochs: 6
    save-every: 4
  sft: { command: sft, model: '\${base}', data: [rows.jsonl], epochs: 2 }
`;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-run-'));
  await saveTinyModel(path('start'));
  writeDemonstrations(folder, 24);
  const text = (i: number) => `the ${i} red cats and ${i * 7} blue dogs sleep under the moon`;
  const rows = Array.from({ length: 60 }, (_, i) => `${JSON.stringify({ text: text(i) })}\n`);
  writeFileSync(path('corpus.jsonl'), rows.join(''));
  writeFileSync(path('small.yaml'), recipe);
});
afterAll(() => rmSync(folder, { recursive: true }));

const pipeline = (out: string) => JSON.parse(readFileSync(path(out, 'pipeline.json'), 'utf8'));
const statuses = (out: string) => pipeline(out).stages.map(({ status }: { status: string }) => status);
const folderOf = (out: string, stage: string) =>
  path(out, readdirSync(path(out)).find((name) => name.startsWith(`${stage}-`))!);
const weights = (out: string, stage: string) =>
  readFileSync(join(folderOf(out, stage), 'model/model.safetensors'));

function start(...words: string[]): ChildProcess {
  return spawn(process.execPath, [resolve('bin/heed.js'), ...words], {
    cwd: folder,
    detached: true,
    stdio: 'ignore',
  });
}

/** Waits until the stage `base` has saved this step or a later one. */
async function checkpointOf(out: string, step: number): Promise<void> {
  const list = (...names: string[]) => (existsSync(path(...names)) ? readdirSync(path(...names)) : []);
  const saved = () => {
    const stage = list(out).find((name) => name.startsWith('base-'));
    return stage ? list(out, stage, 'checkpoints').map((name) => Number(/^step-(\d+)$/.exec(name)?.[1])) : [];
  };
  for (let waited = 0; !saved().some((found) => found >= step); waited += 20) {
    if (waited > 60_000) throw new Error(`step ${step} of base was not saved`);
    await sleep(20);
  }
}

describe('heed run', () => {
  it('goes on after kill -9, of the program alone and of its engine too, to the same bytes', async () => {
    expect((await heed('run', 'small.yaml', '--out', 'whole')).code).toBe(0);
    for (const [step, wholeGroup] of [
      [4, false],
      [12, true],
    ] as const) {
      const child = start('run', 'small.yaml', '--out', 'killed');
      await checkpointOf('killed', step);
      process.kill(wholeGroup ? -child.pid! : child.pid!, 'SIGKILL');
      await once(child, 'exit');
      expect(statuses('killed')[1]).toBe('running');
    }
    const { code, stdout } = await heed('run', 'small.yaml', '--out', 'killed', '--resume');
    expect([code, stdout]).toEqual([0, expect.stringContaining('[1/3] tokenizer: unchanged')]);
    expect(stdout).toContain('[2/3] base: resuming pretrain');
    for (const stage of ['base', 'sft']) {
      expect(weights('killed', stage).equals(weights('whole', stage))).toBe(true);
    }
    const log = (out: string) => timelessLog(folderOf(out, 'base')).filter(({ type }) => type === 'step');
    expect(log('killed')).toEqual(log('whole'));
  });

  it('saves and ends with 130 at the first SIGINT, and goes on from there', async () => {
    const child = start('run', 'small.yaml', '--out', 'stopped');
    await checkpointOf('stopped', 4);
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([130, null]);
    expect(statuses('stopped')).toEqual(['done', 'interrupted', 'pending']);
    expect((await heed('run', 'small.yaml', '--out', 'stopped')).code).toBe(0);
    expect(weights('stopped', 'sft').equals(weights('whole', 'sft'))).toBe(true);
  });

  it('leaves what is finished, computes what changed beside it, and prints the pipeline as JSON', async () => {
    writeFileSync(path('other.yaml'), recipe.replace('epochs: 2', 'epochs: 1'));
    const { code, stdout, stderr } = await heed('run', 'other.yaml', '--out', 'whole', '--json');
    const { stages } = JSON.parse(stdout);
    expect([code, statuses('whole')]).toEqual([0, ['unchanged', 'unchanged', 'done']]);
    expect(stages[2].result.steps).toBe(3);
    expect(stderr).toContain('[3/3] sft: sft → whole/sft-');
    expect(readdirSync(path('whole')).filter((name) => name.startsWith('sft-'))).toHaveLength(2);
    // An engine process holds the runtime: far more than a bare Node, far less than this machine.
    expect(stages[2].peak_memory_bytes).toBeGreaterThan(100e6);
    expect(stages[2].peak_memory_bytes).toBeLessThan(1e9);
  });

  it('shows with --dry-run what would happen, and does nothing', async () => {
    const before = readdirSync(path('whole')).length;
    const { stdout } = await heed('run', 'small.yaml', '--out', 'whole', '--seed', '6', '--dry-run');
    expect(stdout).toMatch(/^tokenizer +tokenizer train +corpus\.jsonl +unchanged/m);
    expect(stdout).toMatch(
      /^base +pretrain +start, corpus\.jsonl +would run +28 K +[\d.]+ MB +[\d.]+ s +measured$/m,
    );
    expect(stdout).toContain('2 of 3 stages would run');
    expect(readdirSync(path('whole'))).toHaveLength(before);
  });

  it('gives each of several seeds a folder of its own', async () => {
    const words = ['run', 'small.yaml', '--out', 'seeds', '--seeds', '1,2', '--until', 'tokenizer', '--json'];
    const { stdout } = await heed(...words);
    expect(JSON.parse(stdout).seeds.map(({ seed }: { seed: number }) => seed)).toEqual([1, 2]);
    expect(statuses('seeds/seed-2')).toEqual(['done', 'pending', 'pending']);
  });

  it.each([
    [['run', 'smal.yaml'], /^error: heed run smal\.yaml: expected a recipe's file, or one of heed's own \(/],
    [['run'], /^error: heed run: expected --recipe/],
    [['run', 'small.yaml', 'more'], /^error: more: expected an option of heed run/],
    [
      ['run', 'small.yaml', '--seed', '1', '--seeds', '2'],
      /^error: --seed, --seeds: expected one of them, got both/,
    ],
    [['run', 'small.yaml', '--seeds', 'x'], /^error: --seeds: expected integers with commas between/],
    [['run', 'small.yaml', '--seeds', '2,1,2'], /^error: --seeds: expected each seed once, got "2,1,2"/],
    [['run', 'small.yaml', '--only', 'sfft'], /^error: --only: .*got unknown sfft\. Try sft\./],
    [['run', 'small.yaml', '--from-scratch'], /^error: small\.yaml: expected a model with made-by/],
  ])('refuses heed %j in one line', async (words, message) => {
    const { code, stderr } = await heed(...words);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('refuses a folder that another recipe runs in', async () => {
    mkdirSync(path('busy'));
    const child = start('run', 'small.yaml', '--out', 'busy');
    await checkpointOf('busy', 4);
    const { code, stderr } = await heed('run', 'small.yaml', '--out', 'busy');
    expect([code, stderr]).toEqual([1, expect.stringContaining(`a run held by process ${child.pid} on`)]);
    child.kill('SIGINT');
    await once(child, 'exit');
  });
});
