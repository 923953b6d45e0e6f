// One run in several processes, as `npm run build` left heed: the bytes of the run in one process.

import { fork } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { groupDefaults, type TinyWorld, tinyWorld } from '../methods/testing/tiny-on-policy.ts';
import { writePreferences } from './testing/tiny-comparisons.ts';
import { timelessLog, trainingDefaults, writeDemonstrations } from './testing/tiny-run.ts';

const builtUrl = (name: string) => pathToFileURL(resolve('dist', name)).href;

let folder: string;
let world: TinyWorld;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-workers-'));
  world = await tinyWorld(folder, { ending: 20 });
  // A worker: runs the job, and gathers through the process that started it.
  writeFileSync(
    join(folder, 'worker.mjs'),
    `import { gatheringWorkers } from '${builtUrl('engine/runtime/workers.js')}';
    let answer;
    process.on('message', async (message) => {
      if (message.gathered) return answer(message.gathered);
      const { module, name, payload, rank, size } = message;
      const gather = (value) => new Promise((done) => { answer = done; process.send({ value }); });
      const workers = size === 1 ? undefined : gatheringWorkers({ rank, size }, gather);
      const job = (await import(module))[name];
      await job(payload, { emit() {}, signal: new AbortController().signal, workers });
      process.disconnect();
    });`,
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a job in processes that gather through this one. @returns how often they gathered */
async function runIn(size: number, job: { module: string; name: string; payload: object }): Promise<number> {
  let rounds = 0;
  let values = new Map<number, unknown>();
  const workers = Array.from({ length: size }, () =>
    fork(join(folder, 'worker.mjs'), { serialization: 'advanced' }),
  );
  const ends = workers.map((worker, rank) => {
    worker.on('message', ({ value }: { value: unknown }) => {
      values.set(rank, value);
      if (values.size < size) return;
      const gathered = Array.from({ length: size }, (_, i) => values.get(i));
      [values, rounds] = [new Map(), rounds + 1];
      for (const each of workers) each.send({ gathered });
    });
    return new Promise<number | null>((done) => worker.on('exit', done));
  });
  workers.forEach((worker, rank) => {
    worker.send({ ...job, rank, size });
  });
  expect(await Promise.all(ends)).toEqual(workers.map(() => 0));
  return rounds;
}

/** Of the trained weights and of the optimiser's last state. */
function bytesOf(run: string): Buffer[] {
  const models = ['model.safetensors', 'adapter_model.safetensors'].map((name) => join(run, 'model', name));
  const weights = models.filter((path) => existsSync(path));
  return [...weights, join(run, 'checkpoints/step-00000004/optimizer.safetensors')].map((path) =>
    readFileSync(path),
  );
}

const sft = () => ({
  data: [writeDemonstrations(folder, 20)],
  truncation: 'drop',
  maxSteps: 4,
  microBatchTokens: 32,
});
const grpo = () => ({
  ...{ ...groupDefaults, data: world.data, epochs: 2, batchSize: 3, generationBatchSize: 4, iterations: 2 },
  reward: [`${world.rewards}#vowels`],
});
const reward = () => {
  const evalData = writePreferences(folder, 6, 'held-out.jsonl');
  const own = { loss: 'bradley-terry', margin: 0, centering: 0, truncation: 'drop', maxSteps: 4 };
  return { ...own, data: [writePreferences(folder, 20)], evalData: [evalData] };
};

describe.each([
  ['sft', sft],
  ['sft', () => ({ ...sft(), loraRank: 2, loraDropout: 0.2 })],
  ['grpo', grpo],
  ['reward', reward],
] as const)('%s %#', (name, options) => {
  it.each([2, 3])(
    'in %i processes leaves the bytes of one',
    async (size) => {
      const out = (count: number) =>
        join(folder, `${name}-${JSON.stringify(options()).length}-${size}-${count}`);
      const jobIn = (count: number) => ({
        ...{ module: builtUrl(`align/methods/${name}.js`), name },
        payload: {
          ...trainingDefaults,
          model: world.model,
          ...options(),
          out: out(count),
          saveEvery: 2,
        },
      });
      expect(await runIn(1, jobIn(1))).toBe(0);
      expect(await runIn(size, jobIn(size))).toBeGreaterThan(3);
      const steps = timelessLog(out(1)).filter(({ type }) => type === 'step').length;
      expect(steps).toBeGreaterThan(3);
      expect(timelessLog(out(size))).toEqual(timelessLog(out(1)));
      expect(bytesOf(out(size))).toEqual(bytesOf(out(1)));
    },
    120_000,
  );
});
