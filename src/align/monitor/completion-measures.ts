// What can be seen in sampled completions without a judge: how long they are, whether they end, whether they repeat
// themselves or each other, and how much of their text the reference model would write too.

import { UserError } from '../../engine/errors.ts';

export interface SampledCompletion {
  /** As sampled, the EOS included when it was. */
  ids: readonly number[];
  hasEos: boolean;
}

/** Named as in the metrics of a step. Shares are 0 … 1. */
export interface TextMeasures {
  /** Mean tokens per completion, the EOS included. */
  length: number;
  /** Share of completions that ended by themselves. */
  eos_rate: number;
  /** Share of a completion's 3-grams that it has had before; mean over completions. */
  repetition: number;
  /** Different 2-grams over all 2-grams of four completions taken together; mean over such groups. */
  distinct_2: number;
  /** Share of a completion's 4-grams that no reference completion has; mean over completions. */
  novelty: number;
}

/** Grouped by a fixed number, because the share of different 2-grams falls with the number of completions. */
export const distinctGroupSize = 4;

/** How many reference completions hold each 4-gram. */
export type ReferenceNgrams = ReadonlyMap<string, number>;

/** Made once, from the completions that the monitor learns its ranges from. */
export function referenceNgrams(completions: readonly SampledCompletion[]): ReferenceNgrams {
  const holders = new Map<string, number>();
  for (const { ids } of completions) {
    for (const ngram of new Set(ngrams(ids, 4))) holders.set(ngram, (holders.get(ngram) ?? 0) + 1);
  }
  return holders;
}

/**
 * The measures of a batch, completions in the order of their prompts.
 * @throws UserError when there are no completions
 */
export function measureCompletions(
  completions: readonly SampledCompletion[],
  reference: ReferenceNgrams,
): TextMeasures {
  if (completions.length === 0)
    throw new UserError({ where: 'monitor', expected: 'completions', found: 'none' });
  return {
    length: mean(completions.map(({ ids }) => ids.length)),
    eos_rate: mean(completions.map(({ hasEos }) => (hasEos ? 1 : 0))),
    repetition: mean(completions.map(({ ids }) => repetition(ids))),
    distinct_2: mean(distinctShares(completions)),
    novelty: mean(completions.map(({ ids }) => novelty(ids, reference))),
  };
}

/** 0 for a completion without a 3-gram. */
export function repetition(ids: readonly number[]): number {
  const all = ngrams(ids, 3);
  return all.length === 0 ? 0 : 1 - new Set(all).size / all.length;
}

/**
 * 0 for a completion without a 4-gram.
 * @param isReference the completion is one of those that `reference` was made from, and does not count as known to itself
 */
export function novelty(
  ids: readonly number[],
  reference: ReferenceNgrams,
  { isReference = false }: { isReference?: boolean } = {},
): number {
  const all = ngrams(ids, 4);
  const own = isReference ? 1 : 0;
  const isNew = (ngram: string) => (reference.get(ngram) ?? 0) <= own;
  return all.length === 0 ? 0 : all.filter(isNew).length / all.length;
}

/** One number a group; what is left over counts only where there is no whole group. Empty completions have no say. */
export function distinctShares(completions: readonly SampledCompletion[]): number[] {
  const groups = Math.max(1, Math.floor(completions.length / distinctGroupSize));
  return Array.from({ length: groups }, (_, g) => {
    const group = completions.slice(g * distinctGroupSize, (g + 1) * distinctGroupSize);
    const all = group.flatMap(({ ids }) => ngrams(ids, 2));
    return all.length === 0 ? 0 : new Set(all).size / all.length;
  });
}

/** Each as a text of two characters a token, which compares faster than a list. */
function ngrams(ids: readonly number[], n: number): string[] {
  const text = ids.map((id) => String.fromCharCode(id & 0xffff, id >>> 16)).join('');
  const found: string[] = [];
  for (let i = 0; i + n <= ids.length; i++) found.push(text.slice(2 * i, 2 * (i + n)));
  return found;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}
