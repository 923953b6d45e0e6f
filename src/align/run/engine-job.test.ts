import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveTinyModel, tinyConfig, trainingDefaults, writeDemonstrations } from './testing/tiny-run.ts';

// The engine process needs built modules, so the whole is tested as `npm run build` left it.
const built = pathToFileURL(resolve('dist/engine/runtime/job.js')).href;
const { runJob, startJob } = (await import(
  /* @vite-ignore */ built
)) as typeof import('../../engine/runtime/job.ts');

let folder: string;
let module: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-job-'));
  const file = join(folder, 'jobs.mjs');
  const errors = JSON.stringify(pathToFileURL(resolve('dist/engine/errors.js')).href);
  writeFileSync(
    file,
    `import { FormatError } from ${errors};
     export async function add({ numbers }, { emit }) {
       for (const number of numbers) emit({ number });
       return { sum: numbers.reduce((a, b) => a + b, 0), type: numbers.constructor.name };
     }
     export async function mistaken() {
       throw new FormatError({ where: 'a.json:3', expected: 'a number', found: 'a word', advice: '7' });
     }
     export async function broken() { return undefined.property; }
     export async function unclonable() { return { act() {} }; }
     export async function killed() { process.kill(process.pid, 'SIGKILL'); await new Promise(() => setInterval(() => {}, 1000)); }
     export async function exits() { process.exit(7); }
     export async function listens(_, { emit, messages }) {
       const heard = [];
       for await (const message of messages) {
         heard.push(message);
         emit(heard.length);
       }
       return heard;
     }
     export async function gives(_, { emit, signal }) {
       emit(0);
       for (;;) {
         signal.throwIfAborted();
         await new Promise((done) => setTimeout(done, 5));
       }
     }
     export async function deaf(_, { emit }) {
       emit(process.pid);
       await new Promise(() => setInterval(() => {}, 1000));
     }
     export async function busy(_, { emit }) {
       emit(process.pid);
       await new Promise((done) => setTimeout(done, 50));
       for (;;);
     }
     export async function waits(_, { emit, signal }) {
       emit(process.pid);
       const timer = setInterval(() => {}, 1000);
       if (!signal.aborted) await new Promise((done) => signal.addEventListener('abort', done));
       clearInterval(timer);
       return 'saved';
     }`,
  );
  module = pathToFileURL(file).href;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const failureOf = (name: string): Promise<Error> =>
  runJob({ module, name, payload: {} }).then(
    () => new Error('no failure'),
    (error) => error,
  );

/** True while the process is there; a zombie is not. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('a job', () => {
  it('gets typed arrays and gives events in order and its result', async () => {
    const events: unknown[] = [];
    const payload = { numbers: Float32Array.of(0.5, 2, 4) };
    const result = await runJob({ module, name: 'add', payload }, { onEvent: (event) => events.push(event) });
    expect(result).toEqual({ sum: 6.5, type: 'Float32Array' });
    expect(events).toEqual([{ number: 0.5 }, { number: 2 }, { number: 4 }]);
  });

  it("passes a user's mistake on with its parts", async () => {
    const error = (await failureOf('mistaken')) as Error & { mistake: object };
    expect(error.message).toBe('a.json:3: expected a number, got a word. Try 7.');
    expect(error.constructor.name).toBe('UserError');
    expect(error.mistake).toEqual({ where: 'a.json:3', expected: 'a number', found: 'a word', advice: '7' });
  });

  it.each([
    ['broken', /TypeError: Cannot read properties of undefined/, /jobs\.mjs:\d+/],
    ['missing', /TypeError: .* is not a function/, /job-host\.js/],
    ['unclonable', /could not be cloned/, /job-host\.js/],
  ])('that is %s fails as a bug with the stack of the engine process', async (name, message, stack) => {
    const error = await failureOf(name);
    expect(error.message).toMatch(message);
    expect(error.stack).toMatch(stack);
    expect(error).not.toHaveProperty('mistake');
  });

  it('that is killed is told as want of memory', async () => {
    expect((await failureOf('killed')).message).toMatch(
      /^the engine process: expected enough memory, got an end by SIGKILL.* Try a smaller --micro-batch-tokens/,
    );
  });

  it('that leaves without a word is a bug that names its exit code', async () => {
    const error = await failureOf('exits');
    expect(error.message).toBe('the engine process ended with code 7');
    expect(error).not.toHaveProperty('mistake');
  });

  it('hears the signal, may finish, and its process ends', async () => {
    const controller = new AbortController();
    let pid = 0;
    const onEvent = (event: number) => {
      pid = event;
      controller.abort();
    };
    const result = await runJob<number, string>(
      { module, name: 'waits', payload: {} },
      { onEvent, signal: controller.signal },
    );
    expect(result).toBe('saved');
    await expect.poll(() => isRunning(pid)).toBe(false);
  });

  it.each(['deaf', 'busy'])('that is %s to the signal is killed after its grace', async (name) => {
    const controller = new AbortController();
    const reason = new Error('the caller has had enough');
    let pid = 0;
    const onEvent = (event: number) => {
      pid = event;
      controller.abort(reason);
    };
    const options = { onEvent, signal: controller.signal, graceMs: 300 };
    await expect(runJob({ module, name, payload: {} }, options)).rejects.toBe(reason);
    await expect.poll(() => isRunning(pid)).toBe(false);
  });

  it.each([undefined, Infinity])(
    'is stopped at once when the signal was given before (grace %s)',
    async (graceMs) => {
      const options = { signal: AbortSignal.abort(), graceMs };
      expect(await runJob({ module, name: 'waits', payload: {} }, options)).toBe('saved');
    },
  );

  it("that throws its signal's reason fails with its caller's", async () => {
    const controller = new AbortController();
    const reason = new Error('the caller has had enough');
    const onEvent = () => controller.abort(reason);
    const running = runJob({ module, name: 'gives', payload: {} }, { onEvent, signal: controller.signal });
    await expect(running).rejects.toBe(reason);
  });

  it('hears messages in order, until they are closed', async () => {
    const heard: number[] = [];
    const job = startJob<number, unknown[], unknown>(
      { module, name: 'listens', payload: {} },
      { onEvent: (count) => heard.push(count) },
    );
    const messages = [{ ask: 'one' }, null, Float32Array.of(0.5)];
    for (const message of messages) job.send(message);
    job.close();
    job.send('too late');
    expect(await job.result).toEqual(messages);
    expect(heard).toEqual([1, 2, 3]);
  });

  it('hears no more messages once it is to stop, and none when run without any', async () => {
    const controller = new AbortController();
    const onEvent = () => controller.abort();
    const job = startJob<number, unknown[], string>(
      { module, name: 'listens', payload: {} },
      { onEvent, signal: controller.signal },
    );
    job.send('first');
    expect(await job.result).toEqual(['first']);
    expect(await runJob({ module, name: 'listens', payload: {} })).toEqual([]);
  });

  it.each([
    ['is killed', 'waits', `process.kill(process.pid, 'SIGKILL')`],
    ['is killed, after its grace even when deaf', 'deaf', `process.kill(process.pid, 'SIGKILL')`],
    ['ends after it asked the job to stop', 'busy', `stop.abort(); setTimeout(() => process.exit(), 200)`],
  ])('ends when its caller %s', async (_, name, end) => {
    const caller = `import { runJob } from ${JSON.stringify(built)};
      const stop = new AbortController();
      const onEvent = (pid) => { console.log(pid); ${end}; };
      const options = { onEvent, signal: stop.signal, graceMs: ${name === 'busy' ? 60_000 : 300} };
      await runJob({ module: ${JSON.stringify(module)}, name: '${name}', payload: {} }, options);`;
    writeFileSync(join(folder, 'caller.mjs'), caller);
    const { stdout: output, stderr } = spawnSync(process.execPath, [join(folder, 'caller.mjs')], {
      encoding: 'utf8',
    });
    expect(Number(output)).toBeGreaterThan(1);
    expect(stderr).toBe('');
    await expect.poll(() => isRunning(Number(output))).toBe(false);
  });
});

describe('training', () => {
  it("leaves its caller's event loop free: delay p99 < 50 ms while steps take over 100 ms", async () => {
    const base = join(folder, 'base');
    const sizes = {
      hiddenSize: 256,
      layers: 6,
      heads: 4,
      keyValueHeads: 4,
      headSize: 64,
      intermediateSize: 704,
    };
    await saveTinyModel(base, tinyConfig('llama', sizes));
    const data = [writeDemonstrations(folder, 128)];
    const payload = {
      ...{ ...trainingDefaults, threads: 2, batchSize: 32, microBatchTokens: 512, maxSteps: 8, epochs: 3 },
      ...{ model: base, data, out: join(folder, 'run'), truncation: 'drop', schedule: 'constant' },
    };
    const sftModule = pathToFileURL(resolve('dist/align/methods/sft.js')).href;
    const times: number[] = [];
    const delay = monitorEventLoopDelay({ resolution: 5 });
    const idle = new IdleThread();
    const onEvent = ({ type }: { type: string }) => {
      if (type === 'started') delay.enable();
      if (type === 'step') times.push(performance.now());
    };
    await runJob({ module: sftModule, name: 'sft', payload }, { onEvent });
    delay.disable();
    const durations = times.slice(1).map((time, i) => time - times[i]);
    expect(durations).toHaveLength(7);
    expect(durations.sort((a, b) => a - b)[3]).toBeGreaterThan(100);
    // On a machine that is busy with other things even a thread that does nothing is late.
    expect(delay.percentile(99) / 1e6).toBeLessThan(Math.max(50, 2 * (await idle.delay())));
  });
});

/** A thread that does nothing but measure how late its own event loop is. */
class IdleThread {
  private readonly worker = new Worker(
    `const { monitorEventLoopDelay } = require('node:perf_hooks');
     const { parentPort } = require('node:worker_threads');
     const delay = monitorEventLoopDelay({ resolution: 5 });
     delay.enable();
     parentPort.once('message', () => parentPort.postMessage(delay.percentile(99) / 1e6));`,
    { eval: true },
  );

  /** @returns ms, the 99th percentile since it began */
  delay(): Promise<number> {
    return new Promise((resolve) => {
      this.worker.once('message', resolve);
      this.worker.postMessage('stop');
    });
  }
}
