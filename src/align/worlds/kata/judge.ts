// A pool of threads that judge answers. The wall clock decides nothing: when a batch takes too long, the pool stops
// with an error, and no verdict is given.

import { Worker } from 'node:worker_threads';
import { defaultLimits, type JudgeRequest, type Limits, type Verdict } from './judge-core.ts';
import type { Batch, BatchResult } from './judge-worker.ts';

export interface JudgeOptions {
  /** Threads; default 2. */
  workers?: number;
  limits?: Partial<Limits>;
  /** For a batch of at most 16 answers; default 60 s. */
  backstopMs?: number;
}

const BATCH_SIZE = 16;
/** Far more than QuickJS is allowed, so that its own limit is always the one that is met. */
const WORKER_STACK_MB = 8;

interface Job {
  batch: Batch;
  done: (verdicts: Verdict[]) => void;
  failed: (error: Error) => void;
}

interface Seat {
  worker: Worker;
  job?: Job;
  timer?: NodeJS.Timeout;
}

export class Judge {
  private readonly seats: Seat[];
  private readonly waiting: Job[] = [];
  private readonly backstopMs: number;
  private nextId = 0;
  private fault?: Error;

  constructor({ workers = 2, limits, backstopMs = 60_000 }: JudgeOptions = {}) {
    this.backstopMs = backstopMs;
    this.seats = Array.from({ length: workers }, () => this.openSeat({ ...defaultLimits, ...limits }));
  }

  /**
   * Verdicts in the order of the requests; the same for any number of threads.
   * @throws Error when a batch outlasts the backstop, or a thread ends; the pool is then closed
   */
  async judge(requests: readonly JudgeRequest[]): Promise<Verdict[]> {
    const batches: Promise<Verdict[]>[] = [];
    for (let i = 0; i < requests.length; i += BATCH_SIZE) {
      batches.push(this.enqueue(requests.slice(i, i + BATCH_SIZE)));
    }
    return (await Promise.all(batches)).flat();
  }

  async close(): Promise<void> {
    this.fail(new Error('the judge was closed'));
    await Promise.all(this.seats.map(({ worker }) => worker.terminate()));
  }

  private openSeat(limits: Limits): Seat {
    const worker = new Worker(new URL('./judge-worker.js', import.meta.url), {
      workerData: limits,
      resourceLimits: { stackSizeMb: WORKER_STACK_MB },
    });
    worker.unref();
    const seat: Seat = { worker };
    worker.on('message', (result: BatchResult) => this.finish(seat, result));
    worker.on('error', (error) => this.fail(error as Error));
    worker.on('exit', (code) => this.fail(new Error(`a thread of the judge ended with code ${code}`)));
    return seat;
  }

  private enqueue(requests: readonly JudgeRequest[]): Promise<Verdict[]> {
    if (this.fault) return Promise.reject(this.fault);
    return new Promise((done, failed) => {
      this.waiting.push({ batch: { id: this.nextId++, requests }, done, failed });
      for (const seat of this.seats) this.seatNext(seat);
    });
  }

  private seatNext(seat: Seat): void {
    if (seat.job || this.fault) return;
    seat.job = this.waiting.shift();
    if (!seat.job) {
      seat.worker.unref();
      return;
    }
    seat.worker.ref();
    seat.timer = setTimeout(() => this.overrun(), this.backstopMs);
    seat.worker.postMessage(seat.job.batch);
  }

  private finish(seat: Seat, result: BatchResult): void {
    clearTimeout(seat.timer);
    const job = seat.job;
    seat.job = undefined;
    if ('error' in result) job?.failed(new Error(`the judge failed: ${result.error}`));
    else job?.done(result.verdicts);
    this.seatNext(seat);
  }

  private overrun(): void {
    const seconds = this.backstopMs / 1000;
    this.fail(new Error(`the judge gave no verdict within ${seconds} s; the run cannot go on`));
    for (const { worker } of this.seats) void worker.terminate();
  }

  /** Ends everything that waits; the first fault is the one that is reported. */
  private fail(error: Error): void {
    if (this.fault) return;
    this.fault = error;
    for (const seat of this.seats) {
      clearTimeout(seat.timer);
      seat.job?.failed(error);
      seat.job = undefined;
    }
    for (const job of this.waiting.splice(0)) job.failed(error);
  }
}
