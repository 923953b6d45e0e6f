// Nothing leaves the machine: half a minute of training, as `npm run build` left heed, under strace.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveTinyModel, writeDemonstrations } from './align/run/testing/tiny-run.ts';

const trainingSeconds = 30;
const hasStrace = spawnSync('strace', ['-V']).status === 0;

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-offline-'));
  await saveTinyModel(join(folder, 'base'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Addresses that a trace connects or sends to, loopback's and those of this machine's own files excepted. */
function remoteAddresses(trace: string): string[] {
  const lines = trace.split('\n').filter((line) => /\b(?:connect|sendto|sendmsg|sendmmsg)\(/.test(line));
  return lines.filter((line) => /AF_INET/.test(line) && !/"127\.\d+\.\d+\.\d+"|"::1"/.test(line));
}

/** Runs Node under strace, in a temporary folder of its own. */
function traced(...words: string[]) {
  const log = join(folder, 'trace.log');
  const temporary = mkdtempSync(join(folder, 'tmp-'));
  const { ORT_DISABLE_TELEMETRY: _, ...env } = process.env;
  const strace = ['-f', '-e', 'trace=%network', '-o', log, process.execPath, ...words];
  const { status, stderr } = spawnSync('strace', strace, {
    env: { ...env, TMPDIR: temporary },
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  return { remote: remoteAddresses(readFileSync(log, 'utf8')), left: readdirSync(temporary) };
}

describe.skipIf(!hasStrace)('offline (strace is needed)', () => {
  it('opens no socket beyond loopback while it trains, and leaves no log of the runtime', () => {
    const options = ['--model', join(folder, 'base'), '--data', writeDemonstrations(folder, 40)];
    const endless = ['--epochs', '1000000', '--schedule', 'constant', '--out', join(folder, 'run')];
    const seconds = `timeout --signal=INT ${trainingSeconds} node`;
    const command = [resolve('bin/heed.js'), 'sft', ...options, ...endless].map((word) => `'${word}'`);
    const script = join(folder, 'train.mjs');
    writeFileSync(
      script,
      `import { spawnSync } from 'node:child_process';
      const { stderr } = spawnSync('sh', ['-c', ${JSON.stringify(`${seconds} ${command.join(' ')}`)}], { encoding: 'utf8' });
      if (!/sft \\d/.test(stderr)) { console.error(stderr); process.exitCode = 1; }`,
    );
    const { remote, left } = traced(script);
    expect(remote).toEqual([]);
    expect(left.filter((name) => name.startsWith('mat-debug'))).toEqual([]);
  }, 120_000);

  it('switches the telemetry off when a program imports heed alone', () => {
    const script = join(folder, 'program.mjs');
    const heed = new URL('../dist/index.js', import.meta.url).href;
    writeFileSync(
      script,
      `import { graph, openBackend } from ${JSON.stringify(heed)};
      const backend = await openBackend();
      const x = graph.input('x', [2]);
      const program = await backend.compile({ y: graph.add(x, x) });
      const { y } = await program.run({ x: Float32Array.of(1, 2) });
      if (y[1] !== 4) process.exitCode = 1;
      await new Promise((done) => setTimeout(done, 5000));`,
    );
    const { remote, left } = traced(script);
    expect(remote).toEqual([]);
    expect(left.filter((name) => name.startsWith('mat-debug'))).toEqual([]);
  }, 60_000);
});
