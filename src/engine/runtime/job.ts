// Heavy work runs in an engine process of its own, which owns all sessions, weights, the optimiser and checkpoint
// writing; the caller's event loop stays free. A job is an exported function of a module; what it is given and what
// it returns or emits crosses as structured clones.
//
// A process and not a thread, because the allocator is set at start to keep freed memory: sessions then share one
// heap instead of an arena each (measured: the same speed, 40% less memory), and because the runtime may abort.

import { AsyncLocalStorage } from 'node:async_hooks';
import { fork, type Serializable } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Mistake, UserError } from '../errors.ts';
import type { Backend } from './backend.ts';
import { type BackendOptions, openBackend } from './onnx-backend.ts';
import { alone, type Workers } from './workers.ts';

export interface Job {
  /** URL of the module (built, not TypeScript) and the function that it exports. */
  module: string;
  name: string;
  payload: unknown;
}

export interface JobContext<Event> {
  emit(event: Event): void;
  /** Aborts when the caller asks the job to stop; the job then saves and returns, or throws its reason. */
  signal: AbortSignal;
  /** The processes that do the job together; default this one alone. */
  workers?: Workers;
  /** Gives the job its device; default one of this machine. */
  openBackend?: (options: BackendOptions) => Promise<Backend>;
}

/** The device that a job computes on: the only way in which a job opens one. */
export function backendOf(
  { openBackend: open = openBackend, workers = alone }: Pick<JobContext<never>, 'openBackend' | 'workers'>,
  { device, threads }: BackendOptions,
): Promise<Backend> {
  return open({ device, threads, workers });
}

/** What a job gets that is talked to while it runs. */
export interface TalkingJobContext<Event, Message> extends JobContext<Event> {
  /**
   * What the caller sends, in order. They end when the caller closes the job, asks it to stop, or is gone.
   * To be read once.
   */
  messages: AsyncIterable<Message>;
}

export type JobFunction<Payload, Event, Result, Message = never> = (
  payload: Payload,
  context: TalkingJobContext<Event, Message>,
) => Promise<Result>;

export interface JobOptions<Event> {
  onEvent?: (event: Event) => void;
  signal?: AbortSignal;
  /**
   * How long the job may go on after the signal before its process is killed; after its caller is gone too, unless it
   * never lets its event loop run.
   */
  graceMs?: number;
}

/** Time for a slow step and its checkpoint. */
export const defaultGraceMs = 120_000;

/** A longer timer would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

export type ToHost =
  | { kind: 'start'; job: Job; graceMs: number }
  | { kind: 'message'; message: unknown }
  | { kind: 'no-more-messages' }
  | { kind: 'stop' };
export type FromHost =
  | { kind: 'event'; event: unknown }
  /** `peakMemoryBytes`: the most resident memory that the engine process has had. */
  | { kind: 'done'; result: unknown; peakMemoryBytes: number }
  /** The job threw its signal's reason. */
  | { kind: 'stopped' }
  | { kind: 'mistake'; mistake: Mistake }
  | { kind: 'bug'; message: string; stack?: string };

/** Freed memory is kept, and in one heap for all threads: with one each, runs on another thread touch ever more. */
const keepFreedMemory = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '4294967296',
  MALLOC_TRIM_THRESHOLD_: '34359738368',
  MALLOC_TOP_PAD_: '67108864',
};

/** V8 lets its nursery grow to 48 MB in the middle of a long run, and a run has little use for one: 12 MB. */
const smallNursery = '--max-semi-space-size=4';

/** A job that was started, and can be sent messages. */
export interface RunningJob<Result, Message> {
  /** Rejects with what the job throws: a UserError with its message, anything else with the job's stack. */
  result: Promise<Result>;
  send(message: Message): void;
  /** Ends the job's messages. */
  close(): void;
}

interface MemoryAccount {
  peakBytes: number;
}
const accounts = new AsyncLocalStorage<MemoryAccount>();

/**
 * Does some work, and gives beside its result the most resident memory, in bytes, of any engine process whose job was
 * started and done within it; 0 when there was none.
 */
export async function withPeakMemory<T>(work: () => Promise<T>): Promise<{ result: T; peakBytes: number }> {
  const account: MemoryAccount = { peakBytes: 0 };
  const result = await accounts.run(account, work);
  return { result, peakBytes: account.peakBytes };
}

/**
 * Runs a job in a new engine process and ends that process.
 * @throws what the job throws: a UserError with its message, the reason of `signal`, anything else with the job's stack;
 *   the reason of `signal` too when the job outlasts its grace
 */
export function runJob<Event, Result>(job: Job, options: JobOptions<Event> = {}): Promise<Result> {
  const running = startJob<Event, Result, never>(job, options);
  running.close();
  return running.result;
}

/** Starts a job in a new engine process, which ends with the job. */
export function startJob<Event, Result, Message>(
  job: Job,
  { onEvent, signal, ...options }: JobOptions<Event> = {},
): RunningJob<Result, Message> {
  const graceMs = Math.min(options.graceMs ?? defaultGraceMs, longestTimerMs);
  const host = fork(fileURLToPath(new URL('./job-host.js', import.meta.url)), {
    serialization: 'advanced',
    env: { ...process.env, ...keepFreedMemory },
    execArgv: [...process.execArgv, smallNursery],
  });
  const send = (message: ToHost) => {
    if (host.connected) host.send(message as Serializable);
  };
  const kill = () => void host.kill('SIGKILL');
  let deadline: NodeJS.Timeout | undefined;
  const stop = () => {
    send({ kind: 'stop' });
    deadline = setTimeout(kill, graceMs);
    // A caller that ends now does not want to wait.
    process.once('exit', kill);
  };
  const account = accounts.getStore();
  const result = new Promise<Result>((resolve, reject) => {
    host.on('message', (message: FromHost) => {
      if (message.kind === 'event') onEvent?.(message.event as Event);
      else if (message.kind === 'done') {
        if (account) account.peakBytes = Math.max(account.peakBytes, message.peakMemoryBytes);
        resolve(message.result as Result);
      } else if (message.kind === 'stopped' && signal?.aborted) reject(signal.reason);
      else reject(failureOf(message));
    });
    host.on('error', reject);
    // After a result this rejection changes nothing.
    host.on('exit', (code, name) => reject(host.killed ? signal?.reason : deathOf(code, name)));
    signal?.addEventListener('abort', stop);
    send({ kind: 'start', job, graceMs });
    if (signal?.aborted) stop();
  }).finally(() => {
    signal?.removeEventListener('abort', stop);
    clearTimeout(deadline);
    process.off('exit', kill);
    if (host.connected) host.disconnect();
  });
  return {
    result,
    send: (message) => send({ kind: 'message', message }),
    close: () => send({ kind: 'no-more-messages' }),
  };
}

function failureOf(message: FromHost & { kind: 'mistake' | 'bug' | 'stopped' }): Error {
  if (message.kind === 'stopped') return new Error('the engine process was stopped');
  if (message.kind === 'mistake') return new UserError(message.mistake);
  const error = new Error(message.message);
  error.stack = message.stack;
  return error;
}

function deathOf(code: number | null, name: NodeJS.Signals | null): Error {
  if (name !== 'SIGKILL') return new Error(`the engine process ended with ${name ?? `code ${code}`}`);
  return new UserError({
    where: 'the engine process',
    expected: 'enough memory',
    found: 'an end by SIGKILL, which the system sends when memory runs out',
    advice: 'a smaller --micro-batch-tokens or a smaller model',
  });
}
