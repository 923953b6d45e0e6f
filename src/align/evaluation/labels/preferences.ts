// From judgements to what training reads: a preference for each pair that was not left undecided, and a ranking of
// each prompt's answers.

import type { SampledAnswer } from './answer-log.ts';
import type { Judgement } from './comparisons.ts';

export interface AskedPrompt {
  ids: readonly number[];
  /** As the model was given it, template and all. */
  text: string;
  /** The prompt row's. */
  problem?: string;
}

/** A line of preferences.jsonl. */
export interface Preference {
  prompt_ids: readonly number[];
  chosen_ids: readonly number[];
  rejected_ids: readonly number[];
  prompt: string;
  chosen: string;
  rejected: string;
  /** 1 slightly better, 2 better, 3 much better. */
  strength: number;
  problem?: string;
  /** Who chose it. */
  annotator: string;
}

/** A line of rankings.jsonl. */
export interface Ranking {
  prompt_ids: readonly number[];
  /** Best first. */
  ranked_ids: (readonly number[])[];
  prompt: string;
  ranked: string[];
  problem?: string;
}

/** What those who judged a pair agreed on. */
export interface Decision {
  index: number;
  chosen: number;
  rejected: number;
  strength: number;
  who: string;
}

/** Judgements by pair, in the order in which the pairs were first judged. */
export function byPair(judgements: readonly Judgement[]): Judgement[][] {
  const pairs = new Map<number, Judgement[]>();
  for (const judgement of judgements) {
    const same = pairs.get(judgement.pair);
    if (same) same.push(judgement);
    else pairs.set(judgement.pair, [judgement]);
  }
  return [...pairs.values()];
}

/** The sample that a judgement names the better; nothing for a tie. */
export function winnerOf({ choice, first, second }: Judgement): number | undefined {
  if (choice === 'tie') return undefined;
  return choice === 'first' ? first : second;
}

/** The choice of the majority, ties abstaining, with the mean strength of those who made it; nothing when it is even. */
export function decide(judgements: readonly Judgement[]): Decision | undefined {
  const [{ index, first, second }] = judgements;
  const votes = (sample: number) => judgements.filter((each) => winnerOf(each) === sample);
  const [forFirst, forSecond] = [votes(first), votes(second)];
  if (forFirst.length === forSecond.length) return undefined;
  const isFirst = forFirst.length > forSecond.length;
  const voters = isFirst ? forFirst : forSecond;
  return {
    index,
    chosen: isFirst ? first : second,
    rejected: isFirst ? second : first,
    strength: Math.round(voters.reduce((sum, { strength }) => sum + strength, 0) / voters.length),
    who: voters.map(({ who }) => who).join(', '),
  };
}

export function preferenceOf(
  { chosen, rejected, strength, who }: Decision,
  prompt: AskedPrompt,
  answers: readonly SampledAnswer[],
): Preference {
  return {
    prompt_ids: prompt.ids,
    chosen_ids: answers[chosen].ids,
    rejected_ids: answers[rejected].ids,
    prompt: prompt.text,
    chosen: answers[chosen].text,
    rejected: answers[rejected].text,
    strength,
    problem: prompt.problem,
    annotator: who,
  };
}

/**
 * A prompt's answers by wins less losses. Of answers that are equal, in text or in that, the first stays: no order is
 * made up.
 * @param decisions of this prompt, when all its pairs were judged
 * @returns nothing when fewer than two answers remain
 */
export function rankingOf(
  decisions: readonly Decision[],
  prompt: AskedPrompt,
  answers: readonly SampledAnswer[],
): Ranking | undefined {
  const isFirstOfItsText = ({ text, sample }: SampledAnswer) =>
    answers.findIndex((other) => other.text === text) === sample;
  const score = ({ sample }: SampledAnswer) => scoreOf(sample, decisions);
  const contenders = answers.filter(isFirstOfItsText).toSorted((a, b) => score(b) - score(a));
  const ranked = contenders.filter((answer, i) => i === 0 || score(answer) < score(contenders[i - 1]));
  if (ranked.length < 2) return undefined;
  return {
    prompt_ids: prompt.ids,
    ranked_ids: ranked.map(({ ids }) => ids),
    prompt: prompt.text,
    ranked: ranked.map(({ text }) => text),
    problem: prompt.problem,
  };
}

function scoreOf(sample: number, decisions: readonly Decision[]): number {
  const wins = decisions.filter(({ chosen }) => chosen === sample).length;
  return wins - decisions.filter(({ rejected }) => rejected === sample).length;
}
