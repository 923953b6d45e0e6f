// Two builds of heed in turn: the same commands on the same model and rows, in short interleaved pairs, compared by
// the processor seconds (user and system) of their engine processes, which other work on the machine moves little.
//   npm run build && node bench/steps.js OLD NEW [--pairs 20 --tasks dense,sft,generate,dpo,ppo --steps 6 --out results.json]
// OLD and NEW are checkouts with `dist` built. Prints the median of old/new (above 1: the new one needs less), and its
// lower bound: with 95% confidence the true median is not below it.

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { median } from './median.js';
import { saveNano } from './model.js';
import { ownRows } from './rows.js';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    pairs: { type: 'string', default: '20' },
    tasks: { type: 'string', default: 'dense,sft,generate,dpo,ppo' },
    steps: { type: 'string', default: '6' },
    out: { type: 'string' },
  },
});
if (positionals.length !== 2) throw new Error('expected two built checkouts: OLD NEW');
const [old, recent] = positionals.map((path) => resolve(path));
const steps = Number(options.steps);
/** Not measured: they compile most of the programs. */
const skippedSteps = 2;
if (!(steps > skippedSteps)) throw new Error(`--steps: expected more than ${skippedSteps}`);

const folder = mkdtempSync(join(tmpdir(), 'heed-steps-'));
const model = join(folder, 'nano');
const probe = new URL('processor-probe.js', import.meta.url).href;
/** Options that a build spells in another way than the newest: word → older word. */
const olderWords = {};

const file = (name, text) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const training = (data, words = []) => ['--data', data, '--max-steps', steps, '--batch-size', 8, ...words];

/** The command of each task, without --model, --threads and --out. */
const tasks = {
  dense: () => ['pretrain', ...training(file('text.txt', ownText()))],
  sft: () => ['sft', ...training(file('sft.jsonl', ownRows('sft')))],
  dpo: () => ['dpo', ...training(file('dpo.jsonl', ownRows('dpo')))],
  ppo: () => [
    'ppo',
    ...training(file('prompts.jsonl', ownRows('generate')), ['--mini-batch-size', 8, '--max-tokens', 32]),
    ...['--reward', `${file('reward.mjs', rewardModule)}#even`, '--template', 'none'],
  ],
  generate: () => ['generate', '--data', file('generate.jsonl', ownRows('generate')), '--max-tokens', 64],
};
/** The share of even bytes: a reward that costs nothing. */
const rewardModule = `export const even = (rows) =>
  rows.map(({ completion }) => [...Buffer.from(completion)].filter((byte) => byte % 2 === 0).length / 64);\n`;

/** Letters at random: enough windows of 256 bytes for every step. */
function ownText() {
  let state = 7;
  const letter = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return String.fromCharCode(97 + ((state >>> 24) % 26));
  };
  return Array.from({ length: 300 * 8 * steps }, letter).join('');
}

const run = promisify(execFile);

/** Processor seconds of one step, or of the whole engine process where a command has no steps. */
async function measure(checkout, words) {
  const marks = join(folder, 'marks.json');
  const out = join(folder, 'run');
  const hasSteps = words[0] !== 'generate';
  const common = ['--model', model, '--threads', '2', ...(hasSteps ? ['--out', out] : [])];
  const spelt = [...words, ...common].map((word) => spelling(checkout, String(word)));
  const env = { ...process.env, HEED_BENCH_PROBE: marks, NODE_OPTIONS: `--import=${probe}` };
  rmSync(marks, { force: true });
  await run(process.execPath, [join(checkout, 'bin/heed.js'), ...spelt], { env, maxBuffer: 1e9 });
  rmSync(out, { recursive: true, force: true });
  const found = JSON.parse(readFileSync(marks, 'utf8'));
  if (!hasSteps) return found.end - found.start;
  if (found.steps.length !== steps) throw new Error(`${words[0]}: ${found.steps.length} steps, not ${steps}`);
  return (found.steps[steps - 1] - found.steps[skippedSteps - 1]) / (steps - skippedSteps);
}

const spelling = (checkout, word) => (checkout === old ? (olderWords[word] ?? word) : word);

/** The k-th smallest, for the largest k that fewer than k of n ratios below the median have at most 5% (sign test). */
function lowerBound(sorted) {
  const n = sorted.length;
  let [probability, below, k] = [2 ** -n, 2 ** -n, 0];
  while (below <= 0.05) {
    k += 1;
    probability *= (n - k + 1) / k;
    below += probability;
  }
  return k === 0 ? undefined : sorted[k - 1];
}

try {
  await saveNano(model);
  const chosen = options.tasks.split(',').map((name) => ({ name, words: tasks[name](), pairs: [] }));
  for (let pair = 0; pair < Number(options.pairs); pair++) {
    for (const { words, pairs } of chosen) {
      // Who goes first changes from pair to pair.
      const order = pair % 2 === 0 ? ['old', 'new'] : ['new', 'old'];
      const seconds = {};
      for (const side of order) seconds[side] = await measure(side === 'old' ? old : recent, words);
      pairs.push(seconds);
    }
    process.stderr.write(`pair ${pair + 1} of ${options.pairs} done\n`);
  }
  const results = chosen.map(({ name, pairs }) => {
    const ratios = pairs.map((pair) => pair.old / pair.new).sort((a, b) => a - b);
    return { task: name, ratio: median(ratios), lower: lowerBound(ratios), pairs };
  });
  for (const { task, ratio, lower, pairs } of results) {
    const seconds = (side) => median(pairs.map((pair) => pair[side])).toFixed(3);
    const bound = lower === undefined ? 'too few pairs for a bound' : `95% bound ${lower.toFixed(3)}`;
    const unit = task === 'generate' ? 'in all' : 'a step';
    process.stdout.write(
      `${task.padEnd(10)}old/new ${ratio.toFixed(3)}  ${bound}  (${seconds('old')} and ${seconds('new')} s ${unit}, ${pairs.length} pairs)\n`,
    );
  }
  const paths = { old, new: recent };
  if (options.out)
    writeFileSync(options.out, `${JSON.stringify({ node: process.version, paths, results })}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
