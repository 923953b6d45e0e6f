// What can be seen in sampled answers without a judge: how long they are, whether they end, whether they repeat
// themselves or each other, and how much of their text the reference model would write too.

import { UserError } from '../../engine/errors.ts';

export interface SampledAnswer {
  /** As sampled, the EOS included when it was. */
  ids: readonly number[];
  hasEos: boolean;
}

/** Named as in the metrics of a step. Shares are 0 … 1. */
export interface TextMeasures {
  /** Mean tokens an answer, the EOS included. */
  length: number;
  /** Share of answers that ended by themselves. */
  eos_rate: number;
  /** Share of an answer's 3-grams that it has had before; mean over answers. */
  repetition: number;
  /** Different 2-grams over all 2-grams of four answers taken together; mean over such groups. */
  distinct_2: number;
  /** Share of an answer's 4-grams that no reference answer has; mean over answers. */
  novelty: number;
}

/** Grouped by a fixed number, because the share of different 2-grams falls with the number of answers. */
export const distinctGroupSize = 4;

/** How many reference answers hold each 4-gram. */
export type ReferenceNgrams = ReadonlyMap<string, number>;

/** Made once, from the answers that the monitor learns its ranges from. */
export function referenceNgrams(answers: readonly SampledAnswer[]): ReferenceNgrams {
  const holders = new Map<string, number>();
  for (const { ids } of answers) {
    for (const ngram of new Set(ngrams(ids, 4))) holders.set(ngram, (holders.get(ngram) ?? 0) + 1);
  }
  return holders;
}

/**
 * The measures of a batch, answers in the order of their prompts.
 * @throws UserError when there are no answers
 */
export function measureAnswers(answers: readonly SampledAnswer[], reference: ReferenceNgrams): TextMeasures {
  if (answers.length === 0) throw new UserError({ where: 'monitor', expected: 'answers', found: 'none' });
  return {
    length: mean(answers.map(({ ids }) => ids.length)),
    eos_rate: mean(answers.map(({ hasEos }) => (hasEos ? 1 : 0))),
    repetition: mean(answers.map(({ ids }) => repetition(ids))),
    distinct_2: mean(distinctShares(answers)),
    novelty: mean(answers.map(({ ids }) => novelty(ids, reference))),
  };
}

/** 0 for an answer without a 3-gram. */
export function repetition(ids: readonly number[]): number {
  const all = ngrams(ids, 3);
  return all.length === 0 ? 0 : 1 - new Set(all).size / all.length;
}

/**
 * 0 for an answer without a 4-gram.
 * @param isReference the answer is one of those that `reference` was made from, and does not count as known to itself
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

/** One number a group; what is left over counts only where there is no whole group. Empty answers have no say. */
export function distinctShares(answers: readonly SampledAnswer[]): number[] {
  const groups = Math.max(1, Math.floor(answers.length / distinctGroupSize));
  return Array.from({ length: groups }, (_, g) => {
    const group = answers.slice(g * distinctGroupSize, (g + 1) * distinctGroupSize);
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
