// The tokenizer of a model's folder, whose EOS may be named beside the tokenizer, as GPT-2's is, in config.json alone.

import type { ModelConfig } from '../model/config.ts';
import type { PromptTokenizer } from '../text/prompt-tokenizer.ts';
import { Tokenizer } from '../text/tokenizer.ts';
import { readSpecialTokens } from './checkpoint.ts';

export interface ModelTokenizer {
  tokenizer: Tokenizer;
  /** For prompts and completions. */
  prompts: PromptTokenizer;
  /** What ends a completion: the model's own end-of-text tokens, and the one that training puts there. */
  stopIds: readonly number[];
}

/**
 * The tokenizer of a folder that may hold no model.
 * @throws UserError when the folder has no tokenizer
 */
export async function loadModelTokenizer(folder: string): Promise<ModelTokenizer> {
  const tokenizer = await Tokenizer.load(folder);
  const isNamed = tokenizer.special.eos !== undefined;
  return modelTokenizer(tokenizer, isNamed ? { eos: [] } : await readSpecialTokens(folder, tokenizer));
}

/** @param tokens the special tokens that config.json and generation_config.json name */
export function modelTokenizer(tokenizer: Tokenizer, tokens: ModelConfig['tokens']): ModelTokenizer {
  const { bos } = tokenizer.special;
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
