// A model in a Hugging Face folder: config.json, safetensors weights, tokenizer files, and heed.json, which says what kind
// of model it is and what it was made from. Reading checks everything before it allocates; writing is all or nothing.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { Fields } from '../model/config-fields.ts';
import {
  architectures,
  modelConfigToJson,
  parseModelConfig,
  parseTokens,
  type TorchType,
  tokensToJson,
} from '../model/config-json.ts';
import { readJsonFile, readWholeFile } from '../read-file.ts';
import { largestTokenizerBytes } from '../text/tokenizer-files.ts';
import { type CheckpointRecord, parseRecord, recordToJson } from './checkpoint-record.ts';
import { commitFolder, resolveFolder, verifyFolder } from './commit.ts';
import { diskFiles, type Files } from './files.ts';
import { modelCard } from './model-card.ts';
import type { StoredType } from './safetensors.ts';
import { type CheckpointKind, planTensors } from './tensor-plan.ts';
import { readWeights, writeWeights } from './weights.ts';

export type { CheckpointRecord } from './checkpoint-record.ts';
export type { CheckpointKind } from './tensor-plan.ts';

export interface Model extends CheckpointRecord {
  config: ModelConfig;
  /** Canonical names (`parameterSpecs`) → values. Reward and value models add `score.weight` and maybe `score.bias`. */
  parameters: Map<string, Float32Array>;
  /** File name → its bytes, or a value to be written as JSON. */
  tokenizerFiles?: TokenizerFiles;
  /** generation_config.json without its special tokens; those go before config.json's and are in `config.tokens`. */
  generation?: Record<string, unknown>;
}

const tokenizerFileNames = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'vocab.json',
  'merges.txt',
] as const;
export type TokenizerFiles = Partial<Record<(typeof tokenizerFileNames)[number], Uint8Array | object>>;

/**
 * The folder of a model: the given one, or `model/` in the folder of a training run.
 * @throws UserError when neither holds a config.json
 */
export async function locateModel(path: string): Promise<string> {
  const found = await Promise.all([filesIn(path), filesIn(join(path, 'model'))]);
  const index = found.findIndex((names) => names?.includes('config.json'));
  if (index >= 0) return index === 0 ? path : join(path, 'model');
  throw new UserError({
    where: path,
    expected: "a model's folder, with config.json in it or in its folder model/",
    found: found[0] ? 'a folder without it' : 'no such folder',
  });
}

async function filesIn(folder: string): Promise<string[] | undefined> {
  try {
    return await readdir(await resolveFolder(folder));
  } catch {
    return undefined;
  }
}

/**
 * Loads a folder that heed or Transformers wrote. A folder with a manifest is compared with it first.
 * @throws UserError when there is no such folder or its kind is not expected; FormatError when it is not whole or holds
 *   what heed does not support
 */
export async function loadModel(
  folder: string,
  options: { expectKind?: readonly CheckpointKind[] } = {},
): Promise<Model> {
  const path = await resolveFolder(folder);
  await verifyFolder(path);
  const names = await readdir(path);
  const configFile = join(path, 'config.json');
  const configJson = await readJson(configFile);
  const config = parseModelConfig(configJson, configFile);
  const record = names.includes('heed.json')
    ? parseRecord(await readJson(join(path, 'heed.json')), join(path, 'heed.json'))
    : { kind: kindOfArchitecture(new Fields(configJson, configFile)) };
  refuseOtherKinds(folder, record.kind, options.expectKind);
  const generation = names.includes('generation_config.json')
    ? await readGeneration(join(path, 'generation_config.json'), config)
    : undefined;
  const parameters = await readWeights(path, config, planTensors(config, record.kind, record.adapter));
  const tokenizerFiles = await readTokenizerFiles(path, names);
  return {
    ...record,
    config: { ...config, tokens: { ...config.tokens, ...generation?.tokens } },
    parameters,
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

function readJson(path: string): Promise<unknown> {
  return readJsonFile(path, { expected: 'a Hugging Face model file' });
}

function kindOfArchitecture(fields: Fields): CheckpointKind {
  const names = fields.get('architectures');
  return Array.isArray(names) && /ForSequenceClassification$/.test(String(names[0])) ? 'reward' : 'base';
}

function refuseOtherKinds(folder: string, kind: CheckpointKind, expected?: readonly CheckpointKind[]): void {
  if (!expected || expected.includes(kind)) return;
  throw new UserError({
    where: folder,
    expected: `a ${expected.join(' or ')} model`,
    found: `a ${kind} model`,
  });
}

async function readGeneration(path: string, config: Pick<ModelConfig, 'vocabularySize'>) {
  const json = await readJson(path);
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
  const write = (name: string, content: Uint8Array | object) =>
    files.write(join(folder, name), [content instanceof Uint8Array ? content : jsonBytes(content)]);

  await writeWeights(folder, model.parameters, plan, { dtype, maxShardBytes, files });
  await write('config.json', configJson(model, dtype));
  await write('generation_config.json', { ...model.generation, ...tokensToJson(model.config.tokens) });
  for (const [name, content] of Object.entries(model.tokenizerFiles ?? {})) await write(name, content);
  const { kind, lineage, adapter, rewardStatistics } = model;
  await write('heed.json', recordToJson({ kind, lineage, adapter, rewardStatistics }));
  if (adapter) await write('adapter_config.json', peftConfig(model, adapter));
  await write('README.md', new TextEncoder().encode(modelCard(model)));
}

function jsonBytes(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
}

const torchTypes: Record<StoredType, TorchType> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

function configJson({ config, kind }: Model, dtype: StoredType): Record<string, unknown> {
  const json = modelConfigToJson(config, torchTypes[dtype]);
  if (kind !== 'reward' && kind !== 'value') return json;
  const labels = { num_labels: 1, id2label: { 0: 'LABEL_0' }, label2id: { LABEL_0: 0 } };
  return { ...json, architectures: [architectures[config.family].classifier], ...labels };
}

/** adapter_config.json as the PEFT library reads it. */
function peftConfig(
  { config, lineage }: Model,
  adapter: NonNullable<Model['adapter']>,
): Record<string, unknown> {
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: lineage?.parents[0]?.name ?? null,
    r: adapter.rank,
    lora_alpha: adapter.alpha,
    lora_dropout: 0,
    target_modules: adapter.targets,
    fan_in_fan_out: config.family === 'gpt2',
    bias: 'none',
    inference_mode: true,
  };
}
