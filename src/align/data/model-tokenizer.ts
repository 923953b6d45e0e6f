// The tokenizer of a model that is only asked, not trained: its EOS may come from the model's configuration, and may
// be its padding token, for nothing here is padded with it.

import type { ModelConfig } from '../../language/model/config.ts';
import { Tokenizer } from '../../language/text/tokenizer.ts';
import type { PromptTokenizer } from './prompt-tokenizer.ts';

export interface ModelTokenizer {
  tokenizer: Tokenizer;
  /** For prompts and answers. */
  prompts: PromptTokenizer;
  /** What ends an answer: the model's own end-of-text tokens, and the one that training puts there. */
  stopIds: readonly number[];
}

/**
 * @param folder the model's
 * @throws UserError when the folder has no tokenizer
 */
export async function loadModelTokenizer(folder: string, { tokens }: ModelConfig): Promise<ModelTokenizer> {
  const tokenizer = await Tokenizer.load(folder);
  const { bos, eos = tokens.eos[0] } = tokenizer.special;
  const prompts: PromptTokenizer = {
    encode: (text, options) => tokenizer.encode(text, options),
    decode: (ids, options) => tokenizer.decode(ids, options),
    special: { bos, eos },
    vocabularySize: tokenizer.vocabularySize,
    configuration: tokenizer.configuration,
  };
  const stopIds = [...new Set([...tokens.eos, ...(eos === undefined ? [] : [eos])])];
  return { tokenizer, prompts, stopIds };
}
