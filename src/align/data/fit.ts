// Makes flagged tokens fit the context, by a declared side or not at all; a whole completion is never cut away.

import type { PromptTokenizer } from '../../language/text/prompt-tokenizer.ts';
import type { Dropped, DropReason, RowSource, TokenRow } from './token-row.ts';
import type { FlaggedTokens } from './token-runs.ts';

/** For rows that are too long: drop them, cut the prompt's beginning, or cut the last completion's end (and so its
 * EOS). */
export type Truncation = 'drop' | 'prompt-left' | 'completion-right';

export interface FitOptions {
  /** The context: no row is longer. */
  maxLength: number;
  truncation: Truncation;
  /** The model's; ids from here on are refused. Default: the tokenizer's. */
  vocabularySize?: number;
}

/**
 * One row that fits the context.
 * @returns the row, or why it is dropped
 */
export function fitTokens(
  tokens: FlaggedTokens,
  tokenizer: PromptTokenizer,
  options: FitOptions,
  source: RowSource,
): TokenRow | Dropped {
  const { ids, isTrained } = tokens;
  const vocabularySize = options.vocabularySize ?? tokenizer.vocabularySize ?? Number.POSITIVE_INFINITY;
  const unknown = ids.find((id) => id >= vocabularySize);
  if (unknown !== undefined) {
    return { dropped: 'unknown-token-id', detail: `${unknown} of 0 to ${vocabularySize - 1}` };
  }
  const promptLength = isTrained.indexOf(1);
  if (promptLength < 0) return { dropped: 'no-trained-token' };
  const excess = ids.length - options.maxLength;
  if (excess <= 0) return asRow(tokens, source);
  const leadLength = leadLengthOf(tokens, tokenizer);
  const cut = cuts[options.truncation]({ promptLength, leadLength, excess, maxLength: options.maxLength });
  if (typeof cut === 'string') return { dropped: cut };
  const ofKept = (values: number[]): number[] => values.filter((_, position) => cut(position));
  return asRow({ ...tokens, ids: ofKept(ids), isTrained: ofKept(isTrained) }, source);
}

/**
 * Answers to one prompt that were cut by `prompt-left`, each by its own excess, with as much of the prompt as the
 * shortest kept: they are compared after the same prompt.
 */
export function sharePrompt(rows: readonly TokenRow[], tokenizer: PromptTokenizer): TokenRow[] {
  const promptLengths = rows.map(({ isTrained }) => isTrained.indexOf(1));
  const shared = Math.min(...promptLengths);
  return rows.map((row, i) => {
    const isKept = withoutStart(leadLengthOf(row, tokenizer), promptLengths[i] - shared);
    return {
      ...row,
      ids: row.ids.filter((_, position) => isKept(position)),
      isTrained: row.isTrained.filter((_, position) => isKept(position)),
    };
  });
}

/** Tokens that stay at the front: BOS. */
function leadLengthOf({ ids }: { ids: ArrayLike<number> }, tokenizer: PromptTokenizer): number {
  return ids[0] === tokenizer.special.bos ? 1 : 0;
}

function withoutStart(leadLength: number, excess: number): (position: number) => boolean {
  return (position) => position < leadLength || position >= leadLength + excess;
}

interface Fit {
  promptLength: number;
  leadLength: number;
  excess: number;
  maxLength: number;
}

/** Which positions stay, or why the row cannot. */
const cuts: Record<Truncation, (fit: Fit) => ((position: number) => boolean) | DropReason> = {
  drop: tooLong,
  'prompt-left'({ promptLength, leadLength, excess }) {
    if (promptLength - leadLength <= excess) return 'sequence-too-long';
    return withoutStart(leadLength, excess);
  },
  'completion-right'(fit) {
    return fit.promptLength >= fit.maxLength ? tooLong(fit) : (position) => position < fit.maxLength;
  },
};

function tooLong({ promptLength, maxLength }: Fit): DropReason {
  return promptLength >= maxLength ? 'prompt-too-long' : 'sequence-too-long';
}

function asRow({ ids, isTrained }: FlaggedTokens, source: RowSource): TokenRow {
  return { ids: new Int32Array(ids), isTrained: new Uint8Array(isTrained), source };
}
