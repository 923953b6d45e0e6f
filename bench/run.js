// Side-by-side measurements: heed and the peer (TRL on PyTorch) do the same work in turn, five rounds, medians.
//   HEED_PEER_PYTHON=/path/to/python npm run bench [-- --rounds 5 --tasks lora,dpo --model nano --out results.json]
// Without HEED_PEER_PYTHON (a Python with torch, transformers and trl) only heed's half runs, on rows of its own.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from './median.js';
import { ownRows } from './rows.js';

/** What heed is held against: the faster of these. */
const peersOf = {
  dense: ['dense'],
  sft: ['sft', 'sft_packed'],
  lora: ['lora', 'lora_packed'],
  dpo: ['dpo'],
  dpo_lora: ['dpo_lora'],
  reward: ['reward'],
  grpo: ['grpo'],
  generate: ['generate'],
};
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    tasks: { type: 'string', default: Object.keys(peersOf).join(',') },
    model: { type: 'string', default: 'nano' },
    out: { type: 'string' },
  },
});
/** Asked of speed and memory, as ratios to the peer; a task without is measured only. */
const goals = {
  dense: { speed: 0.85 },
  sft: { speed: 1.8, memory: 0.8 },
  lora: { speed: options.model === 'smol' ? 1.8 : 1.5, memory: 0.65 },
  dpo: { speed: 2.8, memory: 0.65 },
  dpo_lora: { speed: 2.8, memory: 0.65 },
  reward: { speed: 1.9, memory: 0.65 },
  grpo: { speed: 1.6, memory: 0.65 },
  generate: { speed: 2.5 },
};
const python = process.env.HEED_PEER_PYTHON;
const peerScript = process.env.HEED_PEER_SCRIPT ?? '../shared/bench/peer_trl.py';

const folder = mkdtempSync(join(tmpdir(), 'heed-bench-'));
try {
  const tasks = options.tasks.split(',');
  const rowFiles = Object.fromEntries(
    await Promise.all(tasks.map(async (task) => [task, await writeRows(task)])),
  );
  const runs = [];
  for (let round = 1; round <= Number(options.rounds); round++) {
    for (const task of tasks) {
      runs.push({
        round,
        side: 'heed',
        ...(await measure(process.execPath, [script('ours.js'), task, rowFiles[task]])),
      });
      for (const peer of python ? peersOf[task] : []) {
        runs.push({ round, side: 'peer', ...(await measure(python, [peerScript, options.model, peer])) });
      }
    }
    process.stderr.write(`round ${round} of ${options.rounds} done\n`);
  }
  report(
    tasks.map((task) => summarise(task, runs)),
    runs,
  );
} finally {
  rmSync(folder, { recursive: true });
}

function script(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** The peer's own rows, so that both sides do the same work. */
async function writeRows(task) {
  const lines = python ? await output(python, [peerScript, options.model, 'rows', task]) : ownRows(task);
  const file = join(folder, `${task}.jsonl`);
  writeFileSync(file, lines);
  return file;
}

/** Runs a program that ends with a line of JSON. */
async function measure(program, words) {
  const lines = (await output(program, words)).trim().split('\n');
  return JSON.parse(lines[lines.length - 1]);
}

function output(program, words) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, HEED_BENCH_MODEL: options.model },
    });
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(text) : reject(new Error(`${words.join(' ')} ended with ${code}`)),
    );
  });
}

function summarise(task, runs) {
  const of = (side, name) => runs.filter((run) => run.side === side && run.task === name);
  const medians = (list) => ({
    tokensPerSecond: median(list.map((run) => run.tokens_per_s)),
    peakGigabytes: median(list.map((run) => run.peak_rss_gb)),
  });
  const heed = medians(of('heed', task));
  if (!python) return { task, heed };
  const peers = peersOf[task].map((name) => ({ name, ...medians(of('peer', name)) }));
  const fastest = peers.reduce((best, peer) => (peer.tokensPerSecond > best.tokensPerSecond ? peer : best));
  const speed = heed.tokensPerSecond / fastest.tokensPerSecond;
  const memory = heed.peakGigabytes / Math.min(...peers.map((peer) => peer.peakGigabytes));
  return { task, heed, peers, speed, memory, goal: goals[task] };
}

function report(summaries, runs) {
  const rows = summaries.map(({ task, heed, peers, speed, memory, goal }) => [
    task,
    heed.tokensPerSecond.toFixed(0),
    peers ? peers.map((peer) => `${peer.name} ${peer.tokensPerSecond.toFixed(0)}`).join(', ') : '–',
    speed ? `${speed.toFixed(2)} ×${goal?.speed ? ` (asked ${goal.speed})` : ''}` : '–',
    `${heed.peakGigabytes.toFixed(2)} GB`,
    memory ? `${memory.toFixed(2)} ×${goal?.memory ? ` (asked ≤ ${goal.memory})` : ''}` : '–',
  ]);
  const head = ['task', 'heed tokens/s', 'peer tokens/s', 'speed', 'heed peak', 'memory'];
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  for (const row of [head, ...rows]) {
    process.stdout.write(
      `${row
        .map((cell, i) => cell.padEnd(widths[i]))
        .join('  ')
        .trimEnd()}\n`,
    );
  }
  const json = JSON.stringify({ node: process.version, rounds: Number(options.rounds), summaries, runs });
  if (options.out) writeFileSync(options.out, `${json}\n`);
  process.stdout.write(`${json}\n`);
}
