// The job of merging: a folder with an adapter becomes a folder with a whole model, which needs no base beside it.

import { UserError } from '../../engine/errors.ts';
import { saveModel } from '../../language/checkpoint/checkpoint.ts';
import { mergeAdapter } from '../../language/checkpoint/merge.ts';
import { openWeights } from '../../language/checkpoint/open-model.ts';
import type { StoredType } from '../../language/checkpoint/safetensors.ts';
import { lineageFrom } from '../data/lineage.ts';

export interface MergeOptions {
  /** A model with an adapter, or the run that made it. */
  model: string;
  /** Folder of the whole model. */
  out: string;
  /** Type of the stored weights. Default F32. */
  dtype?: StoredType;
}

export interface MergeResult {
  out: string;
  /** Modules whose weights changed. */
  modules: number;
}

/** @throws UserError when the model has no adapter, or the disk refuses */
export async function merge({ model: path, out, dtype }: MergeOptions): Promise<MergeResult> {
  const opened = await openWeights(path);
  const { model, folder } = opened;
  if (!model.adapter) {
    const expected = 'a model with an adapter (adapter_config.json)';
    throw new UserError({ where: folder, expected, found: 'a whole model' });
  }
  const lineage = await lineageFrom([opened, ...(model.base ? [baseOf(model.base)] : [])], []);
  await saveModel(out, { ...mergeAdapter(model), lineage }, { dtype });
  return { out, modules: model.adapter.modules.length };
}

const baseOf = ({ path, sha256 }: { path: string; sha256: string }) => {
  return { folder: path, sha256: async () => sha256 };
};
