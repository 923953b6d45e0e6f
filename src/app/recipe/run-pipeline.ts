// Runs a plan: what is finished is left, what was begun is resumed, the rest is computed; pipeline.json follows. Killed at
// any moment, the next run goes on from there.

import { existsSync, mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FolderLock, lockName } from '../../align/run/lock.ts';
import { UserError } from '../../engine/errors.ts';
import { defaultGraceMs, withPeakMemory } from '../../engine/runtime/job.ts';
import { discardFolder } from '../../language/checkpoint/commit.ts';
import { hasOption } from '../stages/stage.ts';
import {
  newPipeline,
  type Pipeline,
  type PipelineStage,
  type PipelineStatus,
  readPipelineIfThere,
  writePipeline,
} from './pipeline-file.ts';
import { type Plan, type PlannedStage, shown } from './plan-pipeline.ts';
import { respellPaths } from './respell-paths.ts';
import { onDisk, type StageRecord, type StageState, stageState, writeStageRecord } from './stage-record.ts';

export type PipelineEvent = { stage: PlannedStage; number: number; count: number } & (
  | { type: 'unchanged'; record: StageRecord }
  | { type: 'started'; resumes: boolean }
  /** A process that was killed leaves an engine that still saves; it is given time to end. */
  | { type: 'waiting' }
  | { type: 'finished'; record: StageRecord }
  | { type: 'interrupted' }
);

export interface PipelineOptions {
  /** Runs a command with checked options; may throw the signal's reason when it is stopped. */
  perform: (stage: PlannedStage, options: Record<string, unknown>, signal: AbortSignal) => Promise<object>;
  onEvent: (event: PipelineEvent) => void;
  signal: AbortSignal;
  /** Names of the stages to run; default: all. */
  selected?: readonly string[];
  /** Stages that run at once where none waits for another; default 1. */
  jobs?: number;
}

export interface PipelineResult extends Pipeline {
  /** Whether every stage of the plan is finished now. */
  isComplete: boolean;
}

/**
 * Runs the selected stages in order, the next beside those at work unless it reads one of them. When `signal` aborts,
 * the stages at work save and no other begins; when one fails, those beside it end first.
 * @throws UserError what a stage throws, with its name; when a stage's inputs are not finished; when another process
 *   runs in the folder
 */
export async function runPipeline(plan: Plan, options: PipelineOptions): Promise<PipelineResult> {
  await onDisk(plan.out, () => mkdirSync(plan.out, { recursive: true }));
  const lock = await onDisk(plan.out, () => FolderLock.take(plan.out));
  try {
    const runner = new PipelineRunner(plan, options, lock, await readPipelineIfThere(plan.out));
    await runner.run();
    const isComplete = runner.pipeline.stages.every(
      ({ status }) => status === 'done' || status === 'unchanged',
    );
    return { ...runner.pipeline, isComplete };
  } finally {
    lock.release();
  }
}

class PipelineRunner {
  readonly pipeline: Pipeline;
  private readonly plan: Plan;
  private readonly options: PipelineOptions;
  private readonly lock: FolderLock;
  /** Seconds of earlier attempts by key. */
  private readonly spent: ReadonlyMap<string, number>;
  private writing: Promise<void> = Promise.resolve();

  constructor(plan: Plan, options: PipelineOptions, lock: FolderLock, before: Pipeline | undefined) {
    this.pipeline = newPipeline(plan);
    this.plan = plan;
    this.options = options;
    this.lock = lock;
    const unfinished =
      before?.stages.filter(({ status }) => status !== 'done' && status !== 'unchanged') ?? [];
    this.spent = new Map(unfinished.map(({ key, seconds }) => [key, seconds ?? 0]));
  }

  async run(): Promise<void> {
    for (const stage of this.plan.stages) {
      const state = await stageState(stage);
      if (state.kind === 'finished') this.note(stage, 'unchanged', state.record);
      else this.entry(stage).seconds = this.spent.get(stage.key) ?? null;
    }
    await this.write();
    const { selected, jobs = 1 } = this.options;
    const waiting = this.plan.stages.filter(({ name }) => selected?.includes(name) !== false);
    const running = new Map<PlannedStage, Promise<void>>();
    const failures: unknown[] = [];
    const isReady = ({ needs }: PlannedStage) =>
      [...waiting, ...running.keys()].every(({ name }) => !needs.includes(name));
    for (;;) {
      while (running.size < jobs && failures.length === 0 && !this.options.signal.aborted) {
        const ready = waiting.findIndex((stage) => !isReady(stage));
        if (ready === 0 || waiting.length === 0) break;
        const next = waiting.slice(0, ready < 0 ? waiting.length : ready);
        const toRun = next.filter(({ name }) => this.entry({ name }).status !== 'unchanged');
        const atOnce = Math.min(jobs, running.size + toRun.length);
        const stage = waiting.shift()!;
        const threads = threadsOf(stage, atOnce);
        const work = this.visit(stage, threads)
          .catch((error) => void failures.push(error))
          .finally(() => running.delete(stage));
        running.set(stage, work);
      }
      if (running.size === 0) break;
      await Promise.race(running.values());
    }
    if (failures.length > 0) throw failures[0];
  }

  private async visit(stage: PlannedStage, threads: object): Promise<void> {
    const state = await stageState(stage);
    if (state.kind === 'finished') {
      this.announce(stage, { type: 'unchanged', record: state.record });
      return;
    }
    this.requireInputs(stage);
    this.note(stage, 'running');
    await this.write();
    this.announce(stage, { type: 'started', resumes: resumes(stage, state) });
    await this.compute(stage, state, threads);
    await this.write();
  }

  private async compute(stage: PlannedStage, state: StageState, threads: object): Promise<void> {
    const begun = performance.now();
    const seconds = () => (this.spent.get(stage.key) ?? 0) + (performance.now() - begun) / 1000;
    const { signal } = this.options;
    try {
      const options = { ...(await this.prepare(stage, state)), ...threads };
      const { result, peakBytes } = await withPeakMemory(() => this.options.perform(stage, options, signal));
      if (signal.aborted) return this.interrupt(stage, seconds());
      // Of this program since its start, and of the stage's largest engine process.
      const peakMemoryBytes = process.resourceUsage().maxRSS * 1024 + peakBytes;
      await this.finish(stage, { key: stage.key, seconds: seconds(), peakMemoryBytes, result });
    } catch (error) {
      if (signal.aborted && error === signal.reason) return this.interrupt(stage, seconds());
      this.note(stage, 'failed');
      this.entry(stage).seconds = seconds();
      // What stopped the stage, such as a full disk, may stop this too, and is what must be reported.
      await this.write().catch(() => {});
      throw inStage(stage, error);
    }
  }

  private async finish(stage: PlannedStage, record: StageRecord): Promise<void> {
    this.lock.assertHeld();
    await writeStageRecord(stage.folder, record);
    this.note(stage, 'done', record);
    this.announce(stage, { type: 'finished', record });
  }

  private interrupt(stage: PlannedStage, seconds: number): void {
    this.note(stage, 'interrupted');
    this.entry(stage).seconds = seconds;
    this.announce(stage, { type: 'interrupted' });
  }

  /** The options to run with; a half-made folder is made ready to be resumed, or removed where it cannot be. */
  private async prepare(stage: PlannedStage, state: StageState): Promise<Record<string, unknown>> {
    if (state.kind === 'absent') return stage.options;
    if (!resumes(stage, state)) {
      await onDisk(stage.folder, () => discardFolder(stage.folder));
      return stage.options;
    }
    await this.waitForLease(stage);
    await onDisk(stage.folder, () => respellPaths(stage, this.plan));
    return { ...stage.options, resume: true };
  }

  private async waitForLease(stage: PlannedStage): Promise<void> {
    const deadline = performance.now() + defaultGraceMs;
    for (let attempt = 0; ; attempt++) {
      try {
        await onDisk(stage.folder, () => FolderLock.take(stage.folder).release());
        return;
      } catch (error) {
        const isHeld = existsSync(join(stage.folder, lockName));
        if (!isHeld || performance.now() > deadline) throw error;
      }
      if (attempt === 0) this.announce(stage, { type: 'waiting' });
      await sleep(200, undefined, { signal: this.options.signal }).catch(() =>
        this.options.signal.throwIfAborted(),
      );
    }
  }

  private requireInputs(stage: PlannedStage): void {
    const missing = stage.needs.find((name) => {
      const { status } = this.pipeline.stages.find((entry) => entry.name === name)!;
      return status !== 'done' && status !== 'unchanged';
    });
    if (!missing) return;
    throw new UserError({
      where: `stage ${stage.name}`,
      expected: `the stage ${missing}, which it reads, to be finished`,
      found: 'a stage that has not run with these options',
      advice: `--until ${stage.name}`,
    });
  }

  private note(stage: PlannedStage, status: PipelineStatus, record?: StageRecord): void {
    const found = record && {
      seconds: record.seconds,
      peakMemoryBytes: record.peakMemoryBytes,
      result: record.result,
    };
    Object.assign(this.entry(stage), { status, ...found });
  }

  private entry({ name }: Pick<PlannedStage, 'name'>): PipelineStage {
    return this.pipeline.stages.find((stage) => stage.name === name)!;
  }

  /** One after the other, for they write one file. */
  private async write(): Promise<void> {
    const writing = this.writing.then(async () => {
      this.lock.assertHeld();
      await writePipeline(this.plan.out, this.pipeline);
    });
    this.writing = writing.catch(() => {});
    await writing;
  }

  private announce(stage: PlannedStage, event: EventBody): void {
    const place = { stage, number: this.plan.stages.indexOf(stage) + 1, count: this.plan.stages.length };
    this.options.onEvent({ ...place, ...event });
  }
}

type EventBody = PipelineEvent extends infer E
  ? E extends PipelineEvent
    ? Omit<E, 'stage' | 'number' | 'count'>
    : never
  : never;

/** Whether the stage goes on from what is in its folder. */
export function resumes(stage: PlannedStage, state: StageState): boolean {
  return state.kind === 'begun' && hasOption(stage.command, 'resume');
}

/** An equal share of the cores where the recipe leaves the number of threads open. */
function threadsOf({ command, options }: PlannedStage, atOnce: number): { threads?: number } {
  if (atOnce <= 1 || options.threads !== undefined || !hasOption(command, 'threads')) return {};
  return { threads: Math.max(1, Math.floor(availableParallelism() / atOnce)) };
}

function inStage(stage: PlannedStage, error: unknown): unknown {
  if (!(error instanceof UserError)) return error;
  const { where, ...rest } = error.mistake;
  const place = where.startsWith('stage ') ? where : `stage ${stage.name} (${shown(stage.folder)}): ${where}`;
  return new UserError({ ...rest, where: place }, { cause: error });
}
