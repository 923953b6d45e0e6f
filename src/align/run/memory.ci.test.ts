// Soak: the engine process of a long run, as `npm run build` left it, must not grow.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveTinyModel, trainingDefaults, writeDemonstrations } from './testing/tiny-run.ts';

const builtUrl = (name: string) => pathToFileURL(resolve('dist', name)).href;
const { runJob } = (await import(
  /* @vite-ignore */ builtUrl('engine/runtime/job.js')
)) as typeof import('../../engine/runtime/job.ts');

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-memory-'));
  await saveTinyModel(join(folder, 'base'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Processes whose parent is this one and that run the engine's host. */
function enginePids(): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      const isOwn = readFileSync(`/proc/${pid}/status`, 'utf8').includes(`PPid:\t${process.pid}\n`);
      return isOwn && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('job-host.js');
    } catch {
      return false;
    }
  });
}

function residentMegabytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}

describe.skipIf(process.platform !== 'linux')('the memory of a run (read from /proc)', () => {
  it.each([100, 5000])(
    'after 2,000 updates is at most 1.05 × that after 200, saved every %i',
    async (saveEvery) => {
      const out = join(folder, `run-${saveEvery}`);
      const payload = {
        ...{ ...trainingDefaults, threads: 2, batchSize: 4, maxSteps: 2000, epochs: 1000, saveEvery, out },
        ...{ model: join(folder, 'base'), data: [writeDemonstrations(folder, 40)] },
        ...{ truncation: 'drop', schedule: 'constant' },
      };
      const measured = new Map<number, number>();
      const onEvent = ({ type, step }: { type: string; step: number }) => {
        if (type !== 'step' || step % 100 !== 0) return;
        const [pid] = enginePids();
        measured.set(step, residentMegabytes(pid));
      };
      await runJob({ module: builtUrl('align/methods/sft.js'), name: 'sft', payload }, { onEvent });
      expect(measured.get(200)).toBeGreaterThan(50);
      expect(measured.get(2000), JSON.stringify([...measured])).toBeLessThanOrEqual(
        1.05 * measured.get(200)!,
      );
    },
    120_000,
  );
});
