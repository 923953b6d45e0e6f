// Coaching requests: from a learner's record, which kind of problem to start with, and whether the test will be passed.
//
// The rule, which the record alone decides: start with the topic of the test that has the fewest solved problems, the
// first named if several have; the test will be passed if every topic of it has at least 3 of 5 solved.

import { Dice } from './dice.ts';
import { families } from './operation.ts';
import type { Wording } from './phrasings.ts';
import type { Split } from './problem.ts';

export interface Standing {
  topic: string;
  /** Of 5. */
  solved: number;
}

export interface CoachingRequest {
  record: readonly Standing[];
  /** Topics of the test, in the order in which they are named. */
  test: readonly string[];
  instruction: string;
  input: string;
  /** What the record says of the test's topics, and then the advice. */
  answer: string;
}

const ENOUGH = 3;
const TRIED = 5;

/** The right advice. */
export function coach(
  record: readonly Standing[],
  test: readonly string[],
): { startWith: string; passes: boolean } {
  const tested = standingsOf(test, record);
  const weakest = tested.reduce((worst, standing) => (standing.solved < worst.solved ? standing : worst));
  return { startWith: weakest.topic, passes: tested.every(({ solved }) => solved >= ENOUGH) };
}

/** In the order of the topics; one that the record lacks has none solved. */
export function standingsOf(topics: readonly string[], record: readonly Standing[]): Standing[] {
  return topics.map((topic) => record.find((standing) => standing.topic === topic) ?? { topic, solved: 0 });
}

const instructions: Readonly<Record<Wording, readonly string[]>> = {
  seen: [
    'Which problems should the learner start with, and will they pass the test?',
    'Here is a record of solved problems. What should I start with? Will I pass the test?',
    'Advise this learner: what to start with, and whether the test will be passed.',
    '이 기록을 보고 어떤 문제부터 풀지, 시험에 합격할지 알려 주세요.',
  ],
  'held-out': [
    'What should this learner start with, and will the test be passed?',
    '어떤 문제부터 풀어야 하고, 시험에 합격할까요?',
  ],
};

/**
 * The `index`-th request of a part; half of the right answers are yes, half no.
 * Records of the held-out part are never met in training.
 */
export function makeCoachingRequest(
  seed: number,
  index: number,
  split: Split,
  wording: Wording,
): CoachingRequest {
  const dice = new Dice(seed, 'requests', 4 * index + (split === 'train' ? 0 : 1));
  const { record, test } = drawStanding(dice, split);
  const { startWith, passes } = coach(record, test);
  const tested = standingsOf(test, record);
  return {
    record,
    test,
    instruction: dice.pick(instructions[wording]),
    input: describeStanding(record, test),
    answer: [
      ...tested.map((standing, i) => `${i + 1}. ${describeSolved([standing])}`),
      // Small models learn to compare two numbers that stand side by side.
      `fewest of ${tested.map(({ solved }) => solved).join(', ')}: ${test.indexOf(startWith) + 1}. ${startWith}`,
      `start with: ${startWith}`,
      `pass: ${passes ? 'yes' : 'no'}`,
    ].join('\n'),
  };
}

/**
 * A record and a test of one part; as many tests are passed as failed. Any list of topics that begins with those of
 * the requests splits alike.
 */
export function drawStanding(
  dice: Dice,
  split: Split,
  topics: readonly string[] = families,
): Pick<CoachingRequest, 'record' | 'test'> {
  const passes = dice.chance(0.5);
  for (;;) {
    const drawn = dice.shuffled(topics).slice(0, dice.between(3, 4));
    const test = dice.shuffled(drawn).slice(0, 2);
    const record = drawn.map((topic) => ({ topic, solved: dice.between(0, TRIED) }));
    if (coach(record, test).passes === passes && partOf(record, test, topics) === split)
      return { record, test };
  }
}

export function describeStanding(record: readonly Standing[], test: readonly string[]): string {
  return `solved: ${describeSolved(record)}\ntest: ${test.join(', ')}`;
}

export function describeSolved(record: readonly Standing[]): string {
  return record.map(({ topic, solved }) => `${topic} ${solved}/${TRIED}`).join(', ');
}

/** A seventh of the records, by their content. */
function partOf(record: readonly Standing[], test: readonly string[], topics: readonly string[]): Split {
  const sum = record.reduce((total, { topic, solved }) => total * 31 + topics.indexOf(topic) * 7 + solved, 5);
  const checksum = test.reduce((total, topic) => total * 31 + topics.indexOf(topic), sum);
  return checksum % 7 === 0 ? 'held-out' : 'train';
}

/** The two lines of an answer that decide, wherever they stand; case and spaces do not matter. */
export function adviceIn(answer: string): string {
  const lines = answer.toLowerCase().split('\n');
  const deciding = ['start with:', 'pass:'].map((head) => lines.find((line) => line.trim().startsWith(head)));
  return deciding.map((line = '') => line.trim().replace(/\s+/g, ' ')).join('\n');
}

export function isRightAdvice(request: Pick<CoachingRequest, 'answer'>, answer: string): boolean {
  return adviceIn(answer) === adviceIn(request.answer);
}
