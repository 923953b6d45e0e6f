// The folder of an evaluation: recipe.yaml (what was asked), inputs.json (hashes of what it was asked of), answers.jsonl
// and summary.json. It is committed as a whole, so a folder that is there is finished.

import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../../engine/errors.ts';
import { commitFolder, verifyFolder } from '../../language/checkpoint/commit.ts';
import { diskFiles, errorCode } from '../../language/checkpoint/files.ts';
import { hashModel, locateModel } from '../../language/checkpoint/model-folder.ts';
import { toStored } from '../../language/stored-names.ts';
import { readBytes } from '../data/bytes.ts';
import { differingWords, type Recipe, readRecipeWords, recipeText } from '../run/recipe.ts';
import { type Answer, answersFile, summaryFile } from './answers.ts';
import type { EvaluateOptions } from './evaluation-options.ts';
import type { Summary } from './summary.ts';

const recipeFile = 'recipe.yaml';
const inputsFile = 'inputs.json';
/** Options that say how to compute, not what. */
const free = ['resume', 'out', 'threads'];

/** SHA-256 of every model and file, by option and place. */
export type Inputs = Record<string, string>;

/** @throws UserError when a model or a file is not there */
export async function hashInputs(options: EvaluateOptions): Promise<Inputs> {
  const inputs: Inputs = {};
  for (const name of ['model', 'reference', 'reward'] as const) {
    const path = options[name];
    if (path !== undefined) inputs[name] = await hashModel(await locateModel(path));
  }
  for (const [i, file] of options.data.entries()) inputs[`data ${i + 1}`] = await hashFile(file);
  return inputs;
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const _ of readBytes(path, (chunk) => hash.update(chunk)));
  return hash.digest('hex');
}

/**
 * The summary of the folder when it holds this very evaluation; nothing when there is no folder, or an empty one.
 * @throws UserError when it holds something else, or when it is not to be resumed
 */
export async function finishedEvaluation(
  options: EvaluateOptions,
  inputs: Inputs,
): Promise<Summary | undefined> {
  const { out, resume } = options;
  const names = await namesIn(out);
  if (names.length === 0) return undefined;
  const advice = 'another --out';
  if (!names.includes(summaryFile)) {
    throw new UserError({
      where: out,
      expected: 'a new or empty folder',
      found: 'other files',
      advice,
    });
  }
  if (!resume) {
    const found = 'a finished evaluation';
    throw new UserError({
      where: out,
      expected: 'a new or empty folder',
      found,
      advice: '--resume, or another --out',
    });
  }
  await verifyFolder(out);
  const differing = differingWords(readRecipeWords(join(out, recipeFile)), recipeOf(options), free);
  if (differing.length > 0) {
    const found = `one with another ${differing.join(', ')}`;
    throw new UserError({ where: out, expected: 'the evaluation that these options ask for', found, advice });
  }
  if (!isDeepStrictEqual(await readJson(join(out, inputsFile)), inputs)) {
    const found = 'one of a model or data that have changed since';
    throw new UserError({ where: out, expected: 'the evaluation of these files', found, advice });
  }
  return (await readJson(join(out, summaryFile))) as Summary;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    if (errorCode(error) !== 'ENOTDIR') throw error;
    throw new UserError({ where: folder, expected: 'a folder', found: 'a file', advice: 'another --out' });
  }
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8'));
}

/** @throws UserError when the disk refuses */
export async function commitEvaluation(
  options: EvaluateOptions,
  inputs: Inputs,
  { answers, summary }: { answers: readonly Answer[]; summary: Summary },
): Promise<void> {
  await commitFolder(options.out, async (staging) => {
    const write = (name: string, text: string) => diskFiles.write(join(staging, name), [Buffer.from(text)]);
    await write(recipeFile, recipeText(recipeOf(options)));
    await write(inputsFile, `${JSON.stringify(inputs, null, 2)}\n`);
    await write(answersFile, answers.map((answer) => `${JSON.stringify(toStored(answer))}\n`).join(''));
    await write(summaryFile, `${JSON.stringify(toStored(summary), null, 2)}\n`);
  });
}

function recipeOf(options: EvaluateOptions): Recipe {
  return { command: 'eval', options: { ...options } };
}
