// What determines how much a model takes, from its config.json or from the options of a new one.

import { join } from 'node:path';
import { parseModelConfig } from '../../language/model/config-json.ts';
import { countParameters } from '../../language/model/parameters.ts';
import { readJsonFile } from '../../language/read-file.ts';

export interface ModelSizes {
  layers: number;
  hiddenSize: number;
  vocabularySize: number;
  parameters: number;
}

/** @throws FormatError for a config.json that is none */
export async function sizesOfModel(folder: string): Promise<ModelSizes> {
  const path = join(folder, 'config.json');
  const config = parseModelConfig(await readJsonFile(path), path);
  const { layers, hiddenSize, vocabularySize } = config;
  return { layers, hiddenSize, vocabularySize, parameters: countParameters(config) };
}

/** Of a model to be made, with an MLP of twice the attention's weights; undefined where the options do not tell. */
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
