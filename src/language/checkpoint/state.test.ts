import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { UserError } from '../../engine/errors.ts';
import { parseModelConfig } from '../model/config-json.ts';
import { parameterSpecs } from '../model/parameters.ts';
import { loadLatestTrainingState, saveTrainingState, type TrainingState } from './state.ts';
import { failingFiles } from './testing/failing-files.ts';

let checkpoints: string;
beforeEach(() => {
  checkpoints = join(mkdtempSync(join(tmpdir(), 'heed-state-')), 'checkpoints');
});
afterEach(() => rmSync(join(checkpoints, '..'), { recursive: true }));

const config = parseModelConfig(
  { model_type: 'gpt2', vocab_size: 5, n_embd: 4, n_layer: 1, n_head: 1, n_positions: 3 },
  'config.json',
);

function at(step: number): TrainingState {
  const parameters = new Map(
    parameterSpecs(config).map(({ name, shape }) => {
      return [name, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(step / 3)] as const;
    }),
  );
  return {
    step,
    model: { config, kind: 'policy', parameters },
    optimizer: [{ name: 'wte.moment1', shape: [2], data: Float32Array.of(step * 1e-30, -0) }],
    state: { recipe: 'abc', cursor: step * 8 },
  };
}

const stepFolder = (step: number) => join(checkpoints, `step-${String(step).padStart(8, '0')}`);
const latest = async () => (await loadLatestTrainingState(checkpoints)).training?.step;

test('gives back model, moments and state bit for bit', async () => {
  await saveTrainingState(checkpoints, at(120));
  const { training, warnings } = await loadLatestTrainingState(checkpoints);
  expect(warnings).toEqual([]);
  expect(training).toEqual(at(120));
  expect(readdirSync(checkpoints)).toEqual(['step-00000120']);
});

test('finds nothing in a new run', async () => {
  expect(await loadLatestTrainingState(checkpoints)).toEqual({ warnings: [] });
});

test('takes the highest step, whatever the clock says, past 10⁸ too', async () => {
  for (const step of [123_456_789, 99, 100]) await saveTrainingState(checkpoints, at(step));
  utimesSync(stepFolder(99), new Date(), new Date(2099, 1));
  expect(await latest()).toBe(123_456_789);
});

test.each([
  ['a changed weight', 'model/model.safetensors', (bytes: Buffer) => bytes.fill(1, bytes.length - 1)],
  ['a cut optimizer file', 'optimizer.safetensors', (bytes: Buffer) => bytes.subarray(0, bytes.length - 1)],
  ['an empty manifest', 'manifest.json', () => Buffer.alloc(0)],
  ['half a manifest', 'manifest.json', (bytes: Buffer) => bytes.subarray(0, bytes.length >> 1)],
  ['half a manifest of the model', 'model/manifest.json', (bytes: Buffer) => bytes.subarray(0, 40)],
])('passes over a step with %s, says so, and may write it anew', async (_, name, damage) => {
  await saveTrainingState(checkpoints, at(1));
  await saveTrainingState(checkpoints, at(2));
  const path = join(stepFolder(2), name);
  writeFileSync(path, damage(readFileSync(path)));
  const { training, warnings } = await loadLatestTrainingState(checkpoints);
  expect(training).toEqual(at(1));
  expect(warnings).toEqual([expect.stringMatching(new RegExp(`^Step 2 was passed over: .*${name}`))]);
  await saveTrainingState(checkpoints, at(2));
  expect(await loadLatestTrainingState(checkpoints)).toEqual({ training: at(2), warnings: [] });
});

test('passes over a step without a manifest or without its optimizer', async () => {
  for (const step of [1, 2, 3]) await saveTrainingState(checkpoints, at(step));
  rmSync(join(stepFolder(3), 'manifest.json'));
  rmSync(join(stepFolder(2), 'optimizer.safetensors'));
  expect(await latest()).toBe(1);
});

test('refuses a step of a newer heed instead of training from an older one', async () => {
  await saveTrainingState(checkpoints, at(1));
  await saveTrainingState(checkpoints, at(2));
  writeFileSync(join(stepFolder(2), 'manifest.json'), '{"version":2,"files":[]}');
  await expect(loadLatestTrainingState(checkpoints)).rejects.toBeInstanceOf(UserError);
});

test('keeps the last k and those asked for', async () => {
  for (const step of [10, 20, 30, 40, 50]) {
    await saveTrainingState(checkpoints, at(step), { keepLast: 2, keepSteps: [20] });
  }
  expect(readdirSync(checkpoints)).toEqual(['step-00000020', 'step-00000040', 'step-00000050']);
});

test('wherever a crash comes, what was newest stays loadable and no step is half there', async () => {
  for (const step of [1, 2]) await saveTrainingState(checkpoints, at(step));
  const before = `${checkpoints}-before`;
  cpSync(checkpoints, before, { recursive: true });
  for (let n = 1; ; n++) {
    rmSync(checkpoints, { recursive: true });
    cpSync(before, checkpoints, { recursive: true });
    const { files, hasFailed } = failingFiles(n, 'crash');
    const outcome = await saveTrainingState(checkpoints, at(3), { keepLast: 2, files }).catch(
      () => undefined,
    );
    const { training, warnings } = await loadLatestTrainingState(checkpoints);
    expect([2, 3]).toContain(training?.step);
    expect(training).toEqual(at(training!.step));
    if (outcome) expect(training?.step).toBe(3);
    expect(warnings).toEqual([]);
    if (!hasFailed()) break;
    if (outcome) expect(outcome.warnings).toEqual([expect.stringContaining('could not be deleted')]);
  }
  expect(existsSync(stepFolder(1))).toBe(false);
});

test('what a crash left of a deleted step is cleared by the next save', async () => {
  await saveTrainingState(checkpoints, at(1));
  renameSync(stepFolder(1), join(checkpoints, '.step-00000001.deleting'));
  await saveTrainingState(checkpoints, at(2));
  expect(readdirSync(checkpoints)).toEqual(['step-00000002']);
});
