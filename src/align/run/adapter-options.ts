// The options by which a stage trains a LoRA adapter over a frozen model instead of the model itself.

import { UserError } from '../../engine/errors.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import type { OpenedWeights } from '../../language/checkpoint/open-model.ts';
import { type Adapter, initialAdapter, targetModules } from '../../language/model/adapter.ts';

export interface AdapterOptions {
  /** r of a new adapter; without it a whole model is trained as a whole, and a model that has an adapter goes on training that. */
  loraRank?: number;
  /** Default 2·r. */
  loraAlpha?: number;
  /** Share of the inputs of an adapter that a training step drops. Default 0, or the adapter's own. */
  loraDropout?: number;
  /** Roles (`all-linear`, `attention`, `mlp`) or names of modules. Default all-linear. */
  loraTargets?: readonly string[];
  /** s = alpha / √r instead of alpha / r. */
  loraRankStabilised?: boolean;
}

/**
 * The model as these options train it: with a fresh adapter over its frozen arrays, with the adapter that it has, or as
 * a whole.
 * @throws UserError for options that do not fit the model
 */
export async function withAdapter(
  { model, folder, sha256 }: OpenedWeights,
  options: AdapterOptions & { seed: number },
): Promise<Model> {
  const { loraRank: rank, loraDropout, seed } = options;
  if (rank === undefined) return withExistingAdapter(model, options);
  if (model.adapter) {
    throw new UserError({
      where: '--lora-rank',
      expected: 'a whole model to put a new adapter over',
      found: `an adapter of rank ${model.adapter.rank}`,
      advice: 'leaving --lora-rank out to go on training this adapter, or `heed merge` first',
    });
  }
  const adapter: Adapter = {
    rank,
    alpha: options.loraAlpha ?? 2 * rank,
    isRankStabilised: options.loraRankStabilised ?? false,
    dropout: loraDropout ?? 0,
    modules: targetModules(model.config, options.loraTargets ?? ['all-linear']),
  };
  const parameters = new Map([...model.parameters, ...initialAdapter(model.config, adapter, seed)]);
  const { isFrozen: _, ...own } = model;
  return { ...own, adapter, base: { path: folder, sha256: await sha256() }, parameters };
}

function withExistingAdapter(model: Model, options: AdapterOptions): Model {
  const { loraDropout, loraAlpha, loraTargets, loraRankStabilised } = options;
  const needsRank = {
    '--lora-alpha': loraAlpha,
    '--lora-targets': loraTargets,
    '--lora-rank-stabilised': loraRankStabilised,
  };
  const [stray] = Object.entries(needsRank).filter(([, value]) => value !== undefined && value !== false);
  if (stray) {
    throw new UserError({
      where: stray[0],
      expected: '--lora-rank beside it, for a new adapter',
      found: 'none',
    });
  }
  if (loraDropout === undefined) return model;
  if (model.adapter) return { ...model, adapter: { ...model.adapter, dropout: loraDropout } };
  const expected = '--lora-rank beside it, or a model that has an adapter';
  throw new UserError({ where: '--lora-dropout', expected, found: 'neither' });
}
