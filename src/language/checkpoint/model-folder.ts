// Where a model lies, where the base under an adapter lies, and one hash for what a model is made of.

import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import { readJsonFile } from '../read-file.ts';
import { type BaseModel, type CheckpointRecord, parseRecord } from './checkpoint-record.ts';
import { hashFolder, resolveFolder } from './commit.ts';
import { adapterConfigName, parseAdapterConfig } from './peft.ts';

export const tokenizerFileNames = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'vocab.json',
  'merges.txt',
] as const;

const modelFileNames: readonly string[] = [
  ...['config.json', adapterConfigName, 'generation_config.json', 'heed.json'],
  ...tokenizerFileNames,
];
const weightsFile = /^[^/]+\.safetensors(\.index\.json)?$/;

/** Of the files of a folder, those that a model may be read from. */
const isModelFile = (name: string): boolean => modelFileNames.includes(name) || weightsFile.test(name);

/**
 * The folder of a model: the given one, or `model/` in the folder of a training run.
 * @throws UserError when neither holds a config.json, or an adapter's adapter_config.json
 */
export async function locateModel(path: string): Promise<string> {
  const found = await Promise.all([filesIn(path), filesIn(join(path, 'model'))]);
  const index = found.findIndex(
    (names) => names?.includes('config.json') || names?.includes(adapterConfigName),
  );
  if (index >= 0) return index === 0 ? path : join(path, 'model');
  throw new UserError({
    where: path,
    expected: `a model's folder, with config.json or ${adapterConfigName} in it or in its folder model/`,
    ...(found[0] ? { found: 'a folder without it' } : await whatIsThere(path)),
  });
}

/** Where there is no folder. */
async function whatIsThere(path: string): Promise<{ found: string; advice?: string }> {
  const isFile = await stat(path).then(
    (file) => file.isFile(),
    () => false,
  );
  if (isFile && /\.gguf$/i.test(path)) {
    return {
      found: 'a GGUF file, which heed does not read yet',
      advice: 'the folder of the model in safetensors',
    };
  }
  if (isFile) return { found: 'a file' };
  const isHubName = /^[\w-][\w.-]*\/[\w.-]+$/.test(path) && !(await filesIn(dirname(path)));
  return {
    found: 'no such folder',
    ...(isHubName && {
      advice: 'the folder of a clone, if this is a name on the Hugging Face hub: heed downloads nothing',
    }),
  };
}

export async function filesIn(folder: string): Promise<string[] | undefined> {
  try {
    return await readdir(await resolveFolder(folder));
  } catch {
    return undefined;
  }
}

/** Whether a folder of these files is an adapter without its base. */
export const isAdapter = (names: readonly string[]): boolean =>
  names.includes(adapterConfigName) && !names.includes('config.json');

export function readModelJson(path: string): Promise<unknown> {
  return readJsonFile(path, { expected: 'a Hugging Face model file' });
}

export async function readRecord(
  path: string,
  names: readonly string[],
): Promise<CheckpointRecord | undefined> {
  const file = join(path, 'heed.json');
  return names.includes('heed.json') ? parseRecord(await readModelJson(file), file) : undefined;
}

/**
 * How a model is named as another's parent: the hash of its manifest, or, of a folder from elsewhere, of the files that a
 * model is read from, whatever else lies there. An adapter that does not record its base is named with it.
 * @throws UserError when that base is not found
 */
export async function hashModel(folder: string): Promise<string> {
  const path = await resolveFolder(folder);
  const own = await hashFolder(path, isModelFile);
  const names = (await filesIn(path)) ?? [];
  if (!isAdapter(names) || (await readRecord(path, names))?.base) return own;
  const base = await hashModel(await locateBase(path));
  return createHash('sha256')
    .update(JSON.stringify([own, base]))
    .digest('hex');
}

/** The base of the adapter in a folder. @throws UserError naming all places where it is not */
export async function locateBase(folder: string): Promise<string> {
  const where = join(folder, adapterConfigName);
  const { base: written } = parseAdapterConfig(await readModelJson(where), where);
  const recorded = (await readRecord(folder, (await filesIn(folder)) ?? []))?.base;
  return await findBase(folder, recorded, written);
}

/** What heed.json says of the base, then PEFT's path as it is and beside the adapter. */
async function findBase(
  folder: string,
  recorded: BaseModel | undefined,
  written: string | undefined,
): Promise<string> {
  const places = [
    ...(recorded ? [resolve(folder, recorded.path)] : []),
    ...(written === undefined ? [] : [resolve(written)]),
    ...(written === undefined || isAbsolute(written) ? [] : [resolve(folder, written)]),
  ];
  for (const place of places) {
    if (!(await filesIn(place))?.includes('config.json')) continue;
    if (!recorded || (await hashModel(place)) === recorded.sha256) return await resolveFolder(place);
  }
  throw new UserError({
    where: join(folder, adapterConfigName),
    expected: recorded
      ? `the adapter's base model with the content that it was trained on (SHA-256 ${recorded.sha256.slice(0, 12)})`
      : "the adapter's base model in a folder of this machine",
    found: places.length === 0 ? 'no path of it' : `none at ${[...new Set(places)].join(' or ')}`,
    advice: recorded
      ? `that base, or a link to it, at ${places[0]}`
      : 'base_model_name_or_path with the folder of the base',
  });
}
