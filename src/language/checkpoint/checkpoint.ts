// A model in a Hugging Face folder: config.json, safetensors weights, tokenizer files, and heed.json, which says what kind
// of model it is and what it was made from. A model with an adapter is a PEFT folder, which names the folder of its base.
// Reading checks everything before it allocates; writing is all or nothing.

import { readdir } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { Fields } from '../model/config-fields.ts';
import {
  modelConfigToJson,
  parseModelConfig,
  parseTokens,
  type TorchType,
  tokensToJson,
} from '../model/config-json.ts';
import { families } from '../model/families/index.ts';
import { headBias, headWeight } from '../model/scalar-head.ts';
import { type Weights, weightSpecs } from '../model/weights.ts';
import { readWholeFile } from '../read-file.ts';
import { largestTokenizerBytes } from '../text/tokenizer-files.ts';
import { type BaseModel, type CheckpointRecord, recordToJson } from './checkpoint-record.ts';
import { commitFolder, resolveFolder, verifyFolder } from './commit.ts';
import { diskFiles, type Files } from './files.ts';
import { modelCard } from './model-card.ts';
import {
  filesIn,
  hashModel,
  isAdapter,
  locateBase,
  readModelJson,
  readRecord,
  tokenizerFileNames,
} from './model-folder.ts';
import { adapterConfigName, adapterConfigToJson, parseAdapterConfig } from './peft.ts';
import type { StoredType } from './safetensors.ts';
import { type CheckpointKind, hasScalarHead, planTensors } from './tensor-plan.ts';
import { readWeights, writeWeights } from './weights.ts';

export type { CheckpointRecord } from './checkpoint-record.ts';
export type { CheckpointKind } from './tensor-plan.ts';

export interface Model extends Weights, CheckpointRecord {
  parameters: Map<string, Float32Array>;
  /** File name → its bytes, or a value to be written as JSON. */
  tokenizerFiles?: TokenizerFiles;
  /** generation_config.json without its special tokens; those go before config.json's and are in `config.tokens`. */
  generation?: Record<string, unknown>;
}

export type TokenizerFiles = Partial<Record<(typeof tokenizerFileNames)[number], Uint8Array | object>>;

export interface LoadOptions {
  expectKind?: readonly CheckpointKind[];
  /** The whole model under an adapter, where it is open already: its arrays are shared. */
  base?: Model;
  /** Where the base of an adapter is looked for, and kept. */
  bases?: FrozenBases;
}

/**
 * Whole models that nothing trains, by the hash of their folder's content: what adapters stand on, and models opened as
 * frozen. All that are opened with the same bases share their arrays.
 */
export interface FrozenBases {
  /** The model of this content, opened the first time that it is asked for. */
  open(sha256: string, load: () => Promise<Model>): Promise<Model>;
}

export function frozenBases(): FrozenBases {
  const known = new Map<string, Promise<Model>>();
  return {
    open(sha256, load) {
      const model = known.get(sha256) ?? load().then((opened): Model => ({ ...opened, isFrozen: true }));
      known.set(sha256, model);
      model.catch(() => known.delete(sha256));
      return model;
    },
  };
}

/**
 * Loads a folder that heed, Transformers or PEFT wrote. A folder with a manifest is compared with it first.
 * @throws UserError when there is no such folder or its kind is not expected; FormatError when it is not whole or holds
 *   what heed does not support
 */
export async function loadModel(folder: string, options: LoadOptions = {}): Promise<Model> {
  const path = await resolveFolder(folder);
  await verifyFolder(path);
  const names = await readdir(path);
  const load = isAdapter(names) ? loadAdapter : loadWhole;
  return load(path, names, options, (kind) => requireKind(folder, kind, options.expectKind));
}

/** Refuses a kind before weights are read. */
type CheckKind = (kind: CheckpointKind) => void;

async function loadWhole(
  path: string,
  names: string[],
  _options: LoadOptions,
  checkKind: CheckKind,
): Promise<Model> {
  const configFile = join(path, 'config.json');
  const configJson = await readModelJson(configFile);
  const config = parseModelConfig(configJson, configFile);
  const record = (await readRecord(path, names)) ?? {
    kind: kindOfArchitecture(new Fields(configJson, configFile)),
  };
  checkKind(record.kind);
  const parameters = await readWeights(path, config, planTensors(config, record.kind));
  return { ...record, parameters, ...(await besideWeights(path, names, config)) };
}

/** An adapter and the head over the arrays of its base. */
async function loadAdapter(
  path: string,
  names: string[],
  options: LoadOptions,
  checkKind: CheckKind,
): Promise<Model> {
  const where = join(path, adapterConfigName);
  const parsed = parseAdapterConfig(await readModelJson(where), where);
  const record = await readRecord(path, names);
  const kind = record?.kind ?? parsed.kind;
  checkKind(kind);
  const { base, folder } = await openBase(path, record?.base, options);
  const adapter = parsed.adapter(base.config);
  const own = await readWeights(path, base.config, planTensors(base.config, kind, adapter));
  const shared = [...base.parameters].filter(([name]) => !isScalarHead(name));
  const { tokenizerFiles, ...beside } = await besideWeights(path, names, base.config);
  return {
    ...record,
    kind,
    adapter,
    base: folder,
    parameters: new Map([...shared, ...own]),
    ...beside,
    ...((tokenizerFiles ?? base.tokenizerFiles) && { tokenizerFiles: tokenizerFiles ?? base.tokenizerFiles }),
  };
}

const isScalarHead = (name: string): boolean => name === headWeight || name === headBias;

async function openBase(path: string, recorded: BaseModel | undefined, options: LoadOptions) {
  if (options.base) return { base: options.base, folder: recorded };
  const folder = await locateBase(path);
  const sha256 = recorded?.sha256 ?? (await hashModel(folder));
  const base = await (options.bases ?? frozenBases()).open(sha256, () => loadModel(folder));
  return { base, folder: { path: folder, sha256 } };
}

/** The configuration with generation_config.json's special tokens, its rest, and the tokenizer. */
async function besideWeights(
  path: string,
  names: string[],
  config: ModelConfig,
): Promise<Pick<Model, 'config' | 'tokenizerFiles' | 'generation'>> {
  const generation = names.includes('generation_config.json')
    ? await readGeneration(join(path, 'generation_config.json'), config)
    : undefined;
  const tokenizerFiles = await readTokenizerFiles(path, names);
  return {
    config: { ...config, tokens: { ...config.tokens, ...generation?.tokens } },
    ...(Object.keys(tokenizerFiles).length > 0 && { tokenizerFiles }),
    ...(generation && Object.keys(generation.others).length > 0 && { generation: generation.others }),
  };
}

/**
 * What the config.json and generation_config.json beside a tokenizer say of special tokens; without these files, nothing.
 * @throws FormatError for a token that the vocabulary lacks
 */
export async function readSpecialTokens(
  folder: string,
  vocabulary: Pick<ModelConfig, 'vocabularySize'>,
): Promise<ModelConfig['tokens']> {
  const names = (await filesIn(folder)) ?? [];
  let tokens: ModelConfig['tokens'] = { eos: [] };
  for (const name of ['config.json', 'generation_config.json']) {
    if (!names.includes(name)) continue;
    const path = join(await resolveFolder(folder), name);
    tokens = { ...tokens, ...(await readGeneration(path, vocabulary)).tokens };
  }
  return tokens;
}

function kindOfArchitecture(fields: Fields): CheckpointKind {
  const names = fields.get('architectures');
  return Array.isArray(names) && /ForSequenceClassification$/.test(String(names[0])) ? 'reward' : 'base';
}

/** @throws UserError for a kind that is not among the expected */
export function requireKind(
  folder: string,
  kind: CheckpointKind,
  expected?: readonly CheckpointKind[],
): void {
  if (!expected || expected.includes(kind)) return;
  throw new UserError({
    where: folder,
    expected: `a ${expected.join(' or ')} model`,
    found: `a ${kind} model`,
  });
}

async function readGeneration(path: string, config: Pick<ModelConfig, 'vocabularySize'>) {
  const json = await readModelJson(path);
  const fields = new Fields(json, path);
  const { eos, ...bosAndPad } = parseTokens(fields, config);
  const { bos_token_id, eos_token_id, pad_token_id, ...others } = json as Record<string, unknown>;
  return { tokens: fields.has('eos_token_id') ? { ...bosAndPad, eos } : bosAndPad, others };
}

async function readTokenizerFiles(path: string, names: string[]): Promise<TokenizerFiles> {
  const present = tokenizerFileNames.filter((name) => names.includes(name));
  const files = present.map(async (name) => [name, await readTokenizerFile(join(path, name))] as const);
  return Object.fromEntries(await Promise.all(files));
}

async function readTokenizerFile(path: string): Promise<Uint8Array> {
  const kind = { expected: 'a file of a tokenizer', largestBytes: largestTokenizerBytes };
  return new Uint8Array(await readWholeFile(path, kind));
}

export interface SaveOptions {
  /** Type of the stored weights; default F32. */
  dtype?: StoredType;
  /** Default 5 GB, as Transformers has it. */
  maxShardBytes?: number;
  files?: Files;
}

/**
 * Writes a folder that `loadModel` and Transformers read, atomically (see commit.ts).
 * @throws UserError when parameters do not fit the configuration, or the disk refuses
 */
export async function saveModel(folder: string, model: Model, options: SaveOptions = {}): Promise<void> {
  await commitFolder(folder, (staging) => writeModelFiles(staging, model, options), options.files);
}

/** The files of `saveModel` without its atomicity, for a caller that commits a larger folder. */
export async function writeModelFiles(
  folder: string,
  model: Model,
  options: SaveOptions = {},
): Promise<void> {
  const { dtype = 'F32', maxShardBytes = 5e9, files = diskFiles } = options;
  const plan = planTensors(model.config, model.kind, model.adapter);
  const stored = model.adapter ? ownParameters(model) : model.parameters;
  const write = (name: string, content: Uint8Array | object) =>
    files.write(join(folder, name), [content instanceof Uint8Array ? content : jsonBytes(content)]);

  await writeWeights(folder, stored, plan, { dtype, maxShardBytes, files });
  const { kind, lineage, adapter, base, rewardStatistics } = model;
  if (adapter)
    await write(adapterConfigName, adapterConfigToJson(adapter, { ...model, base: baseName(base) }));
  else await write('config.json', configJson(model, dtype));
  await write('generation_config.json', { ...model.generation, ...tokensToJson(model.config.tokens) });
  for (const [name, content] of Object.entries(model.tokenizerFiles ?? {})) await write(name, content);
  const beside = base && { ...base, path: relative(folder, resolve(base.path)).replaceAll('\\', '/') };
  await write('heed.json', recordToJson({ kind, lineage, base: beside, rewardStatistics }));
  await write('README.md', new TextEncoder().encode(modelCard(model)));
}

/** What is stored of a model with an adapter: the frozen base is not. */
function ownParameters(model: Model): Map<string, Float32Array> {
  const own = weightSpecs(model).filter(({ part }) => part !== 'base');
  return new Map(own.map(({ name }) => [name, model.parameters.get(name)!]));
}

/** PEFT looks for it from the folder that a program runs in. */
function baseName(base: BaseModel | undefined): string {
  if (!base) throw new Error('a model with an adapter was saved without its base');
  const path = relative(process.cwd(), base.path);
  return path.startsWith('..') || isAbsolute(path) ? base.path : path;
}

function jsonBytes(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
}

const torchTypes: Record<StoredType, TorchType> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

function configJson({ config, kind }: Model, dtype: StoredType): Record<string, unknown> {
  const json = modelConfigToJson(config, torchTypes[dtype]);
  if (!hasScalarHead(kind)) return json;
  const labels = { num_labels: 1, id2label: { 0: 'LABEL_0' }, label2id: { LABEL_0: 0 } };
  return { ...json, architectures: [families[config.family].architectures.classifier], ...labels };
}
