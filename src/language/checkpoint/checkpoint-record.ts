// heed.json: what Hugging Face's and PEFT's files cannot say of a checkpoint: its kind, where it comes from, the base of
// an adapter, the scale of a reward. A folder without one is typed by its architecture.

import { Fields } from '../model/config-fields.ts';
import { type CheckpointKind, checkpointKinds } from './tensor-plan.ts';

/** Something that a checkpoint was made from, and the hash of its contents. */
export interface Source {
  name: string;
  sha256: string;
}

export interface Lineage {
  /** Checkpoints, hashed by `hashFolder`. */
  parents: Source[];
  /** Files of records or labels. */
  data: Source[];
  /** The recipe as it was run. */
  recipe?: unknown;
}

export interface BaseModel {
  path: string;
  sha256: string;
}

export interface CheckpointRecord {
  kind: CheckpointKind;
  lineage?: Lineage;
  /** Of an adapter: the whole model under it, relative to the adapter's folder, and its hash. */
  base?: BaseModel;
  /** Mean and standard deviation of the raw score on SFT answers; a score is used as (raw − mean) / deviation. */
  rewardStatistics?: { mean: number; deviation: number };
}

const recordVersion = 1;

export function recordToJson({ rewardStatistics, ...rest }: CheckpointRecord): Record<string, unknown> {
  const record = { format: 'heed checkpoint', version: recordVersion, ...rest };
  return rewardStatistics ? { ...record, reward_statistics: rewardStatistics } : record;
}

/** @throws FormatError for a malformed record or an unknown kind; UserError for a version newer than this one */
export function parseRecord(json: unknown, where: string): CheckpointRecord {
  const fields = new Fields(json, where);
  fields.version('version', recordVersion);
  const kind = checkpointKinds.find((name) => name === fields.get('kind'));
  if (!kind) throw fields.fault('kind', `one of ${checkpointKinds.join(', ')}`);
  const [lineage, base, statistics] = ['lineage', 'base', 'reward_statistics'].map((k) => fields.object(k));
  return {
    kind,
    ...(lineage && { lineage: parseLineage(lineage) }),
    ...(base && { base: { path: base.string('path'), sha256: base.string('sha256') } }),
    ...(statistics && { rewardStatistics: parseStatistics(statistics) }),
  };
}

function parseLineage(fields: Fields): Lineage {
  const recipe = fields.get('recipe');
  const sources = { parents: parseSources(fields, 'parents'), data: parseSources(fields, 'data') };
  return recipe === undefined ? sources : { ...sources, recipe };
}

function parseSources(fields: Fields, key: string): Source[] {
  const list = fields.get(key) ?? [];
  if (!Array.isArray(list)) throw fields.fault(key, 'a list');
  return list.map((item, i) => {
    const source = new Fields(item, `${fields.where}.${key}[${i}]`);
    return { name: source.string('name'), sha256: source.string('sha256') };
  });
}

function parseStatistics(fields: Fields) {
  const bound = { min: -1e30, max: 1e30 };
  return { mean: fields.number('mean', bound), deviation: fields.number('deviation', { min: 0, max: 1e30 }) };
}
