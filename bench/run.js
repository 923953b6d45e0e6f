// Side-by-side measurements: heed and the peer (TRL on PyTorch) do the same work in turn, five rounds, medians.
//   HEED_PEER_PYTHON=/path/to/python npm run bench [-- --rounds 5 --model nano --tasks lora,dpo --results runs.jsonl --out summary.json]
// Without HEED_PEER_PYTHON (a Python with torch, transformers, peft and trl) only heed's half runs, on rows of its own.
// With --results each measurement becomes a line of that file at once, and those that are there are not repeated.

import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
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
    model: { type: 'string', default: 'nano' },
    tasks: { type: 'string', default: Object.keys(peersOf).join(',') },
    results: { type: 'string' },
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
  const runs = earlierRuns();
  for (let round = 1; round <= Number(options.rounds); round++) {
    for (const task of tasks) for (const turn of turnsOf(task, round)) await take(turn, runs);
    process.stderr.write(`round ${round} of ${options.rounds} done\n`);
  }
  report(
    tasks.map((task) => summarise(task, runs)),
    runs,
  );
} finally {
  rmSync(folder, { recursive: true });
}

function earlierRuns() {
  if (!options.results || !existsSync(options.results)) return [];
  const lines = readFileSync(options.results, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line)).filter(({ model }) => model === options.model);
}

/** Who goes first changes from round to round. */
function turnsOf(task, round) {
  const turns = [{ round, side: 'heed', task, rows: task }];
  for (const peer of python ? peersOf[task] : []) turns.push({ round, side: 'peer', task: peer, rows: task });
  return round % 2 === 1 ? turns : turns.reverse();
}

async function take({ round, side, task, rows }, runs) {
  if (runs.some((run) => run.round === round && run.side === side && run.task === task)) return;
  const { model } = options;
  const measured =
    side === 'heed'
      ? await measure(process.execPath, [script('ours.js'), model, task, await rowsFile(rows)])
      : await measure(python, [peerScript, model, task]);
  const run = { round, side, ...measured };
  runs.push(run);
  if (options.results) appendFileSync(options.results, `${JSON.stringify(run)}\n`);
}

function script(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** The peer's own rows, so that both sides do the same work. */
async function rowsFile(task) {
  const file = join(folder, `${task}.jsonl`);
  if (existsSync(file)) return file;
  const { model } = options;
  const lines = python ? await output(python, [peerScript, model, 'rows', task]) : ownRows(task, model);
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
    const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (chunk) => {
        texts[name] += chunk;
      });
    }
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(texts.stdout);
      else reject(new Error(`${words.join(' ')} ended with ${code}\n${texts.stderr.slice(-2000)}`));
    });
  });
}

/** Ratios are medians of each round's own, for the machine changes more between rounds than within one. */
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
  const smallest = peers.reduce((best, peer) => (peer.peakGigabytes < best.peakGigabytes ? peer : best));
  const ratios = (key, { name }) =>
    of('heed', task).flatMap((run) =>
      of('peer', name)
        .filter(({ round }) => round === run.round)
        .map((other) => run[key] / other[key]),
    );
  const speeds = ratios('tokens_per_s', fastest);
  const memory = median(ratios('peak_rss_gb', smallest));
  return { task, heed, peers, speed: median(speeds), speeds, memory, goal: goals[task] };
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
  const machine = { node: process.version, processor: cpus()[0]?.model, instructions: wideInstructions() };
  const rounds = Number(options.rounds);
  const json = JSON.stringify({ ...machine, model: options.model, rounds, summaries, runs });
  if (options.out) writeFileSync(options.out, `${json}\n`);
  process.stdout.write(`${json}\n`);
}

/** What both sides' matrix products depend on most (Linux). */
function wideInstructions() {
  const file = '/proc/cpuinfo';
  if (!existsSync(file)) return [];
  const flags = new Set(/^flags\s*:(.*)$/m.exec(readFileSync(file, 'utf8'))?.[1].split(' '));
  return ['avx2', 'avx512f', 'amx_tile'].filter((flag) => flags.has(flag));
}
