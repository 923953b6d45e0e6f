// What `npm run quickstart` runs, from a fresh clone with Node alone: installs, builds, and takes the shipped base model
// through the whole pipeline. Words after `--` go to `heed quickstart`.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { installAndBuild } from './install.js';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
if (installAndBuild()) {
  const heed = spawn(process.execPath, ['bin/heed.js', 'quickstart', ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  // The terminal sends Ctrl-C to both: heed saves and ends, and this process with it.
  process.on('SIGINT', () => {});
  heed.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
} else {
  process.exitCode = 1;
}
