import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runHeed } from './testing/run-heed.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-main-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const heed = (words: string[], launcher?: string) => runHeed(words, folder, launcher);

/** A copy of the built program whose only command is the given body of `run(options, terminal, signal)`. */
function programThat(body: string): string {
  for (const name of ['bin', 'dist', 'package.json'])
    cpSync(resolve(name), join(folder, name), { recursive: true });
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  writeFileSync(
    join(folder, 'dist/app/cli/commands.js'),
    `import { z } from 'zod';
     export const commands = [{ name: 'act', description: 'acts', options: z.object({}),
       async run(options, terminal, signal) { ${body} } }];`,
  );
  return join(folder, 'bin/heed.js');
}

describe('heed', () => {
  it('lists its commands and exits 0', async () => {
    const { code, stdout } = await heed([]);
    expect([code, stdout]).toEqual([0, expect.stringContaining('doctor')]);
  });

  it('says a mistake in one line of stderr and exits 1', async () => {
    const { code, stdout, stderr } = await heed(['doctr']);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      /^error: heed doctr: expected a command \(.*\), got unknown doctr\. Try doctor\.\n$/,
    );
  });

  it('answers a mistake with JSON too when asked for JSON', async () => {
    const { code, stdout } = await heed(['doctor', '--sped', '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual({
      error: {
        where: '--sped',
        expected: 'an option of heed doctor',
        found: 'an unknown one',
        advice: '--speed',
      },
    });
  });

  it('shows the resolved options with --dry-run, and does nothing', async () => {
    const { code, stdout } = await heed(['doctor', '--speed', '--dry-run']);
    expect([code, stdout]).toEqual([0, 'command: doctor\nspeed: true\n']);
  });

  it('examines the machine and finds the processor fit', async () => {
    const { code, stdout, stderr } = await heed(['doctor', '--json']);
    expect(code).toBe(0);
    const { checks } = JSON.parse(stdout);
    expect(checks).toContainEqual({ name: 'node', state: 'ok', found: process.version });
    expect(checks).toContainEqual({ name: 'cpu', state: 'ok', found: 'works' });
    expect(stderr).toMatch(/^ok +cpu +works$/m);
    expect(stderr).toMatch(/^ok +auto +cpu \(what --device auto stands for\)$/m);
  });

  it('tells how to build when it is not built', async () => {
    mkdirSync(join(folder, 'bin'));
    cpSync(resolve('bin/heed.js'), join(folder, 'bin/heed.mjs'));
    const { code, stderr } = await heed([], join(folder, 'bin/heed.mjs'));
    expect([code, stderr]).toEqual([
      1,
      'heed: expected the built program in dist/, got none. Try npm run build.\n',
    ]);
  });

  it.each([
    ['throws', `throw new TypeError('x is not y');`],
    ['rejects behind its back', `Promise.reject(new TypeError('x is not y')); await new Promise(() => {});`],
  ])('exits 2 with the stack when a command %s', async (_, body) => {
    const { code, stdout, stderr } = await heed(['act', '--json'], programThat(body));
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toEqual({ error: { bug: 'x is not y' } });
    expect(stderr).toMatch(/please report this bug\nTypeError: x is not y\n {4}at .*commands\.js/);
  });

  it('lets a command finish its step at the first signal and exits 143', async () => {
    const launcher = programThat(`
      console.error('ready');
      await new Promise((done) => { setTimeout(() => {}, 60000); signal.addEventListener('abort', done); });
      return { saved: true };`);
    const child = spawn(process.execPath, [launcher, 'act', '--json'], { stdio: 'pipe' });
    const stdout: Buffer[] = [];
    child.stdout.on('data', (chunk) => stdout.push(chunk));
    await once(child.stderr, 'data');
    child.kill('SIGTERM');
    const [code] = await once(child, 'close');
    expect([code, Buffer.concat(stdout).toString()]).toEqual([143, '{"saved":true}\n']);
  });

  it('ends at once at the second signal, for which it does not take an echo of the first', async () => {
    const launcher = programThat(
      `console.error('ready'); await new Promise(() => setInterval(() => {}, 1000));`,
    );
    const child = spawn(process.execPath, [launcher, 'act'], { stdio: 'pipe' });
    await once(child.stderr, 'data');
    child.kill('SIGINT');
    await once(child.stderr, 'data');
    child.kill('SIGINT');
    await sleep(700);
    expect(child.exitCode).toBe(null);
    child.kill('SIGINT');
    expect((await once(child, 'close'))[0]).toBe(130);
  });

  it('stops quietly when its reader leaves', async () => {
    const launcher = programThat(`
      for (let n = 0; !signal.aborted; n++) { terminal.line('line ' + n); await new Promise((r) => setImmediate(r)); }
      return {};`);
    const child = spawn(process.execPath, [launcher, 'act'], { stdio: 'pipe' });
    const complaint: Buffer[] = [];
    child.stderr.on('data', (chunk) => complaint.push(chunk));
    await once(child.stdout, 'data');
    child.stdout.destroy();
    const [code] = await once(child, 'close');
    expect([code, Buffer.concat(complaint).toString()]).toEqual([0, '']);
  });
});
