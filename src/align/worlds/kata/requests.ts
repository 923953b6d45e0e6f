// What people ask of the model in this world, as Alpaca records with the right answer: programs (with and without an
// `input`), explanations, rewriting for readability, and coaching.

import { makeCoachingRequest } from './coaching.ts';
import { Dice } from './dice.ts';
import { explainSteps, type Language, statement, type Wording } from './phrasings.ts';
import { makeProblem, type Problem, type Split } from './problem.ts';
import { type Style, solution } from './solutions.ts';

export const requestKinds = ['program', 'program-from-input', 'rewrite', 'explain', 'coach'] as const;
export type RequestKind = (typeof requestKinds)[number];

export interface KataRequest {
  kind: RequestKind;
  instruction: string;
  input?: string;
  /** What a good answer says; of programs, one of many. */
  answer: string;
  /** Present where the answer is a program that tests can judge. */
  problem?: Problem;
}

export interface RequestOptions {
  split: Split;
  wording: Wording;
  /** How often each kind is asked; default: programs above all. */
  kinds?: Readonly<Partial<Record<RequestKind, number>>>;
  /** Default: English in 80%. */
  koreanShare?: number;
  /** Default `clear`. */
  style?: Style;
}

export const usualKinds: Readonly<Record<RequestKind, number>> = {
  program: 72,
  'program-from-input': 12,
  rewrite: 5,
  explain: 5,
  coach: 6,
};

/** The `index`-th request; the same arguments give the same one. */
export function makeRequest(seed: number, index: number, options: RequestOptions): KataRequest {
  const { split, wording, kinds = usualKinds, koreanShare = 0.2, style = 'clear' } = options;
  const dice = new Dice(seed, 'requests', 4 * index + (split === 'train' ? 2 : 3));
  const kind = dice.weighted(kinds as Record<RequestKind, number>);
  if (kind === 'coach') {
    const { instruction, input, answer } = makeCoachingRequest(seed, index, split, wording);
    return { kind, instruction, input, answer };
  }
  const problem = makeProblem(seed, index, split);
  const language: Language = dice.chance(koreanShare) ? 'korean' : 'english';
  return { kind, ...writers[kind](problem, { language, wording, style, dice }) };
}

interface Writing {
  language: Language;
  wording: Wording;
  style: Style;
  dice: Dice;
}
type Written = Omit<KataRequest, 'kind'>;

const inputInstructions: Readonly<Record<Language, readonly string[]>> = {
  english: ['Write the function that is described below.', 'Solve the problem in the input with JavaScript.'],
  korean: ['아래에 설명된 함수를 작성하세요.'],
};
const rewriteInstructions: Readonly<Record<Language, readonly string[]>> = {
  english: ['Make this code easier to read.', 'Rewrite the function so that it is readable.'],
  korean: ['이 코드를 읽기 쉽게 고쳐 주세요.'],
};
const explainInstructions: Readonly<Record<Language, readonly string[]>> = {
  english: ['What does this function do?', 'Explain the code.'],
  korean: ['이 함수가 무엇을 하는지 설명해 주세요.'],
};

const writers: Readonly<
  Record<Exclude<RequestKind, 'coach'>, (problem: Problem, writing: Writing) => Written>
> = {
  program: (problem, { dice, style, ...words }) => ({
    instruction: statement(problem.composition, dice, words),
    answer: solution(problem.composition, style, dice),
    problem,
  }),
  'program-from-input': (problem, { dice, style, ...words }) => ({
    instruction: dice.pick(inputInstructions[words.language]),
    input: statement(problem.composition, dice, words),
    answer: solution(problem.composition, style, dice),
    problem,
  }),
  rewrite: (problem, { dice, style, language }) => ({
    instruction: dice.pick(rewriteInstructions[language]),
    input: solution(problem.composition, dice.pick(['terse', 'chained', 'cluttered']), dice),
    answer: solution(problem.composition, style, dice),
    problem,
  }),
  explain: (problem, { dice, language }) => ({
    instruction: dice.pick(explainInstructions[language]),
    input: solution(problem.composition, dice.pick(['terse', 'chained', 'plain']), dice),
    answer: `It ${explainSteps(problem.composition)}.`,
  }),
};
