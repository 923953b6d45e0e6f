// From a path to a model that can be used: where it lies, its weights, its tokenizer, and the hash that lineages name it
// by. Each file of the folder is read once.

import { Tokenizer } from '../text/tokenizer.ts';
import { type LoadOptions, loadModel, type Model, requireKind } from './checkpoint.ts';
import { hashModel, locateModel } from './model-folder.ts';
import { type ModelTokenizer, modelTokenizer } from './model-tokenizer.ts';

export interface OpenOptions extends Omit<LoadOptions, 'base'> {
  /**
   * Nothing will train the model: its arrays are then those of `bases`. Adapters share their base in either case; a whole
   * model that is trained never shares.
   */
  isFrozen?: boolean;
}

/** A model without its tokenizer. */
export interface OpenedWeights {
  /** That holds the model: the path given, or `model/` in it. */
  folder: string;
  model: Model;
  /** SHA-256 of the folder's content, computed once. */
  sha256(): Promise<string>;
}

export interface OpenedModel extends OpenedWeights, ModelTokenizer {}

/** Where a model may come from. */
interface ModelSource {
  accepts(path: string): boolean;
  /** @throws UserError when there is no model */
  locate(path: string): Promise<string>;
  load(place: string, options: LoadOptions): Promise<Model>;
  hash(place: string): Promise<string>;
}

const folders: ModelSource = {
  accepts: () => true,
  locate: locateModel,
  load: loadModel,
  hash: hashModel,
};

/** The first that accepts a path opens it. */
const sources: readonly ModelSource[] = [folders];

/**
 * @param path a model's folder, or that of the run that made it
 * @throws UserError when there is no model, none of an expected kind, or no tokenizer; FormatError when it is not whole or
 *   holds what heed does not support
 */
export async function openModel(path: string, options: OpenOptions = {}): Promise<OpenedModel> {
  const opened = await openWeights(path, options);
  return { ...opened, ...(await tokenizerOf(opened)) };
}

/** `openModel` for a caller that needs no tokenizer, or perhaps: see `tokenizerOf`. */
export async function openWeights(path: string, options: OpenOptions = {}): Promise<OpenedWeights> {
  const { isFrozen = false, bases, expectKind } = options;
  const source = sources.find(({ accepts }) => accepts(path))!;
  const folder = await source.locate(path);
  let hash: Promise<string> | undefined;
  const sha256 = () => {
    hash ??= source.hash(folder);
    return hash;
  };
  const load = () => source.load(folder, { bases, expectKind });
  const model = isFrozen && bases ? await bases.open(await sha256(), load) : await load();
  requireKind(path, model.kind, expectKind);
  return { folder, model, sha256 };
}

/** An adapter without a tokenizer has its base's. @throws UserError when there is none; FormatError for a malformed one */
export async function tokenizerOf({
  folder,
  model,
}: Pick<OpenedWeights, 'folder' | 'model'>): Promise<ModelTokenizer> {
  const tokenizer = await Tokenizer.fromFiles(folder, model.tokenizerFiles ?? {});
  return modelTokenizer(tokenizer, model.config.tokens);
}
