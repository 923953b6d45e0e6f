// The words of a problem: the steps as verb phrases, set into a frame. Every operation keeps one phrase, and every
// language some frames, out of all instruction data: the held-out wording.

import type { Composition, SourceKind, Step } from './composition.ts';
import type { Dice } from './dice.ts';
import { withParticles } from './korean.ts';
import { type OperationName, operations } from './operations.ts';
import { parameterNames, quote } from './signature.ts';

export type Language = 'english' | 'korean';
/** `seen`: as in training data; `held-out`: in words and frames kept for evaluation. */
export type Wording = 'seen' | 'held-out';

/** What fills a frame; `steps` one by one, in order. */
interface Parts {
  source: string;
  call: string;
  steps: readonly string[];
}
type Frame = (parts: Parts) => string;

const listed = (steps: readonly string[]): string => steps.join(', ');
const listedWithAnd = (steps: readonly string[]): string =>
  steps.length === 1 ? steps[0] : `${steps.slice(0, -1).join(', ')} and ${steps[steps.length - 1]}`;
const capital = (text: string): string => text[0].toUpperCase() + text.slice(1);
const sentences = (steps: readonly string[]): string => steps.map((step) => `${capital(step)}.`).join(' ');
const numbered = (steps: readonly string[]): string => steps.map((step, i) => `${i + 1}. ${step}`).join('\n');

const englishFrames: Readonly<Record<Wording, readonly Frame[]>> = {
  seen: [
    ({ source, steps }) => `Given ${source}, ${listed(steps)}, and return the result.`,
    ({ call, source, steps }) =>
      `Write a function ${call} that takes ${source}. It should ${listedWithAnd(steps)}.`,
    ({ call, steps }) => `Write ${call}: ${listed(steps)}.`,
    ({ source, steps }) => `Take ${source}. ${sentences(steps)} Return the result.`,
    ({ source, steps }) => `Given ${source}, how do I ${listedWithAnd(steps)}?`,
    ({ call, steps }) => `Please write ${call} to ${listedWithAnd(steps)}.`,
    ({ source, steps }) => `I have ${source}. ${sentences(steps)}`,
    ({ call, steps }) => `Write ${call} in these steps:\n${numbered(steps)}`,
    ({ source, steps }) => `Write JavaScript code for this: from ${source}, ${listed(steps)}.`,
  ],
  'held-out': [
    ({ call, source, steps }) => `Please write ${call}. It takes ${source}. ${sentences(steps)}`,
    ({ source, steps }) => `Write code that takes ${source}: ${listed(steps)}. Return the result.`,
    ({ call, source, steps }) => `I have ${source} and want ${call} to ${listedWithAnd(steps)}.`,
  ],
};

const koreanFrames: Readonly<Record<Wording, readonly Frame[]>> = {
  seen: [
    ({ source, steps }) => `${source}에서 ${listed(steps)} 결과를 반환하는 함수 solve를 작성하세요.`,
    ({ call, steps }) => `${call} 함수를 작성하세요: ${listed(steps)} 결과를 반환합니다.`,
    ({ source, steps }) => `${source}이 주어집니다. ${listed(steps)} 그 결과를 반환하세요.`,
    ({ source, steps }) => `${source}에서 ${listed(steps)} 반환하려면 어떻게 하나요?`,
  ],
  'held-out': [({ source, steps }) => `함수 solve를 작성하세요. ${source}에서 ${listed(steps)} 반환하세요.`],
};

const englishSources: Readonly<Record<SourceKind, readonly string[]>> = {
  numbers: ['a list of numbers', 'some numbers in a list'],
  words: ['a list of words', 'some words in a list'],
  text: ['a text', 'a string'],
  number: ['a number', 'a whole number'],
};
const koreanSources: Readonly<Record<SourceKind, string>> = {
  numbers: '숫자 목록',
  words: '단어 목록',
  text: '문자열',
  number: '숫자 값',
};

export interface StatementOptions {
  language: Language;
  wording: Wording;
}

/** A request for the program, in a wording that the dice choose. */
export function statement(
  composition: Composition,
  dice: Dice,
  { language, wording }: StatementOptions,
): string {
  const frames = (language === 'english' ? englishFrames : koreanFrames)[wording];
  const phrases = composition.steps.map((step) => phrase(step, { language, wording }, dice));
  return dice.pick(frames)({
    source: sourceWords(composition, language, dice),
    call: `solve(${parameterNames(composition).join(', ')})`,
    steps: phrases,
  });
}

function sourceWords(composition: Composition, language: Language, dice: Dice): string {
  const [, argument] = parameterNames(composition);
  const { source } = composition;
  if (language === 'english') {
    const words = dice.pick(englishSources[source]);
    return argument ? `${words} and a number ${argument}` : words;
  }
  return argument ? `숫자 ${argument}, ${koreanSources[source]}` : koreanSources[source];
}

function phrase(step: Step, { language, wording }: StatementOptions, dice: Dice): string {
  const { english, heldOutEnglish, korean } = operations[step.operation];
  if (language === 'korean') return withParticles(dice.pick(korean), parameterWords(step));
  const words = wording === 'seen' ? dice.pick(english) : heldOutEnglish;
  return words.replaceAll('{k}', parameterWords(step));
}

function parameterWords(step: Step): string {
  if (step.parameter === undefined) return '';
  if (step.parameter !== 'argument') return quote(step.parameter);
  return parameterNames({ source: 'number', steps: [step] })[1];
}

/** The steps in plain English, such as `keep the even numbers, then add them up`. */
export function describeSteps({ steps }: Composition): string {
  const phrases = steps.map((step) =>
    operations[step.operation].english[0].replaceAll('{k}', parameterWords(step)),
  );
  return phrases.length === 1 ? phrases[0] : `${phrases.slice(0, -1).join(', ')}, then ${phrases.at(-1)}`;
}

/** The same in any words that there are for each step, the held-out ones among them: for text that teaches words. */
export function describeStepsFreely({ steps }: Composition, dice: Dice): string {
  const phrases = steps.map((step) =>
    dice.pick(wordingsOf(step.operation)).replaceAll('{k}', parameterWords(step)),
  );
  return listedWithAnd(phrases);
}

/** The same of something that is done by code: `keeps the even numbers, then adds them up`. */
export function explainSteps(composition: Composition): string {
  const phrases = composition.steps.map((step) =>
    thirdPerson(operations[step.operation].english[0].replaceAll('{k}', parameterWords(step))),
  );
  return phrases.length === 1 ? phrases[0] : `${phrases.slice(0, -1).join(', ')}, then ${phrases.at(-1)}`;
}

function thirdPerson(verbPhrase: string): string {
  const [verb, ...rest] = verbPhrase.split(' ');
  const ending = /(s|x|ch|sh)$/.test(verb) ? 'es' : 's';
  const inflected = /[^aeiou]y$/.test(verb) ? `${verb.slice(0, -1)}ies` : verb + ending;
  return [inflected, ...rest].join(' ');
}

/** Sentences that teach an operation with its words; all of its wordings occur, the held-out one as well. */
export function wordingsOf(name: OperationName): readonly string[] {
  const { english, heldOutEnglish } = operations[name];
  return [...english, heldOutEnglish];
}
