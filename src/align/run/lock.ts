// A lease on a run folder: one process at a time may write there. The file names its holder by process, start
// time and host; a holder that is gone (or, on another host, silent) loses it to the next run.

import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import { isAlive, processState } from '../../language/checkpoint/processes.ts';

export const lockName = 'heed.lock';
const heartbeatMs = 10_000;
/** A holder whose life cannot be asked for is taken for dead after this silence. */
const silenceMs = 120_000;
/** A takeover lasts milliseconds: one that seems to last longer was killed in the middle. */
const takeoverMs = 60_000;

interface Holder {
  pid: number;
  /** What distinguishes this process from a later one with the same number; absent where the system has none. */
  processStart?: string;
  host: string;
  heartbeat: string;
}

export class FolderLock {
  private readonly path: string;
  private readonly file: number;
  private readonly timer: NodeJS.Timeout;
  private readonly start = processStart(process.pid);

  private constructor(path: string, file: number) {
    this.path = path;
    this.file = file;
    this.beat();
    this.timer = setInterval(() => this.beat(), heartbeatMs);
    this.timer.unref();
  }

  /**
   * Takes the lease of `folder`, from a dead holder if need be.
   * @throws UserError naming the process that holds it
   */
  static take(folder: string): FolderLock {
    const path = join(folder, lockName);
    for (;;) {
      const file = createAnew(path);
      if (file !== undefined) return new FolderLock(path, file);
      removeIfStale(path, folder);
    }
  }

  /** @throws UserError when another process has taken the folder (this one was silent for too long) */
  assertHeld(): void {
    if (this.isHeld()) return;
    throw new UserError({
      where: this.path,
      expected: `the lease of process ${process.pid}`,
      found: 'the lease of another run, which took the folder while this one was silent',
      advice: 'letting that run finish',
    });
  }

  release(): void {
    clearInterval(this.timer);
    if (this.isHeld()) unlinkSync(this.path);
    closeSync(this.file);
  }

  private isHeld(): boolean {
    try {
      return statSync(this.path).ino === fstatSync(this.file).ino;
    } catch {
      return false;
    }
  }

  /** Writes through the open file: after a theft this reaches the removed file, never the new holder's. */
  private beat(): void {
    const holder: Holder = {
      pid: process.pid,
      processStart: this.start,
      host: hostname(),
      heartbeat: new Date().toISOString(),
    };
    try {
      writeSync(this.file, `${JSON.stringify(holder)}\n`, 0);
    } catch {
      // A full disk must not end a run; the holder's process still vouches for the lease.
    }
  }
}

function createAnew(path: string): number | undefined {
  try {
    return openSync(path, 'wx');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  }
}

/** Two processes that find the same stale lease must not both remove it: the second would remove the first's new one. */
function removeIfStale(path: string, folder: string): void {
  const judged = readLock(path);
  if (!judged) return;
  if (!isStale(judged)) throw refusal(folder, judged.holder);
  const guard = `${path}.stealing`;
  takeGuard(guard, folder);
  try {
    if (readLock(path)?.text === judged.text) rmSync(path);
  } finally {
    removeGuard(guard);
  }
}

function takeGuard(guard: string, folder: string): void {
  // Two that remove the same old guard may both go on; the lease that one of them loses then says so when it is used.
  if (ageMs(guard) > takeoverMs) removeGuard(guard);
  try {
    mkdirSync(guard);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new UserError(
      {
        where: folder,
        expected: 'a run folder that no other process writes to',
        found: 'another process taking over a dead run',
        advice: 'again in a minute',
      },
      { cause: error },
    );
  }
}

/** Another process may have taken it for a dead one's. */
function removeGuard(guard: string): void {
  rmSync(guard, { recursive: true, force: true });
}

/** Since it was last changed; 0 for what is not there. */
function ageMs(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  return found ? Date.now() - found.mtimeMs : 0;
}

interface LockFile {
  text: string;
  /** Absent when the text is not a holder's (torn by a crash). */
  holder?: Holder;
  silentMs: number;
}

function readLock(path: string): LockFile | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    return { text, holder: parseHolder(text), silentMs: Date.now() - statSync(path).mtimeMs };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text);
    return Number.isInteger(holder.pid) && holder.pid > 0 ? holder : undefined;
  } catch {
    return undefined;
  }
}

function isStale({ holder, silentMs }: LockFile): boolean {
  if (holder?.host !== hostname()) return silentMs > silenceMs;
  if (!isAlive(holder.pid)) return true;
  return holder.processStart !== undefined && holder.processStart !== processStart(holder.pid);
}

function refusal(folder: string, holder: Holder | undefined): UserError {
  const name = holder ? `process ${holder.pid} on ${holder.host}` : 'a process that is just starting';
  return new UserError({
    where: folder,
    expected: 'a run folder that no other process writes to',
    found: `a run held by ${name}`,
    advice: 'another --out, or waiting for that process',
  });
}

/** Linux: boot and start tick; elsewhere what `ps` says; undefined where neither is known. */
function processStart(pid: number): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}/${processState(pid)![19]}`;
  } catch {
    const { stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
    return stdout?.trim() || undefined;
  }
}
