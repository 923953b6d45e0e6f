// The folder of one run: recipe.yaml (what was asked), events.jsonl and samples.jsonl (what happened),
// checkpoints/. It never overwrites another run, and after a resume its logs equal an uninterrupted run's but for times.

import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import { AppendLog, cutLogAfter, lastRecordType } from './append-log.ts';
import type { RunEvent } from './events.ts';
import { FolderLock, lockName } from './lock.ts';
import { differingWords, optionWord, type Recipe, readRecipeWords, recipeText } from './recipe.ts';

export interface RunFolderRequest {
  /** The value of --out. */
  path: string;
  recipe: Recipe;
  resume: boolean;
  /** Options (by their name in code) that may differ at resume, besides those that never change the result. */
  free?: readonly string[];
  /** Receives what should be reported without stopping the run, such as a full disk. */
  onWarning: (message: string) => void;
}

/** Options that say how to run, not what to compute. */
const alwaysFree = ['resume', 'out', 'threads'];

export class RunFolder {
  readonly path: string;
  /** Where the run's checkpoints go. */
  readonly checkpoints: string;
  /** Absent in a worker that follows: it writes nothing. */
  private readonly lock: FolderLock | undefined;
  private readonly onWarning: (message: string) => void;
  private logs: { events: AppendLog; samples: AppendLog } | undefined;

  private constructor(request: Pick<RunFolderRequest, 'path' | 'onWarning'>, lock?: FolderLock) {
    this.path = request.path;
    this.checkpoints = join(request.path, 'checkpoints');
    this.lock = lock;
    this.onWarning = request.onWarning;
  }

  /**
   * Creates the folder of a new run, or with `resume` opens the one that is there; takes its lease.
   * @throws UserError when the folder holds anything that a new run would overwrite, another recipe than the
   *   resumed one, a run of a living process, or cannot be written to
   */
  static open(request: RunFolderRequest): RunFolder {
    const lock = takeFolder(request);
    try {
      refuseOthersFiles(request);
      probe(request.path);
      const folder = new RunFolder(request, lock);
      folder.agreeOnRecipe(request);
      mkdirSync(folder.checkpoints, { recursive: true });
      return folder;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** The folder of a run that another worker writes: it can be read, and what is recorded goes nowhere. */
  static follow(request: Pick<RunFolderRequest, 'path' | 'onWarning'>): RunFolder {
    return new RunFolder(request);
  }

  get isFollowed(): boolean {
    return this.lock === undefined;
  }

  /**
   * Cuts the logs back to the checkpoint that the run continues from (0: from the beginning) and opens them.
   * To be called once, before the first `record`.
   */
  continueFrom(step: number): void {
    if (this.isFollowed) return;
    const open = (name: string) => {
      cutLogAfter(join(this.path, name), step);
      return new AppendLog(join(this.path, name), this.onWarning);
    };
    this.logs = { events: open('events.jsonl'), samples: open('samples.jsonl') };
  }

  /**
   * Appends an event to its log; a sample goes to samples.jsonl. A checkpoint event makes the logs durable.
   * @throws UserError at a checkpoint when another process has taken the folder: nothing may be committed then
   */
  record(event: RunEvent): void {
    if (!this.lock) return;
    if (!this.logs) throw new Error('RunFolder.record before continueFrom');
    if (event.type === 'resumed') return;
    if (event.type === 'checkpoint') this.lock.assertHeld();
    const { type, step, ...rest } = event;
    const log = type === 'sample' ? this.logs.samples : this.logs.events;
    log.append({ time: new Date().toISOString(), step, type, ...rest });
    if (type === 'checkpoint') this.sync();
  }

  /** Flushes the logs, as before a checkpoint. @throws UserError when another process has taken the folder */
  makeDurable(): void {
    this.lock?.assertHeld();
    this.sync();
  }

  /** Whether the last thing in the log is the run's end. */
  isFinished(): boolean {
    return lastRecordType(join(this.path, 'events.jsonl')) === 'finished';
  }

  close(): void {
    this.logs?.events.close();
    this.logs?.samples.close();
    this.logs = undefined;
    this.lock?.release();
  }

  private sync(): void {
    this.logs?.samples.sync();
    this.logs?.events.sync();
  }

  private agreeOnRecipe({ path, recipe, free = [] }: RunFolderRequest): void {
    const file = join(path, 'recipe.yaml');
    if (!existsSync(file)) {
      writeDurably(file, recipeText(recipe));
      return;
    }
    const words = differingWords(readRecipeWords(file), recipe, [...alwaysFree, ...free].map(optionWord));
    if (words.length === 0) return;
    throw new UserError({
      where: file,
      expected: 'the recipe that the run was started with',
      found: `another ${words.join(', ')}`,
      advice: `--resume --config ${file}, or another --out for the changed recipe`,
    });
  }
}

function takeFolder({ path, resume }: RunFolderRequest): FolderLock {
  if (resume && !existsSync(path)) {
    throw new UserError({
      where: `--out ${path}`,
      expected: 'the folder of a run to resume',
      found: 'no such folder',
      advice: 'without --resume to start a new run',
    });
  }
  return orUnwritable(path, () => {
    mkdirSync(path, { recursive: true });
    return FolderLock.take(path);
  });
}

function refuseOthersFiles({ path, resume }: RunFolderRequest): void {
  const others = readdirSync(path).filter((name) => !isOwnBeginning(name));
  if (others.length === 0) return;
  const isRun = others.includes('recipe.yaml');
  if (isRun && resume) return;
  throw new UserError({
    where: `--out ${path}`,
    expected: resume ? 'the folder of a run to resume' : 'a new or empty folder',
    found: isRun ? 'the folder of another run' : `a folder that holds ${others.slice(0, 3).join(', ')}`,
    advice: isRun ? 'another --out, or --resume to continue that run' : 'another --out',
  });
}

/** What a run that died before its recipe was written may have left. */
function isOwnBeginning(name: string): boolean {
  return name.startsWith(lockName) || name.startsWith('recipe.yaml.');
}

/** Fails now rather than at the first checkpoint: a run needs to write, flush and rename in its folder. */
function probe(path: string): void {
  orUnwritable(path, () => {
    const file = join(path, `${lockName}.probe`);
    writeDurably(file, 'probe');
    rmSync(file);
  });
}

function orUnwritable<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(
      {
        where: `--out ${path}`,
        expected: 'a folder in which files can be written, flushed and renamed',
        found: (error as Error).message,
        advice: 'a folder on a local disk with free space that you may write to',
      },
      { cause: error },
    );
  }
}

/** The old file or the whole new one, never between. */
function writeDurably(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.new`;
  const file = openSync(temporary, 'w');
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}
