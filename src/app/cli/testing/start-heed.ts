// Starts the real program in a process group of its own, as a shell does, and waits for a step, to end it there.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface StartedHeed extends ChildProcess {
  /** The exit code; null when a signal ended it. */
  closed: Promise<number | null>;
  /** What it has printed so far. */
  error: () => string;
}

export function startHeed(words: readonly string[], folder: string): StartedHeed {
  const child = spawn(process.execPath, [resolve('bin/heed.js'), ...words], {
    ...{ cwd: folder, detached: true, stdio: ['ignore', 'ignore', 'pipe'] as const },
  });
  let text = '';
  child.stderr.on('data', (chunk) => {
    text += chunk;
  });
  const closed = once(child, 'close').then(([code]) => code);
  return Object.assign(child, { closed, error: () => text });
}

/** Resolves as soon as the run's log has so many steps, or the process has ended. */
export async function reachesStep(child: StartedHeed, run: string, step: number): Promise<void> {
  const log = join(run, 'events.jsonl');
  let isOver = false;
  void child.closed.then(() => {
    isOver = true;
  });
  const isReached = () => existsSync(log) && readFileSync(log, 'utf8').split('"type":"step"').length > step;
  while (!isOver && !isReached()) await sleep(1);
}

/** Kills the program and its engine after that step, anywhere in the next. @returns the exit code, null unless it had ended */
export async function killAtStep(child: StartedHeed, run: string, step: number): Promise<number | null> {
  await reachesStep(child, run, step);
  if (child.exitCode === null) process.kill(-child.pid!, 'SIGKILL');
  return child.closed;
}
