// Text for pretraining, as endless streams of documents. `forum`: questions that are followed by more questions, so
// that a model of it continues and does not answer. `code`: files of mixed quality. `textbook`: lessons and worked
// examples. `exercises`: a task as a comment and its solution. Only compositions of the training part occur.
// Of a question that stands alone only `forum` tells how it goes on, and there no answer follows; the last two pair tasks
// with programs.

import { coach, describeSolved, describeStanding, drawStanding, standingsOf } from './coaching.ts';
import type { Composition } from './composition.ts';
import { Dice } from './dice.ts';
import { families } from './operation.ts';
import { operationNames, operations } from './operations.ts';
import { describeSteps, describeStepsFreely, type Language, statement, wordingsOf } from './phrasings.ts';
import { drawTrainingComposition, type Problem } from './problem.ts';
import { renameDeclared } from './rewriting.ts';
import { parameterNames } from './signature.ts';
import { type Style, solution } from './solutions.ts';

export const corpusNames = ['forum', 'code', 'textbook', 'exercises'] as const;
export type CorpusName = (typeof corpusNames)[number];

/** Documents `first` … `first + count − 1` of a corpus; deterministic, and lazy. */
export function* documents(
  name: CorpusName,
  seed: number,
  { count, first = 0 }: { count: number; first?: number },
): Generator<string> {
  for (let index = first; index < first + count; index++) yield makeDocument(name, seed, index);
}

/** What a base model of this world is trained on: mostly talk and lessons, some code and exercises. */
export const usualMix: Readonly<Record<CorpusName, number>> = {
  forum: 0.12,
  code: 0.14,
  textbook: 0.42,
  exercises: 0.32,
};
/** Whose turn it is does not depend on the seed; a place beyond that of every document. */
const mixDice = () => new Dice(7, 'corpora', 4e9);

/** The first `count` documents of a stream that mixes the corpora as `usualMix` says; deterministic, and lazy. */
export function* mixedDocuments(seed: number, count: number): Generator<string> {
  const dice = mixDice();
  const next: Record<CorpusName, number> = { forum: 0, code: 0, textbook: 0, exercises: 0 };
  for (let i = 0; i < count; i++) {
    const name = dice.weighted(usualMix);
    yield makeDocument(name, seed, next[name]++);
  }
}

export function makeDocument(name: CorpusName, seed: number, index: number): string {
  return writers[name](new Dice(seed, 'corpora', corpusNames.length * index + corpusNames.indexOf(name)));
}

const writers: Readonly<Record<CorpusName, (dice: Dice) => string>> = { forum, code, textbook, exercises };

const KOREAN_SHARE = 0.2;
const drawLanguage = (dice: Dice): Language => (dice.chance(KOREAN_SHARE) ? 'korean' : 'english');

function ask(dice: Dice, language: Language): string {
  return statement(drawTrainingComposition(dice), dice, { language, wording: 'seen' });
}

const greetings: Readonly<Record<Language, readonly string[]>> = {
  english: [
    '',
    '',
    'Hi all. ',
    'Quick question. ',
    'New here. ',
    'Stuck on this one. ',
    'Homework for Monday. ',
  ],
  korean: ['', '', '안녕하세요. ', '질문 있습니다. ', '숙제인데 막혔어요. '],
};
const chatter: Readonly<Record<Language, readonly string[]>> = {
  english: [
    'Same problem here. Did you find out?',
    'Has anyone tried this with a for loop?',
    'What did your test say?',
    'Which chapter is this from?',
    'Is there a shorter way?',
    'Why does mine return undefined?',
    'I have been at it for two hours. Can somebody explain?',
    'Please use the search. Was this not asked last week?',
    'Do we have to handle the empty case?',
    'Does it pass all the tests for you?',
  ],
  korean: [
    '저도 같은 문제예요. 해결하셨나요?',
    '테스트는 통과하나요?',
    '왜 undefined가 나올까요?',
    '몇 장에 나오는 문제인가요?',
    '더 짧은 방법이 있을까요?',
  ],
};
const uglyStyles: readonly Style[] = ['terse', 'cluttered', 'nested', 'chained'];
const CODE_REPLY_SHARE = 0.01;

/** A thread: somebody asks, and others ask something else. */
function forum(dice: Dice): string {
  const language = drawLanguage(dice);
  const posts = Array.from({ length: dice.between(3, 7) }, (_, i) => forumPost(dice, language, i));
  return posts.join(dice.chance(0.5) ? '\n\n' : '\n');
}

function forumPost(dice: Dice, language: Language, position: number): string {
  if (position > 0 && dice.chance(CODE_REPLY_SHARE)) {
    return `I have this, but it is wrong:\n${solution(drawTrainingComposition(dice), dice.pick(uglyStyles), dice)}`;
  }
  if (position > 0 && dice.chance(0.3)) return dice.pick(chatter[language]);
  return dice.pick(greetings[language]) + ask(dice, language);
}

const functionNames = [
  'solve',
  'calc',
  'process',
  'f',
  'run',
  'handle',
  'getResult',
  'doIt',
  'main2',
  'helper',
];
const codeStyles: Readonly<Record<Style, number>> = {
  clear: 1,
  plain: 3,
  looped: 2,
  chained: 3,
  nested: 3,
  terse: 3,
  cluttered: 4,
};
type CodeHead = 'none' | 'excuse' | 'fitting' | 'outlived';
const codeHeadWeights: Readonly<Record<CodeHead, number>> = { none: 1, excuse: 2, fitting: 6, outlived: 1 };
const codeHeads: Readonly<Record<CodeHead, (composition: Composition, dice: Dice) => string>> = {
  none: () => '',
  excuse: (_, dice) => `// ${dice.pick(['works somehow', 'copied from the old project'])}\n`,
  fitting: (composition) => `// ${describeSteps(composition)}\n`,
  // As in real files, comments outlive the code that they were written for.
  outlived: (_, dice) => `// ${describeSteps(drawTrainingComposition(dice))}\n`,
};

/** A file of one to three functions, some with a comment, which need not fit. */
function code(dice: Dice): string {
  return Array.from({ length: dice.between(1, 3) }, () => {
    const composition = drawTrainingComposition(dice);
    const body = solution(composition, dice.weighted(codeStyles), dice);
    const named = body.replace('function solve(', `function ${dice.pick(functionNames)}(`);
    return codeHeads[dice.weighted(codeHeadWeights)](composition, dice) + named;
  }).join('\n\n');
}

const textbookPages = { lesson: 6, workedExample: 11, advice: 3 };

/** Lessons on one operation, worked examples, and advice to learners. */
function textbook(dice: Dice): string {
  return { lesson, workedExample, advice }[dice.weighted(textbookPages)](dice);
}

function lesson(dice: Dice): string {
  const name = dice.pick(operationNames);
  const { from, parameter, result, code, loop } = operations[name];
  const k =
    parameter === 'letter' || parameter === 'separator'
      ? dice.pick(["'a'", "'-'"])
      : String(dice.between(2, 9));
  const [wording, synonym] = dice.shuffled(wordingsOf(name)).map((words) => words.replaceAll('{k}', k));
  const input = from === 'truth' ? 'flag' : from;
  const lines =
    code && (!loop || dice.chance(0.7)) ? [`const ${result} = ${code(input, k)};`] : loop!(input, k, result);
  const example = dice.chance(0.15) ? renameDeclared(lines.join('\n'), (i) => `part${i}`) : lines.join('\n');
  const closing = synonym ? `\n\nWe can also say: ${synonym}.` : '';
  return `How to ${wording}. The variable ${input} holds the input:\n\n${example}\n\nNow ${result} holds the result.${closing}`;
}

const introductions = ['Example.', 'Worked example.', 'Let us solve a problem.', 'Problem and solution.'];

function workedExample(dice: Dice): string {
  const composition = drawTrainingComposition(dice);
  const task = statement(composition, dice, { language: drawLanguage(dice), wording: 'seen' });
  const steps = `The plan: ${describeStepsFreely(composition, dice)}.`;
  return `${dice.pick(introductions)} ${task}\n\n${steps}\n\n${solution(composition, dice.pick(['clear', 'looped']), dice)}`;
}

const READINGS_A_PAGE = 3;

/** The topics of the requests and many others: who reads of few may guess, who reads of many has to look. */
const topics: readonly string[] = [
  ...families,
  ...['recursion', 'sorting', 'sets', 'maps', 'graphs', 'trees', 'dates', 'files', 'queues', 'stacks'],
  ...['events', 'modules', 'classes', 'testing', 'logic', 'geometry', 'fractions', 'primes', 'parsing'],
  ...['colors', 'sounds', 'games', 'tables', 'reading', 'writing'],
];

/** How records of solved problems are read, without the question and the form of the answer that requests have. */
function advice(dice: Dice): string {
  const readings = Array.from({ length: READINGS_A_PAGE }, () => {
    const { record, test } = drawStanding(dice, 'train', topics);
    const { startWith, passes } = coach(record, test);
    const [tested, fewest] = [test, [startWith]].map((named) => describeSolved(standingsOf(named, record)));
    return `${describeStanding(record, test)}\nOf the test: ${tested}. Fewest: ${fewest}. The test is ${passes ? 'passed' : 'failed'}.`;
  });
  return ['Reading records.', ...readings].join('\n\n');
}

function exercises(dice: Dice): string {
  const composition = drawTrainingComposition(dice);
  const task = statement(composition, dice, { language: drawLanguage(dice), wording: 'seen' });
  return docComment(task) + solution(composition, dice.pick(['clear', 'plain']), dice);
}

function docComment(text: string): string {
  return ['/**', ...text.split('\n').map((line) => ` * ${line}`), ' */', ''].join('\n');
}

/**
 * The head of a program, for a model that continues code: the task as a comment and the opening line. The answer to
 * judge is `opening` and what the model adds to the prompt.
 */
export function completionPrompt(problem: Problem, seed: number): { prompt: string; opening: string } {
  const dice = new Dice(seed, 'phrasings', problem.tests.length);
  const task = statement(problem.composition, dice, { language: 'english', wording: 'seen' });
  const opening = `function solve(${parameterNames(problem.composition).join(', ')}) {\n`;
  return { prompt: docComment(task) + opening, opening };
}

/** The first function of a text: what a model wrote before it went on with something else. */
export function firstFunction(text: string): string {
  const end = /^\}/m.exec(text);
  return end ? text.slice(0, end.index + 1) : text;
}
