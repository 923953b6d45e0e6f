// Which answers are compared, by whom, and which of the two stands on the left: drawn from the seed, so that nobody
// can tell from the place of an answer which one it is.

import { type AnnotatorProfile, annotate, secondsTaken } from '../../worlds/kata/annotators.ts';
import { Dice } from '../../worlds/kata/dice.ts';
import type { SampledAnswer } from './answer-log.ts';

export interface Study {
  seed: number;
  /** Comparisons of a prompt's answers. Default: all pairs. */
  pairs?: number;
  /** How people err. */
  profile: AnnotatorProfile;
  /** What the people are called: the i-th is `name-i`. */
  name: string;
  people: number;
  /** Share of the pairs that all people judge; each of the others is judged by one. */
  overlap: number;
}

/** One judgement: a line of labels.jsonl. */
export interface Judgement {
  /** Number of the judgement, from 0: their order. */
  when: number;
  who: string;
  /** Number of the pair, the same for all who judge it. */
  pair: number;
  /** Place of the prompt, from 0. */
  index: number;
  /** Samples in the order in which they were shown. */
  first: number;
  second: number;
  choice: 'first' | 'second' | 'tie';
  /** 1 slightly better, 2 better, 3 much better; 0 for a tie. */
  strength: 0 | 1 | 2 | 3;
  /** How long it took, simulated; absent in logs of older versions. */
  seconds?: number;
}

/** The person who lays out the study: beyond every number of an annotator. */
const LAYOUT = 65_535;

/** All judgements of all prompts in order. */
export function* judge(prompts: readonly (readonly SampledAnswer[])[], study: Study): Generator<Judgement> {
  let when = 0;
  for (const answers of prompts) {
    for (const question of questionsOn(answers, study)) {
      yield { when: when++, ...judged(question, answers, study) };
    }
  }
}

interface Question {
  pair: number;
  person: number;
  first: number;
  second: number;
}

function questionsOn(answers: readonly SampledAnswer[], study: Study): Question[] {
  const [{ index }] = answers;
  const dice = new Dice(study.seed * (LAYOUT + 1) + LAYOUT, 'annotators', index);
  const different = comparablePairs(answers);
  const asked = dice.shuffled(different).slice(0, study.pairs ?? different.length);
  return asked.flatMap(([a, b, number]) =>
    judgesOf(study, dice).map((person) => {
      const [first, second] = dice.chance(0.5) ? [a, b] : [b, a];
      return { pair: index * pairsOf(answers.length).length + number, person, first, second };
    }),
  );
}

/** Pairs of samples with their numbers. */
function pairsOf(samples: number): [number, number, number][] {
  const pairs: [number, number, number][] = [];
  for (let a = 0; a < samples; a++) {
    for (let b = a + 1; b < samples; b++) pairs.push([a, b, pairs.length]);
  }
  return pairs;
}

/** Those of different texts, each text by its first sample: nobody is asked the same twice. */
export function comparablePairs(answers: readonly SampledAnswer[]): [number, number, number][] {
  const isNew = answers.map(({ text }, i) => answers.findIndex((other) => other.text === text) === i);
  return pairsOf(answers.length).filter(([a, b]) => isNew[a] && isNew[b]);
}

function judgesOf({ people, overlap }: Study, dice: Dice): number[] {
  if (people === 1) return [0];
  if (dice.chance(overlap)) return Array.from({ length: people }, (_, person) => person);
  return [dice.between(0, people - 1)];
}

function judged(
  { pair, person, first, second }: Question,
  answers: readonly SampledAnswer[],
  { seed, profile, name }: Study,
): Omit<Judgement, 'when'> {
  const shown = { item: pair, first: answers[first].readability, second: answers[second].readability };
  const whom = { seed, annotator: person };
  const annotation = annotate(profile, whom, shown);
  const lengths = [answers[first].text.length, answers[second].text.length] as const;
  const seconds = secondsTaken(whom, { item: pair, lengths });
  return { who: `${name}-${person}`, pair, index: answers[0].index, first, second, ...annotation, seconds };
}
