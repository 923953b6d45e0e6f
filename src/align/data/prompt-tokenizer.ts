// What reading data asks of a tokenizer, and the few facts that follow from it.

import { UserError } from '../../engine/errors.ts';

export interface PromptTokenizer {
  /** `parseSpecial`: names of special tokens in the text become those tokens; otherwise they are plain text. */
  encode(text: string, options?: { parseSpecial?: boolean; addSpecialTokens?: boolean }): number[];
  /** Special tokens appear by name unless `skipSpecial`. */
  decode(ids: readonly number[], options?: { skipSpecial?: boolean }): string;
  readonly special: { bos?: number; eos?: number; pad?: number };
  /** Highest id + 1. */
  readonly vocabularySize?: number;
  /** tokenizer_config.json, which may hold a chat template. */
  readonly configuration?: Readonly<Record<string, unknown>>;
}

/**
 * The token that ends a completion.
 * @throws UserError when there is none, or when it is the padding token: a model trained so would never stop
 */
export function requireEndToken(tokenizer: PromptTokenizer): number {
  const { eos, pad } = tokenizer.special;
  if (eos === undefined) {
    throw new UserError({
      where: 'tokenizer',
      expected: 'an end-of-text token (eos_token)',
      found: 'none',
      advice: 'naming one as eos_token in tokenizer_config.json',
    });
  }
  if (eos === pad) {
    throw new UserError({
      where: 'tokenizer',
      expected: 'an end-of-text token that differs from the padding token',
      found: `${tokenName(tokenizer, eos)} (id ${eos}) for both`,
      advice: 'naming another pad_token in tokenizer_config.json',
    });
  }
  return eos;
}

/** The tokens that the tokenizer puts before any text: its BOS token or nothing. */
export function leadingTokens(tokenizer: PromptTokenizer): number[] {
  const { bos } = tokenizer.special;
  if (bos === undefined) return [];
  return tokenizer.encode('', { addSpecialTokens: true })[0] === bos ? [bos] : [];
}

/** A prompt's ids as generation sees them: leading tokens, then the text with no special token parsed in it. */
export function tokenizePrompt(prompt: string, tokenizer: PromptTokenizer): number[] {
  return [...leadingTokens(tokenizer), ...tokenizer.encode(prompt)];
}

/** A special token's text, as a template writes it. */
export function tokenName(tokenizer: PromptTokenizer, id: number): string {
  return tokenizer.decode([id], { skipSpecial: false });
}
