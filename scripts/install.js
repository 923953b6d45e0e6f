// What npm's pre-scripts would do if `.npmrc` let them run: a fresh clone is installed and built before it is used.

import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, statSync } from 'node:fs';

/** @returns whether packages are there as the lock file says, and `dist` holds the present sources */
export function installAndBuild() {
  if (!isInstalled() && !runs('npm', ['ci'])) return false;
  rmSync('dist', { recursive: true, force: true });
  return runs('npm', ['run', '--silent', 'build']);
}

function isInstalled() {
  const marker = 'node_modules/.package-lock.json';
  return existsSync(marker) && statSync(marker).mtimeMs >= statSync('package-lock.json').mtimeMs;
}

/** @returns whether the program ended well; it shares this terminal */
export function runs(program, words) {
  // On Windows npm is a script, which only a shell can start.
  const { status, error } = spawnSync(program, words, {
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (error) console.error(`${program}: ${error.message}`);
  return status === 0;
}
