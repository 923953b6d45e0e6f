// Whether a process of this machine is still there, for what a killed one may have left behind.

import { readFileSync } from 'node:fs';

/**
 * A killed process whose parent died too stays as a zombie (Z) in containers that have no init to bury it: it writes no
 * more, and counts as dead.
 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return processState(pid)?.[0] !== 'Z';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Linux: the fields of /proc/PID/stat after the command, first the state. */
export function processState(pid: number): string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
  } catch {
    return undefined;
  }
}
