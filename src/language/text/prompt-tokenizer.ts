// What reading data asks of a tokenizer, and the few facts that follow from it.

import { UserError } from '../../engine/errors.ts';

export interface PromptTokenizer {
  /** `parseSpecial`: names of special tokens in the text become those tokens; otherwise they are plain text. */
  encode(text: string, options?: { parseSpecial?: boolean; addSpecialTokens?: boolean }): number[];
  /** Special tokens appear by name unless `skipSpecial`. */
  decode(ids: readonly number[], options?: { skipSpecial?: boolean }): string;
  readonly special: { bos?: number; eos?: number };
  /** Highest id + 1. */
  readonly vocabularySize?: number;
  /** The model's own, as Jinja source. */
  readonly chatTemplate?: string;
}

/**
 * The token that ends a completion. It may be the padding token too: padding is recognised by its place, never by its id.
 * @throws UserError when there is none
 */
export function requireEndToken(tokenizer: PromptTokenizer): number {
  const { eos } = tokenizer.special;
  if (eos !== undefined) return eos;
  throw new UserError({
    where: 'tokenizer',
    expected: 'an end-of-text token (eos_token)',
    found: 'none',
    advice: 'naming one as eos_token in tokenizer_config.json, or as eos_token_id in config.json',
  });
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
