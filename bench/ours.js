// One measurement of heed: `node bench/ours.js MODEL TASK ROWS.jsonl` does the work of the peer's task of that name and
// prints one line of JSON. Useful tokens, seconds from the first batch to the last update with compilation, peak memory.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { windowMicroBatches } from '../dist/align/run/window-batches.js';
import { UpdateStep } from '../dist/engine/optimizer/update-step.js';
import { runJob } from '../dist/engine/runtime/job.js';
import { openBackend } from '../dist/engine/runtime/onnx-backend.js';
import { Generator } from '../dist/language/generation/generate.js';
import { weightInputs } from '../dist/language/model/weights.js';
import { configOf, freshParameters } from './model.js';

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
const lora = { loraRank: 16, loraAlpha: 32, loraDropout: 0 };
const pairs = { microBatchTokens: 4096, sharePrompts: true };
const dpoOptions = { ...pairs, loss: 'dpo', labelSmoothing: 0, targetMargin: 0, likelihoodWeight: 0 };
const rewardOptions = { ...pairs, loss: 'bradley-terry', margin: 0, centering: 0 };

const grpoOptions = {
  ...{
    template: 'none',
    reward: [`${fileURLToPath(new URL('even.js', import.meta.url))}#even`],
    watch: [],
    ensemble: [],
  },
  ...{
    groupSize: 8,
    maxTokens: 64,
    temperature: 1,
    iterations: 1,
    microBatchTokens: 4096,
    sharePrompts: true,
  },
  ...{ beta: 0.04, klIn: 'loss', advantageScaling: 'group', lossMean: 'sequence' },
  ...{ clipLow: 0.2, clipHigh: 0.2, maskTruncated: false, onAlarm: 'warn' },
};

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
export async function denseJob({ name, rowsFile }) {
  const rows = readRows(rowsFile);
  const config = configOf(name);
  const parameters = freshParameters(config);
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

export async function generateJob({ name, rowsFile }) {
  const rows = readRows(rowsFile);
  const config = configOf(name);
  const backend = await openBackend({ threads: 2 });
  const generator = new Generator(backend, { config, parameters: freshParameters(config) });
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

function dense(work) {
  return runJob({ module: import.meta.url, name: 'denseJob', payload: work });
}

function generate(work) {
  return runJob({ module: import.meta.url, name: 'generateJob', payload: work });
}

/**
 * The real command's job.
 * @param method names its module, its function and its command
 * @param countsSetUp whether the peer's seconds have what comes before the first step in them, as DPO's reference does:
 *   then ours have it too, and the start of the engine process besides
 */
function training(method, options, { countsSetUp = false } = {}) {
  return async ({ model, folder, rowsFile }) => {
    const { begun, started, lastStep } = await runMethod(method, folder, {
      ...{ ...common, ...options, model, data: [rowsFile] },
    });
    const useful = usefulTokens(readRows(rowsFile));
    return { useful, seconds: lastStep - (countsSetUp ? begun : started) };
  };
}

/**
 * One update: 8 completions of 64 tokens for each prompt. The seconds are those of generation, scoring and update. The
 * monitor has sampled 192 completions of the reference before, of which the peer has nothing: `seconds_with_set_up`.
 */
async function grpo({ model, folder, rowsFile }) {
  const batchSize = readRows(rowsFile).length;
  const completions = batchSize * grpoOptions.groupSize;
  const sizes = { batchSize, generationBatchSize: completions };
  const { begun, started, lastStep, steps } = await runMethod('grpo', folder, {
    ...{ ...common, ...grpoOptions, ...sizes, model, data: [rowsFile] },
  });
  const lengths = ['min', 'max'].map((bound) => steps[0].metrics[`completions/${bound}_length`]);
  if (steps.length !== 1 || lengths.some((length) => length !== grpoOptions.maxTokens)) {
    throw new Error(`grpo: ${steps.length} steps of completions of ${lengths.join(' to ')} tokens`);
  }
  if (steps[0].metrics.frac_reward_zero_std > 0) throw new Error('grpo: a group was left out of the update');
  const measured = { seconds: lastStep - started, seconds_with_set_up: lastStep - begun };
  return { useful: completions * grpoOptions.maxTokens, ...measured };
}

/** @returns seconds of the clock: before the engine process, at the start of the steps and after the last */
async function runMethod(method, folder, options) {
  const clock = () => performance.now() / 1000;
  const seen = { begun: clock(), started: 0, lastStep: 0, steps: [] };
  const onEvent = (event) => {
    if (event.type === 'started') seen.started = clock();
    if (event.type !== 'step') return;
    seen.lastStep = clock();
    seen.steps.push(event);
  };
  const module = new URL(`../dist/align/methods/${method}.js`, import.meta.url).href;
  await runJob({ module, name: method, payload: { ...options, out: join(folder, 'run') } }, { onEvent });
  return seen;
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
  const [name, task, rowsFile] = process.argv.slice(2);
  const folder = mkdtempSync(join(tmpdir(), 'heed-bench-'));
  try {
    const model = join(folder, name);
    const saving = { folder: model, name, hasEos: task !== 'grpo' };
    const module = new URL('model.js', import.meta.url).href;
    await runJob({ module, name: 'saveForIds', payload: saving });
    const peak = watchMemory();
    const { useful, seconds, ...more } = await tasks[task]({ name, model, folder, rowsFile });
    const result = {
      task,
      model: name,
      tokens_per_s: useful / seconds,
      seconds,
      useful_tokens: useful,
      peak_rss_gb: peak(),
      ...more,
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
