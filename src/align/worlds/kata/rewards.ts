// This world's rewards as functions that training calls: the criterion, which any text has, and what needs the
// hidden tests of the problem that was asked.

import { UserError } from '../../../engine/errors.ts';
import { Judge } from './judge.ts';
import type { Verdict } from './judge-core.ts';
import { type Problem, problemById } from './problem.ts';
import { readability as criterion, goldReward } from './readability.ts';

export interface KataAnswer {
  prompt: string;
  completion: string;
  /** The prompt's own row; `problem` is the id of its problem. */
  row: Record<string, unknown>;
}

/** The criterion of the text, in [0, 1]: all that annotators see. */
export function readability(answers: readonly KataAnswer[]): number[] {
  return answers.map(({ completion }) => criterion(completion));
}

/** 1 where the program passes all hidden tests, and else 0. @throws UserError for a row without a problem */
export async function pass(answers: readonly KataAnswer[]): Promise<number[]> {
  return (await judged(answers)).map(({ passed }) => (passed ? 1 : 0));
}

/** Readability where all tests pass, and else 0. @throws UserError for a row without a problem */
export async function gold(answers: readonly KataAnswer[]): Promise<number[]> {
  const verdicts = await judged(answers);
  return answers.map(({ completion }, i) => goldReward(completion, verdicts[i]));
}

async function judged(answers: readonly KataAnswer[]): Promise<Verdict[]> {
  const requests = answers.map(({ completion, row }) => ({
    answer: completion,
    tests: problemOf(row).tests,
  }));
  const judge = new Judge();
  try {
    return await judge.judge(requests);
  } finally {
    await judge.close();
  }
}

function problemOf({ problem: id }: KataAnswer['row']): Problem {
  try {
    return problemById(String(id));
  } catch (cause) {
    const found = id === undefined ? 'none' : JSON.stringify(id);
    throw new UserError(
      { where: 'problem of a prompt', expected: "a problem of kata, such as 'kata-train-1-0'", found },
      { cause },
    );
  }
}
