// The tokenizer of a model's folder, whose EOS may be named beside the tokenizer, as GPT-2's is, in config.json alone.

import { readSpecialTokens } from '../../language/checkpoint/checkpoint.ts';
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
 * @param folder the model's, or the tokenizer's alone
 * @param config the model's, where it has been read
 * @throws UserError when the folder has no tokenizer
 */
export async function loadModelTokenizer(
  folder: string,
  config?: Pick<ModelConfig, 'tokens'>,
): Promise<ModelTokenizer> {
  const tokenizer = await Tokenizer.load(folder);
  const { bos } = tokenizer.special;
  const isNamed = tokenizer.special.eos !== undefined;
  const tokens = config?.tokens ?? (isNamed ? { eos: [] } : await readSpecialTokens(folder, tokenizer));
  const eos = tokenizer.special.eos ?? tokens.eos[0];
  const prompts: PromptTokenizer = {
    encode: (text, options) => tokenizer.encode(text, options),
    decode: (ids, options) => tokenizer.decode(ids, options),
    special: { bos, eos },
    vocabularySize: tokenizer.vocabularySize,
    chatTemplate: tokenizer.chatTemplate,
  };
  const stopIds = [...new Set([...tokens.eos, ...(eos === undefined ? [] : [eos])])];
  return { tokenizer, prompts, stopIds };
}
