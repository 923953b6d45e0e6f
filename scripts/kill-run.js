// Kills `heed run` at random moments of its length, resumes it each time, and compares what it leaves with an
// uninterrupted run's: every model, every log but for times, and the report but for its costs.
//
//   node scripts/kill-run.js recipes/quickstart.yaml --kills 20 --out runs/kill-test
//
// A finished run in OUT/whole is taken as it is.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: 'string', default: '20' },
    out: { type: 'string', default: 'runs/kill-test' },
  },
});
const [recipe = 'recipes/quickstart.yaml'] = positionals;
const heed = fileURLToPath(new URL('../bin/heed.js', import.meta.url));

/**
 * @param moment kills the run when this stage has been at work for so many seconds, or when one of the later begins
 * @returns whether the run came to its end; false when it was killed
 * @throws when it ended in any other way, which no kill may hide
 */
function run(out, moment) {
  const child = spawn(process.execPath, [heed, 'run', recipe, '--out', out, '--resume'], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let isKilled = false;
  let timer;
  // The whole group: the engine process dies in the middle of whatever it does.
  const kill = () => {
    if (isKilled) return;
    isKilled = true;
    process.kill(-child.pid, 'SIGKILL');
  };
  createInterface({ input: child.stdout }).on('line', (line) => {
    const begun = moment && /\] (\S+): \S+ →/.exec(line)?.[1];
    if (!begun) return;
    if (begun === moment.stage) timer ??= setTimeout(kill, moment.seconds * 1000);
    // The stage was over sooner this time.
    else if (moment.later.includes(begun)) kill();
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(true);
      else if (isKilled && signal === 'SIGKILL') resolve(false);
      else reject(new Error(`the run in ${out} ended with ${signal ?? `code ${code}`}`));
    });
  });
}

/** Moments of a run that lasted as its stages did, drawn evenly and in order; a stage goes on from the last kill. */
function drawMoments(stages, count) {
  const whole = stages.reduce((sum, { seconds }) => sum + seconds, 0);
  const times = Array.from({ length: count }, () => whole * Math.random()).sort((a, b) => a - b);
  let last = 0;
  return times.map((time) => {
    let start = 0;
    const place = stages.findIndex(({ seconds }) => {
      if (time < start + seconds) return true;
      start += seconds;
      return false;
    });
    const seconds = time - Math.max(start, last);
    last = time;
    const [stage, ...later] = stages.slice(place).map(({ name }) => name);
    return { stage, seconds, later };
  });
}

const timeKeys = new Set(['time', 'seconds', 'tokens_per_second']);
const withoutTimes = (key, value) => (timeKeys.has(key) ? undefined : value);

/** Hashes of what a run computed, by path. */
function fingerprint(folder) {
  const hashes = {};
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const text = contentOf(entry.name, path);
    if (entry.isFile() && text !== undefined) {
      hashes[relative(folder, path)] = createHash('sha256').update(text).digest('hex');
    }
  }
  return hashes;
}

function contentOf(name, path) {
  if (name.endsWith('.safetensors')) return readFileSync(path);
  if (name === 'report.json') {
    const { costs, ...rest } = JSON.parse(readFileSync(path, 'utf8'));
    return JSON.stringify(rest);
  }
  if (!name.endsWith('.jsonl')) return undefined;
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.stringify(JSON.parse(line), withoutTimes)).join('\n');
}

const [whole, killed] = [join(values.out, 'whole'), join(values.out, 'killed')];
if (existsSync(killed)) throw new Error(`${killed} is there already: give another --out`);
await run(whole);
const { stages } = JSON.parse(readFileSync(join(whole, 'pipeline.json'), 'utf8'));
for (const moment of drawMoments(stages, Number(values.kills))) {
  const isOver = await run(killed, moment);
  console.log(`${isOver ? 'over before' : 'killed in'} ${moment.stage}, ${moment.seconds.toFixed(1)} s`);
}
await run(killed);

const [expected, found] = [fingerprint(whole), fingerprint(killed)];
const differing = [...new Set([...Object.keys(expected), ...Object.keys(found)])].filter(
  (path) => expected[path] !== found[path],
);
console.log(`${Object.keys(expected).length} files compared, ${differing.length} differ`);
for (const path of differing) console.log(`  ${path}`);
process.exitCode = differing.length === 0 ? 0 : 1;
