// examples/pipeline.ts, which uses heed as a library: that its types hold, that it runs, and that what it leaves is what
// the command line would have computed.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Library from './index.ts';

let folder: string;
const run = (file: string, words: readonly string[]) =>
  execFileSync(process.execPath, [file, ...words], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, OUT: 'out' },
    stdio: 'pipe',
  });
const readJson = (...names: string[]) => JSON.parse(readFileSync(join(folder, ...names), 'utf8'));

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-library-'));
  for (const name of ['package.json', 'bin', 'dist', 'models'])
    cpSync(name, join(folder, name), { recursive: true });
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  cpSync('examples/pipeline.ts', join(folder, 'pipeline.ts'));
  // It has no annotations, so that it is JavaScript too.
  cpSync('examples/pipeline.ts', join(folder, 'pipeline.js'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('examples/pipeline.ts', () => {
  it('agrees with the types of the library', () => {
    const compilerOptions = {
      ...{ noEmit: true, strict: true, target: 'es2023', module: 'nodenext', types: ['node'] },
      ...{ skipLibCheck: true },
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['pipeline.ts'] }));
    expect(run(join(folder, 'node_modules/typescript/bin/tsc'), ['-p', '.'])).toBe('');
  });

  it('trains and compares, and repeats from its recipe on the command line to the bit', () => {
    const lines = run('pipeline.js', []).trimEnd().split('\n');
    expect(lines.map((line) => line.replace(/[\d.e+-]+$/, 'N'))).toEqual([
      ...['sft 1: loss N', 'sft 2: loss N', 'out/eval-dpo: proxy N', 'out/eval-ppo: proxy N'],
    ]);
    expect(readJson('out/eval-sft/summary.json').metrics.kl.value).toBe(0);
    run('bin/heed.js', ['ppo', '--config', 'out/ppo/recipe.yaml', '--out', 'again']);
    const weights = (run: string) => readFileSync(join(folder, run, 'model/model.safetensors'));
    expect(weights('again').equals(weights('out/ppo'))).toBe(true);
  }, 300_000);
});

describe('a stage as a library runs it', async () => {
  const { runStage, stages } = (await import(/* @vite-ignore */ resolve('dist/index.js'))) as typeof Library;
  const options = { model: 'm', data: ['d'], out: 'o' };

  it.each([
    [{ ...options, learningrate: 1 }, /^sft: learningrate: .* got an unknown one\. Try learningRate\.$/],
    [{ ...options, batchSize: 0 }, /^sft: batchSize: expected an integer, at least 1, got 0\.$/],
    [{ model: 'm', out: 'o' }, /^sft: data: expected a list, each text, got none\.$/],
    [{ ...options, learningRate: 10, weightDecay: 1 }, /^sft: expected --learning-rate × .* got 10 × 1\.$/],
  ])('refuses %j by the name of the option', async (given, message) => {
    await expect(runStage(stages.sft, given as typeof options)).rejects.toThrow(message);
  });

  it('refuses a reward of kata that there is not', async () => {
    const reward = ['kata:beauty'];
    await expect(runStage(stages.ppo, { ...options, out: join(folder, 'o'), reward })).rejects.toThrow(
      /--reward kata:beauty: expected kata:readability, kata:pass, kata:gold, got beauty/,
    );
  });
});
