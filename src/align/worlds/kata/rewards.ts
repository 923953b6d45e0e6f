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

/** Ends the threads that ran the tests; they start again when needed. */
export async function close(): Promise<void> {
  const ended = judge;
  judge = undefined;
  verdicts.clear();
  await ended?.close();
}

let judge: Judge | undefined;
/** By problem and completion: `pass` and `gold` of one step, rewarded or watched, share one run of the tests. */
const verdicts = new Map<string, Promise<Verdict>>();
/** More than a step has. */
const keptVerdicts = 8192;

async function judged(answers: readonly KataAnswer[]): Promise<Verdict[]> {
  const keys = answers.map(({ completion, row }) => `${problemOf(row).id}\n${completion}`);
  const places = new Map(keys.map((key, i) => [key, i]));
  const unknown = [...places].filter(([key]) => !verdicts.has(key));
  judge ??= new Judge();
  const requests = unknown.map(([, i]) => {
    return { answer: answers[i].completion, tests: problemOf(answers[i].row).tests };
  });
  const running = judge.judge(requests);
  unknown.forEach(([key], place) => {
    verdicts.set(
      key,
      running.then((all) => all[place]),
    );
  });
  try {
    return await Promise.all(keys.map((key) => verdicts.get(key)!));
  } catch (error) {
    // A pool that failed stays closed.
    await close();
    throw error;
  } finally {
    for (const key of verdicts.keys()) {
      if (verdicts.size <= keptVerdicts) break;
      verdicts.delete(key);
    }
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
