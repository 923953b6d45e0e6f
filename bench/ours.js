// One measurement of heed: `node bench/ours.js TASK ROWS.jsonl` does the work of the peer's task of that name and
// prints one line of JSON. Useful tokens, seconds from the first batch to the last update with compilation, peak memory.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { windowMicroBatches } from '../dist/align/run/window-batches.js';
import { UpdateStep } from '../dist/engine/optimizer/update-step.js';
import { runJob } from '../dist/engine/runtime/job.js';
import { openBackend } from '../dist/engine/runtime/onnx-backend.js';
import { Generator } from '../dist/language/generation/generate.js';
import { weightInputs } from '../dist/language/model/weights.js';
import { config, freshParameters, modelName, saveBenchModel } from './model.js';

const common = {
  seed: 0,
  device: 'cpu',
  threads: 2,
  resume: false,
  strict: true,
  truncation: 'drop',
  epochs: 1,
  batchSize: 8,
  microBatchTokens: 2048,
  learningRate: 2e-5,
  schedule: 'linear',
  warmupRatio: 0,
  weightDecay: 0,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  clipNorm: 1,
  keepLast: 1,
  patience: 1,
};
const lora = { loraRank: 16, loraAlpha: 32 };
const pairs = { microBatchTokens: 4096, sharePrompts: true };
const dpoOptions = { ...pairs, loss: 'dpo', labelSmoothing: 0, targetMargin: 0, likelihoodWeight: 0 };
const rewardOptions = { ...pairs, loss: 'bradley-terry', margin: 0, centering: 0 };

const tasks = {
  dense,
  sft: training('sft', {}),
  lora: training('sft', lora),
  dpo: training('dpo', dpoOptions, { countsSetUp: true }),
  dpo_lora: training('dpo', { ...dpoOptions, ...lora }, { countsSetUp: true }),
  reward: training('reward', rewardOptions),
  grpo,
  generate,
};

/** Job functions that run in the engine process. */
export async function denseJob(rowsFile) {
  const rows = readRows(rowsFile);
  const parameters = freshParameters();
  const inputs = weightInputs({ config, parameters });
  const trained = [...parameters].map(([name, values]) => ({
    name,
    values,
    tensor: inputs[name],
    weightDecay: 0.01,
  }));
  const adamw = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
  const trainer = new UpdateStep(
    await openBackend({ threads: 2 }),
    { trained },
    {
      adamw,
      clipNorm: 1,
      patience: 1,
    },
  );
  const windows = rows.map(({ prompt_ids: ids }) => ({
    ids: Int32Array.from(ids),
    positions: Int32Array.from(ids.keys()),
    segments: new Int32Array(ids.length),
    targets: Int32Array.from([...ids.slice(1), 0]),
    weights: Float32Array.from(ids, (_, i) => Number(i + 1 < ids.length)),
  }));
  const seconds = [];
  for (let step = 0; step < 9; step++) {
    const begun = performance.now();
    await trainer.step(
      windowMicroBatches(config, windows, 1e6, () => ''),
      1e-4,
    );
    seconds.push((performance.now() - begun) / 1000);
  }
  return { useful: rows.length * 256, seconds: seconds.slice(2).sort((a, b) => a - b)[3] };
}

export async function generateJob(rowsFile) {
  const rows = readRows(rowsFile);
  const backend = await openBackend({ threads: 2 });
  const generator = new Generator(backend, { config, parameters: freshParameters() });
  const request = (promptIds, seed, maxTokens) => ({
    promptIds,
    seed,
    maxTokens,
    sampling: { temperature: 1 },
    stopIds: [],
  });
  await generator.generate(rows.slice(0, 2).map((row, i) => request(row.prompt_ids, i, 4)));
  const begun = performance.now();
  const completions = await generator.generate(rows.map((row, i) => request(row.prompt_ids, i, 96)));
  const seconds = (performance.now() - begun) / 1000;
  return { useful: completions.reduce((sum, { ids }) => sum + ids.length, 0), seconds };
}

function dense(rowsFile) {
  return runJob({ module: import.meta.url, name: 'denseJob', payload: rowsFile });
}

function generate(rowsFile) {
  return runJob({ module: import.meta.url, name: 'generateJob', payload: rowsFile });
}

/**
 * The real command's job.
 * @param method names its module, its function and its command
 * @param countsSetUp whether the peer's seconds have what comes before the first step in them, as DPO's reference does:
 *   then ours have it too, and the start of the engine process besides
 */
function training(method, options, { countsSetUp = false } = {}) {
  return async (rowsFile) => {
    const folder = mkdtempSync(join(tmpdir(), 'heed-bench-'));
    try {
      const model = join(folder, modelName);
      await saveBenchModel(model);
      const payload = { ...common, ...options, model, data: [rowsFile], out: join(folder, 'run') };
      const times = { started: performance.now(), last: 0 };
      const onEvent = (event) => {
        if (event.type === 'started' && !countsSetUp) times.started = performance.now();
        if (event.type === 'step') times.last = performance.now();
      };
      const module = new URL(`../dist/align/methods/${method}.js`, import.meta.url).href;
      await runJob({ module, name: method, payload }, { onEvent });
      return { useful: usefulTokens(readRows(rowsFile)), seconds: (times.last - times.started) / 1000 };
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
}

/**
 * One step: 8 completions of 64 tokens for each prompt, all in one update. The monitor samples the reference before the
 * run has started, which the peer does not do; it is not counted.
 */
async function grpo(rowsFile) {
  const folder = mkdtempSync(join(tmpdir(), 'heed-bench-'));
  try {
    const [model, reward] = [join(folder, modelName), join(folder, 'reward.js')];
    await saveBenchModel(model);
    writeFileSync(reward, 'export const reward = (rows) => rows.map((_, i) => ((i * 7) % 5) / 5);');
    const prompts = readRows(rowsFile).length;
    const payload = {
      ...{ ...common, model, data: [rowsFile], out: join(folder, 'run'), template: 'none' },
      ...{ reward: [`${reward}#reward`], watch: [], ensemble: [], batchSize: prompts, groupSize: 8 },
      ...{ maxTokens: 64, temperature: 1, generationBatchSize: 8 * prompts, microBatchTokens: 4096 },
      ...{ iterations: 1, beta: 0.04, klIn: 'loss', clipLow: 0.2, clipHigh: 0.2, maskTruncated: false },
      ...{ advantageScaling: 'group', lossMean: 'sequence', onAlarm: 'warn', sharePrompts: true },
    };
    const seen = { started: 0, last: 0, generated: 0 };
    const onEvent = (event) => {
      if (event.type === 'started') seen.started = performance.now();
      if (event.type !== 'step') return;
      seen.last = performance.now();
      seen.generated += event.metrics['completions/mean_length'] * 8 * prompts;
    };
    const module = new URL('../dist/align/methods/grpo.js', import.meta.url).href;
    await runJob({ module, name: 'grpo', payload }, { onEvent });
    return { useful: seen.generated, seconds: (seen.last - seen.started) / 1000 };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** As the peer counts: every token of a row, a prompt once for each answer. */
function usefulTokens(rows) {
  const tokensOf = ({ prompt_ids: prompt, ...row }) => {
    const answers = [row.completion_ids, row.chosen_ids, row.rejected_ids].filter(Boolean);
    return answers.reduce((sum, ids) => sum + prompt.length + ids.length, 0);
  };
  return rows.reduce((sum, row) => sum + tokensOf(row), 0);
}

function readRows(file) {
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** Peak resident memory of this process and its engine process together, in GB (Linux; 0 elsewhere). */
function watchMemory() {
  const peaks = new Map();
  const peakOf = (pid) => {
    try {
      return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
    } catch {
      return 0;
    }
  };
  const look = () => {
    const list = `/proc/${process.pid}/task/${process.pid}/children`;
    const children = process.platform === 'linux' ? readFileSync(list, 'utf8').trim().split(/\s+/) : [];
    for (const pid of [process.pid, ...children.filter(Boolean)]) {
      peaks.set(pid, Math.max(peaks.get(pid) ?? 0, peakOf(pid)));
    }
  };
  const timer = setInterval(look, 50);
  return () => {
    look();
    clearInterval(timer);
    return [...peaks.values()].reduce((sum, kilobytes) => sum + kilobytes, 0) / 1e6;
  };
}

// As a job's module it only exports.
if (process.argv[1] === new URL(import.meta.url).pathname) {
  const [task, rowsFile] = process.argv.slice(2);
  const peak = watchMemory();
  const { useful, seconds } = await tasks[task](rowsFile);
  const result = {
    task,
    model: modelName,
    tokens_per_s: useful / seconds,
    seconds,
    useful_tokens: useful,
    peak_rss_gb: peak(),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
