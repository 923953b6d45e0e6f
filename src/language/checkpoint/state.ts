// Training state: `checkpoints/step-00000120/` holds the model, the optimizer's tensors and a state.json, committed as one.
// The newest valid step is found by its number, never by a pointer or a clock, and a damaged one is passed over.

import { join } from 'node:path';
import { FormatError } from '../../engine/errors.ts';
import { Fields } from '../model/config-fields.ts';
import { readJsonFile } from '../read-file.ts';
import { fromStored, toStored } from '../stored-names.ts';
import { loadModel, type Model, writeModelFiles } from './checkpoint.ts';
import {
  clearDiscarded,
  commitFolder,
  discardFolder,
  listCommitted,
  resolveFolder,
  verifyFolder,
} from './commit.ts';
import { diskFiles, errorCode, exists, type Files } from './files.ts';
import { writeManifest } from './manifest.ts';
import { type NamedTensor, readSafetensorsHeader, readTensor, writeSafetensors } from './safetensors.ts';

export interface TrainingState {
  /** Optimizer steps done. */
  step: number;
  model: Model;
  /** Moments and whatever else the optimizer keeps; stored as F32, bit for bit. */
  optimizer: NamedTensor[];
  /** The rest of what resuming needs, as JSON: seeds, data cursor, recipe hash, coefficients. */
  state: unknown;
}

const stateVersion = 1;
const largestStateBytes = 256 * 2 ** 20;

function stepName(step: number): string {
  return `step-${String(step).padStart(8, '0')}`;
}

/**
 * Saves one step atomically, then deletes older ones.
 * @param checkpoints a run's `checkpoints/` folder
 * @param options.keepLast  how many steps stay, default all
 * @param options.keepSteps steps that are never deleted, such as the best
 * @returns the step's folder; warnings when an older step could not be deleted
 * @throws UserError when the disk refuses; earlier steps are then untouched
 */
export async function saveTrainingState(
  checkpoints: string,
  training: TrainingState,
  options: { keepLast?: number; keepSteps?: readonly number[]; files?: Files } = {},
): Promise<{ folder: string; warnings: string[] }> {
  const { keepLast = Number.POSITIVE_INFINITY, keepSteps = [], files = diskFiles } = options;
  const folder = join(checkpoints, stepName(training.step));
  await discardDamaged(folder, files);
  await commitFolder(folder, (staging) => writeState(staging, training, files), files);
  const others = (await listSteps(checkpoints)).filter((step) => step !== training.step);
  const doomed = others.slice(Math.max(0, keepLast - 1)).filter((step) => !keepSteps.includes(step));
  return { folder, warnings: await discardSteps(checkpoints, doomed, files) };
}

async function writeState(staging: string, { step, model, optimizer, state }: TrainingState, files: Files) {
  const modelFolder = join(staging, 'model');
  await files.makeFolder(modelFolder);
  await writeModelFiles(modelFolder, model, { files });
  await writeManifest(modelFolder, files);
  await writeSafetensors(join(staging, 'optimizer.safetensors'), optimizer, { files });
  const json = `${JSON.stringify({ version: stateVersion, step, state: toStored(state) }, null, 2)}\n`;
  await files.write(join(staging, 'state.json'), [new TextEncoder().encode(json)]);
}

/** A run that fell back past a damaged step reaches its number again; the damaged folder must not stop it. */
async function discardDamaged(folder: string, files: Files): Promise<void> {
  if (!(await exists(folder))) return;
  try {
    if ((await verifyFolder(folder)) === 'complete') return;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
  await discardFolder(folder, files);
}

/** Steps in a folder, newest first. */
async function listSteps(checkpoints: string): Promise<number[]> {
  const steps = (await listCommitted(checkpoints)).map((name) => /^step-(\d{8,})$/.exec(name)?.[1]);
  return steps
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => b - a);
}

async function discardSteps(checkpoints: string, steps: number[], files: Files): Promise<string[]> {
  const warnings: string[] = [];
  try {
    await clearDiscarded(checkpoints, files);
    for (const step of steps) await discardFolder(join(checkpoints, stepName(step)), files);
  } catch (error) {
    if (!errorCode(error)) throw error;
    warnings.push(`An old checkpoint could not be deleted: ${(error as Error).message}`);
  }
  return warnings;
}

/**
 * The newest step that is whole.
 * @param base of a model with an adapter, whose checkpoints do not hold it; its arrays are shared
 * @returns `training` undefined when there is none; a warning for every newer step that was passed over
 * @throws UserError for a step that a newer heed wrote
 */
export async function loadLatestTrainingState(
  checkpoints: string,
  base?: Model,
): Promise<{ training?: TrainingState; warnings: string[] }> {
  const warnings: string[] = [];
  for (const step of await listSteps(checkpoints)) {
    try {
      return { training: await loadStep(join(checkpoints, stepName(step)), step, base), warnings };
    } catch (error) {
      if (!(error instanceof FormatError) && !errorCode(error)) throw error;
      warnings.push(`Step ${step} was passed over: ${(error as Error).message}`);
    }
  }
  return { warnings };
}

async function loadStep(target: string, step: number, base: Model | undefined): Promise<TrainingState> {
  const folder = await resolveFolder(target);
  if ((await verifyFolder(folder)) === 'unmanaged') {
    throw new FormatError({ where: folder, expected: 'a manifest', found: 'none' });
  }
  const where = join(folder, 'state.json');
  const fields = new Fields(await readJsonFile(where, { largestBytes: largestStateBytes }), where);
  fields.version('version', stateVersion);
  fields.integer('step', { min: step, max: step });
  const model = await loadModel(join(folder, 'model'), { base });
  return {
    step,
    model,
    optimizer: await readAll(join(folder, 'optimizer.safetensors')),
    state: fromStored(fields.get('state')),
  };
}

async function readAll(path: string): Promise<NamedTensor[]> {
  const { entries } = await readSafetensorsHeader(path);
  const tensors: NamedTensor[] = [];
  for (const entry of entries.values()) {
    tensors.push({ name: entry.name, shape: entry.shape, data: await readTensor(path, entry) });
  }
  return tensors;
}
