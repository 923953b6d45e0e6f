// Comparisons in this world, for tests of training: programs for one request in different styles, and which of them
// simulated people, who err as people do, found the more readable. The programs are short, so that an update is cheap.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Annotation, annotate, usualAnnotator } from '../annotators.ts';
import { Dice } from '../dice.ts';
import { statement } from '../phrasings.ts';
import { drawTrainingComposition, makeProblem, type Split } from '../problem.ts';
import { readability } from '../readability.ts';
import { solution, styles } from '../solutions.ts';

const seed = 11;
/** Of the instruction and the longer program together; about 64 tokens with the prompt's few others. */
const mostCharacters = 180;

/** Strength 1 … 3. @returns the file's path */
export function writePairs(folder: string, split: Split, count: number): string {
  return writeRows(join(folder, `${split}-pairs.jsonl`), count, (index) => {
    const { prompt, answers } = programs(index, split, 2);
    if (!areFit(prompt, answers)) return undefined;
    const { choice, strength } = compare(index, answers[0], answers[1]);
    if (choice === 'tie') return undefined;
    const [chosen, rejected] = choice === 'first' ? answers : answers.toReversed();
    return { prompt, chosen, rejected, strength };
  });
}

/** Three answers a prompt, where each was preferred to more of the others than the next. @returns the file's path */
export function writeRankings(folder: string, count: number): string {
  return writeRows(join(folder, 'rankings.jsonl'), count, (index) => {
    const { prompt, answers } = programs(index, 'train', 3);
    if (!areFit(prompt, answers)) return undefined;
    const wins = [0, 0, 0];
    for (const [k, [first, second]] of pairsOfThree.entries()) {
      const { choice } = compare(3 * index + k, answers[first], answers[second]);
      if (choice !== 'tie') wins[choice === 'first' ? first : second] += 1;
    }
    const order = [2, 1, 0].map((own) => wins.indexOf(own));
    return order.includes(-1) ? undefined : { prompt, ranked: order.map((place) => answers[place]) };
  });
}

const pairsOfThree = [
  [0, 1],
  [0, 2],
  [1, 2],
] as const;

function compare(item: number, first: string, second: string): Annotation {
  const shown = { item, first: readability(first), second: readability(second) };
  return annotate(usualAnnotator, { seed, annotator: 0 }, shown);
}

/** Right programs for one request, each in another style. */
function programs(index: number, split: Split, count: number): { prompt: string; answers: string[] } {
  const dice = new Dice(seed, 'testing', 2 * index + (split === 'train' ? 0 : 1));
  const composition =
    split === 'train' ? drawTrainingComposition(dice) : makeProblem(seed, index, split).composition;
  const wording = split === 'train' ? 'seen' : 'held-out';
  const instruction = statement(composition, dice, { language: 'english', wording });
  const answers = dice.shuffled(styles).slice(0, count);
  return {
    prompt: `// ${instruction}\n`,
    answers: answers.map((style) => solution(composition, style, dice)),
  };
}

/** Different, and short. */
function areFit(prompt: string, answers: readonly string[]): boolean {
  const longest = Math.max(...answers.map(({ length }) => length));
  return new Set(answers).size === answers.length && prompt.length + longest <= mostCharacters;
}

/** As many rows as asked for, of the first indices that have one. */
function writeRows(path: string, count: number, rowOf: (index: number) => object | undefined): string {
  const lines: string[] = [];
  for (let index = 0; lines.length < count; index++) {
    const row = rowOf(index);
    if (row) lines.push(`${JSON.stringify(row)}\n`);
  }
  writeFileSync(path, lines.join(''));
  return path;
}
