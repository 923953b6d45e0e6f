// Runs the real program, as `npm run build` left it in dist/, in a process of its own.

import { execFile } from 'node:child_process';
import { resolve } from 'node:path';

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** @param launcher another copy of bin/heed.js */
export function runHeed(
  words: readonly string[],
  folder: string,
  launcher = resolve('bin/heed.js'),
): Promise<Outcome> {
  const { FORCE_COLOR: _, ...environment } = process.env;
  const options = { cwd: folder, env: { ...environment, NO_COLOR: '1' } };
  return new Promise((done) => {
    execFile(process.execPath, [launcher, ...words], options, (error, stdout, stderr) => {
      done({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}
