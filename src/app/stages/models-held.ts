// The models that a stage keeps in memory under its options, and how many bytes each role takes.

import { locateModel } from '../../language/checkpoint/model-folder.ts';
import { Tokenizer } from '../../language/text/tokenizer.ts';
import { adapterParametersOf, type ModelSizes, sizesOfModel, sizesOfNewModel } from './model-sizes.ts';
import { modelsNamedBy } from './option-texts.ts';
import type { ModelUse, Stage } from './stage.ts';

type Options = Readonly<Record<string, unknown>>;

export interface HeldModels extends ModelUse {
  /** The folders that its option names. */
  named: string[];
  count: number;
}

/** The models of each use; one whose option names a model shares no weights. */
export function modelsHeld({ models, options: specs }: Stage, options: Options): HeldModels[] {
  return models.map((use) => {
    const texts = [options[use.option] ?? []].flat() as string[];
    const holds = specs.find(({ name }) => name === use.option)?.holds;
    const named = modelsNamedBy(holds, texts);
    const weights = use.weights === 'shared' && named.length > 0 ? 'frozen' : use.weights;
    const isThere = typeof use.isAlways === 'function' ? use.isAlways(options) : use.isAlways;
    return { ...use, weights, named, count: named.length || (isThere ? 1 : 0) };
  });
}

/** Bytes of one model in one role; parameters in float32. */
export interface ModelMemory {
  role: ModelUse['role'];
  weights: ModelUse['weights'];
  /** The model's folder; undefined for a new model or a copy of the policy. */
  model: string | undefined;
  /** Undefined where the model cannot be read. */
  parameters: number | undefined;
  weightsBytes: number;
  gradientBytes: number;
  /** AdamW's two moments. */
  optimizerBytes: number;
}

/**
 * Where an adapter is trained, its frozen base counts once, for the policy; the other models that start from the policy
 * are adapters over the same base, and a reference is the base itself.
 * @returns a row for each model, in the order in which the stage declares them
 */
export async function memoryOfModels(stage: Stage, options: Options): Promise<ModelMemory[]> {
  const held = modelsHeld(stage, options);
  const [first] = held;
  const policy = first && (first.named[0] ? await sizesIfThere(first.named[0]) : await newSizes(options));
  const adapter = policy && (adapterParametersOf(options, policy) ?? policy.adapterParameters);
  const rows: ModelMemory[] = [];
  for (const use of held) {
    for (let i = 0; i < use.count; i++) {
      const model = use.named[i];
      const own = model === undefined ? policy : await sizesIfThere(model);
      const isPolicy = use === first;
      const adapterParameters = isPolicy || model === undefined ? adapter : own?.adapterParameters;
      // Adapters stand on the policy's base; a reference without a name is that base.
      const isShared =
        adapter !== undefined && !isPolicy && (model === undefined || adapterParameters !== undefined);
      rows.push(memoryOf(use, { model, parameters: own?.parameters, adapterParameters, isShared }));
    }
  }
  return rows;
}

function memoryOf(
  { role, weights }: ModelUse,
  {
    model,
    parameters,
    adapterParameters,
    isShared,
  }: Pick<ModelMemory, 'model' | 'parameters'> & { adapterParameters: number | undefined; isShared: boolean },
): ModelMemory {
  const isTrained = weights === 'trained';
  const base = isShared || weights === 'shared' ? 0 : (parameters ?? 0);
  const own = isTrained || model !== undefined ? (adapterParameters ?? 0) : 0;
  const trained = isTrained ? (adapterParameters ?? parameters ?? 0) : 0;
  return {
    ...{ role, weights, model, parameters },
    weightsBytes: 4 * (base + own),
    gradientBytes: 4 * trained,
    optimizerBytes: 8 * trained,
  };
}

/** Before a run its models need not be there yet. */
async function sizesIfThere(path: string): Promise<ModelSizes | undefined> {
  try {
    return await sizesOfModel(await locateModel(path));
  } catch {
    return undefined;
  }
}

async function newSizes(options: Options): Promise<ModelSizes | undefined> {
  const { tokenizer } = options;
  if (typeof tokenizer !== 'string') return undefined;
  const loaded = await Tokenizer.load(tokenizer).catch(() => undefined);
  return sizesOfNewModel(options, loaded?.vocabularySize);
}
