// What determines how much a model takes, from its folder or from the options of a new one.

import { join } from 'node:path';
import { exists } from '../../language/checkpoint/files.ts';
import { locateBase } from '../../language/checkpoint/model-folder.ts';
import { adapterConfigName, parseAdapterConfig } from '../../language/checkpoint/peft.ts';
import { type Adapter, adapterSpecs, targetModules } from '../../language/model/adapter.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import { parseModelConfig } from '../../language/model/config-json.ts';
import { countParameters } from '../../language/model/parameters.ts';
import { readJsonFile } from '../../language/read-file.ts';

export interface ModelSizes {
  layers: number;
  hiddenSize: number;
  vocabularySize: number;
  /** Of the whole model, or of the base under an adapter. */
  parameters: number;
  /** Of the adapter over it. */
  adapterParameters?: number;
  /** Absent for a model that is still to be made. */
  config?: ModelConfig;
}

/** @throws FormatError for files that are no model's; UserError when an adapter's base is not found */
export async function sizesOfModel(folder: string): Promise<ModelSizes> {
  const adapterFile = join(folder, adapterConfigName);
  if (!(await exists(join(folder, 'config.json'))) && (await exists(adapterFile))) {
    const { adapter } = parseAdapterConfig(await readJsonFile(adapterFile), adapterFile);
    const base = await sizesOfModel(await locateBase(folder));
    return { ...base, adapterParameters: countAdapter(base.config!, adapter(base.config!)) };
  }
  const path = join(folder, 'config.json');
  const config = parseModelConfig(await readJsonFile(path), path);
  const { layers, hiddenSize, vocabularySize } = config;
  return { layers, hiddenSize, vocabularySize, parameters: countParameters(config), config };
}

function countAdapter(config: ModelConfig, adapter: Adapter): number {
  return adapterSpecs(config, adapter).reduce((sum, { shape: [rows, columns] }) => sum + rows * columns, 0);
}

/** Of the adapter that a stage's options put over a model; undefined where they ask for none. */
export function adapterParametersOf(
  options: Readonly<Record<string, unknown>>,
  { config }: ModelSizes,
): number | undefined {
  const { loraRank: rank, loraTargets = ['all-linear'] } = options as {
    loraRank?: number;
    loraTargets?: string[];
  };
  if (rank === undefined || !config) return undefined;
  const modules = targetModules(config, loraTargets);
  return countAdapter(config, { rank, modules, alpha: rank, isRankStabilised: false, dropout: 0 });
}

/** Of a model to be made, with an MLP of twice the attention's weights; undefined where the options do not give it. */
export function sizesOfNewModel(
  options: Readonly<Record<string, unknown>>,
  vocabularySize: unknown,
): ModelSizes | undefined {
  const { layers, hiddenSize } = options;
  if (typeof layers !== 'number' || typeof hiddenSize !== 'number' || typeof vocabularySize !== 'number') {
    return undefined;
  }
  const parameters = vocabularySize * hiddenSize + 12 * layers * hiddenSize ** 2;
  return { layers, hiddenSize, vocabularySize, parameters };
}
