// A model's parameters in a folder: one safetensors file, or shards with an index. Every name and shape is checked
// against the plan before the first value is read.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError, UserError } from '../../engine/errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { Fields } from '../model/config-fields.ts';
import { families } from '../model/families/index.ts';
import { readJsonFile } from '../read-file.ts';
import { exists, type Files } from './files.ts';
import {
  type NamedTensor,
  readSafetensorsHeader,
  readTensor,
  type StoredType,
  type TensorEntry,
  writeSafetensors,
} from './safetensors.ts';
import { bytesPerElement } from './safetensors-header.ts';
import type { PlannedTensor, TensorPlan } from './tensor-plan.ts';

interface Located {
  path: string;
  entry: TensorEntry;
}

/**
 * The parameters of a folder by canonical name, in the plan's order.
 * @throws FormatError naming tensors that are missing, unknown, misshapen, or not finite
 */
export async function readWeights(
  folder: string,
  config: ModelConfig,
  plan: TensorPlan,
): Promise<Map<string, Float32Array>> {
  const located = await locateTensors(folder, config, plan);
  const tiedCopy = takeTiedCopy(located, config);
  const wanted = [...plan.required, ...plan.optional.filter(({ name }) => located.has(name))];
  refuseMissingAndUnknown(folder, located, plan);
  for (const tensor of wanted) refuseMisshapen(located.get(tensor.name) as Located, tensor);
  const parameters = new Map<string, Float32Array>();
  for (const { name } of wanted) parameters.set(name, await readFinite(located.get(name) as Located));
  if (tiedCopy) await refuseUnequalCopy(tiedCopy, parameters, config);
  return parameters;
}

async function locateTensors(
  folder: string,
  config: ModelConfig,
  plan: TensorPlan,
): Promise<Map<string, Located>> {
  const { buffers } = families[config.family].layout;
  const index = await readIndex(folder, plan.stem);
  const shards = index ? [...new Set(index.values())] : [`${plan.stem}.safetensors`];
  const located = new Map<string, Located>();
  for (const shard of shards) {
    const path = join(folder, shard);
    const { entries } = await readSafetensorsHeader(path, { skip: (name) => buffers.test(name) });
    for (const [stored, entry] of entries) {
      if (index && index.get(stored) !== shard) throw misplaced(path, stored, index.get(stored));
      index?.delete(stored);
      addOnce(located, canonicalName(stored, config, plan), { path, entry });
    }
  }
  const absent = [...(index?.keys() ?? [])].filter((name) => !buffers.test(name));
  if (absent.length > 0)
    throw namesFault(folder, 'every tensor of the index in its shard', absent, 'missing');
  return located;
}

function canonicalName(stored: string, config: ModelConfig, plan: TensorPlan): string {
  const name = stored.startsWith(plan.storedPrefix) ? stored.slice(plan.storedPrefix.length) : stored;
  const { bareNames, prefix } = families[config.family].layout;
  return bareNames.test(name) ? prefix + name : name;
}

function addOnce(located: Map<string, Located>, name: string, tensor: Located): void {
  if (located.has(name)) throw namesFault(tensor.path, 'every tensor once', [name], 'two of');
  located.set(name, tensor);
}

function misplaced(path: string, name: string, indexed: string | undefined): FormatError {
  return new FormatError({
    where: `${path}: tensor ${name}`,
    expected: 'the shard that the index names',
    found: indexed ?? 'a tensor that the index does not have',
  });
}

/** @returns tensor → shard, or undefined for a folder with a single weight file */
async function readIndex(folder: string, stem: string): Promise<Map<string, string> | undefined> {
  if (await exists(join(folder, `${stem}.safetensors`))) return undefined;
  const where = join(folder, `${stem}.safetensors.index.json`);
  if (!(await exists(where))) throw await noWeights(folder, stem);
  const map = new Fields(await readJsonFile(where), where).object('weight_map');
  if (!map) throw new FormatError({ where, expected: 'a weight_map', found: 'none' });
  return new Map(map.keys().map((name) => [name, shardName(map, name)]));
}

const reservedOnWindows = /^(?:con|prn|aux|nul|com\d|lpt\d)\./i;

/** Only a plain name beside the index; anything else could reach outside the folder. */
function shardName(map: Fields, tensor: string): string {
  const name = map.string(tensor);
  if (/^\w[\w.-]*\.safetensors$/.test(name) && !reservedOnWindows.test(name)) return name;
  throw map.fault(tensor, 'the name of a .safetensors file in the same folder');
}

async function noWeights(folder: string, stem: string): Promise<FormatError> {
  const names = await readdir(folder);
  const expected = `${stem}.safetensors, or shards with ${stem}.safetensors.index.json`;
  const shards = names.filter((name) => /-\d+-of-\d+\.safetensors$/.test(name));
  if (shards.length > 0) {
    const found = `${shards.length} shards without that index`;
    return new FormatError({
      where: folder,
      expected,
      found,
      advice: 'fetching it from where the shards come from',
    });
  }
  const pickled = names.find((name) => /\.(?:bin|pt|pth|ckpt|pkl)$/.test(name));
  return new FormatError({
    where: folder,
    expected,
    found: pickled ? `${pickled}, which can run code when it is read and is never opened` : 'no weight file',
    advice: pickled ? 'the safetensors version of this model' : undefined,
  });
}

function takeTiedCopy(located: Map<string, Located>, config: ModelConfig): Located | undefined {
  const copy = config.tiedOutput ? located.get('lm_head.weight') : undefined;
  if (copy) located.delete('lm_head.weight');
  return copy;
}

async function refuseUnequalCopy(
  copy: Located,
  parameters: Map<string, Float32Array>,
  config: ModelConfig,
): Promise<void> {
  const name = families[config.family].layout.tokens;
  const embedding = parameters.get(name);
  // Adapters and other partial checkpoints have no embedding to compare with.
  const shape = [config.vocabularySize, config.hiddenSize];
  refuseMisshapen(copy, { name: 'lm_head.weight', shape });
  const values = await readFinite(copy);
  if (embedding?.every((value, i) => value === values[i])) return;
  throw new FormatError({
    where: `${copy.path}: tensor lm_head.weight`,
    expected: `the values of ${name}, since config.json ties them`,
    found: 'others',
    advice: 'tie_word_embeddings: false',
  });
}

function refuseMissingAndUnknown(folder: string, located: Map<string, Located>, plan: TensorPlan): void {
  const missing = plan.required.map(({ name }) => name).filter((name) => !located.has(name));
  const known = new Set([...plan.required, ...plan.optional].map(({ name }) => name));
  const unknown = [...located.keys()].filter((name) => !known.has(name));
  if (missing.length > 0) {
    const others = unknown.length > 0 ? `, and there are others: ${someOf(unknown)}` : '';
    const found = `missing ${someOf(missing)}${others}`;
    throw new FormatError({ where: folder, expected: 'every tensor of the model', found });
  }
  if (unknown.length > 0) throw namesFault(folder, 'only tensors of the model', unknown, 'also');
}

function namesFault(where: string, expected: string, names: string[], word: string): FormatError {
  return new FormatError({ where, expected, found: `${word} ${someOf(names)}` });
}

function someOf(names: readonly string[]): string {
  const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
  return `${names.slice(0, 3).join(', ')}${more}`;
}

function refuseMisshapen({ path, entry }: Located, { name, shape }: PlannedTensor): void {
  if (entry.shape.length === shape.length && shape.every((size, i) => size === entry.shape[i])) return;
  throw new FormatError({
    where: `${path}: tensor ${name}`,
    expected: `the shape [${shape}]`,
    found: `[${entry.shape}]`,
  });
}

async function readFinite({ path, entry }: Located): Promise<Float32Array> {
  const values = await readTensor(path, entry);
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at === -1) return values;
  throw new FormatError({
    where: `${path}: tensor ${entry.name}`,
    expected: 'finite values',
    found: `${values[at]} at ${at}`,
  });
}

const largest: Record<StoredType, number> = { F32: Number.MAX_VALUE, F16: 65519, BF16: 3.39e38 };

/**
 * Writes the parameters: one file, or shards of at most `maxShardBytes` with an index.
 * @throws UserError for a parameter that is missing, unknown, of the wrong size, not finite, or too large for the type
 */
export async function writeWeights(
  folder: string,
  parameters: Map<string, Float32Array>,
  plan: TensorPlan,
  options: { dtype: StoredType; maxShardBytes: number; files: Files },
): Promise<void> {
  const tensors = plannedTensors(parameters, plan, options.dtype);
  const shards = partition(tensors, bytesPerElement[options.dtype], options.maxShardBytes);
  const name = (i: number) => `${plan.stem}-${ordinal(i + 1)}-of-${ordinal(shards.length)}.safetensors`;
  const names = shards.length === 1 ? [`${plan.stem}.safetensors`] : shards.map((_, i) => name(i));
  for (const [i, shard] of shards.entries()) await writeSafetensors(join(folder, names[i]), shard, options);
  if (shards.length === 1) return;
  const elements = tensors.reduce((sum, { data }) => sum + data.length, 0);
  const index = {
    metadata: { total_size: elements * bytesPerElement[options.dtype] },
    weight_map: Object.fromEntries(
      shards.flatMap((shard, i) => shard.map((tensor) => [tensor.name, names[i]])),
    ),
  };
  const text = `${JSON.stringify(index, null, 2)}\n`;
  await options.files.write(join(folder, `${plan.stem}.safetensors.index.json`), [
    new TextEncoder().encode(text),
  ]);
}

function ordinal(n: number): string {
  return String(n).padStart(5, '0');
}

function plannedTensors(
  parameters: Map<string, Float32Array>,
  plan: TensorPlan,
  dtype: StoredType,
): NamedTensor[] {
  const wanted = [...plan.required, ...plan.optional.filter(({ name }) => parameters.has(name))];
  const known = new Set(wanted.map(({ name }) => name));
  const unknown = [...parameters.keys()].find((name) => !known.has(name));
  if (unknown) throw parameterFault(unknown, 'a parameter of the model', 'an unknown name');
  return wanted.map(({ name, shape }) => {
    const data = parameters.get(name);
    if (!data) throw parameterFault(name, `values of shape [${shape}]`, 'nothing');
    const size = shape.reduce((product, n) => product * n, 1);
    if (data.length !== size) throw parameterFault(name, `${size} values`, `${data.length}`);
    const misfit = data.find((value) => !(Math.abs(value) <= largest[dtype]));
    if (misfit !== undefined) throw parameterFault(name, `finite values that fit ${dtype}`, `${misfit}`);
    return { name: plan.storedPrefix + name, shape, data };
  });
}

function parameterFault(name: string, expected: string, found: string): UserError {
  return new UserError({ where: `parameter ${name}`, expected, found });
}

function partition(tensors: NamedTensor[], bytesEach: number, maxBytes: number): NamedTensor[][] {
  const shards: NamedTensor[][] = [[]];
  let room = maxBytes;
  for (const tensor of tensors) {
    const bytes = tensor.data.length * bytesEach;
    if (bytes > room && shards[shards.length - 1].length > 0) {
      shards.push([]);
      room = maxBytes;
    }
    shards[shards.length - 1].push(tensor);
    room -= bytes;
  }
  return shards;
}
