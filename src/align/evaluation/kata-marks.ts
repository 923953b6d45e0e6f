// How the world `kata` judges answers: programs by their hidden tests and the criterion, coaching by the right advice.

import { UserError } from '../../engine/errors.ts';
import type { RowSource } from '../data/token-row.ts';
import {
  goldReward,
  isRightAdvice,
  Judge,
  type JudgeRequest,
  problemById,
  readability,
} from '../worlds/kata/index.ts';
import type { Answer } from './answers.ts';

export type Marks = Pick<Answer, 'passed' | 'readability' | 'gold' | 'right'>;

/** An answer and the row of its request. */
export interface JudgedAnswer {
  text: string;
  row: Readonly<Record<string, unknown>>;
  source: RowSource;
}

/** The right advice of a coaching request's row; nothing for rows of other kinds. */
export function adviceOf(row: JudgedAnswer['row']): string | undefined {
  return row.kind === 'coach' && typeof row.answer === 'string' ? row.answer : undefined;
}

/**
 * Marks in the order of the answers; none for a row that is neither a problem nor coaching.
 * @param threads that run the answers' code; no verdict depends on it
 * @throws UserError when a row names no problem of this world, or when no row can be judged
 */
export async function markKata(answers: readonly JudgedAnswer[], threads: number): Promise<Marks[]> {
  const requests = answers.map(judgeRequestOf);
  if (requests.every((request) => !request) && answers.every(({ row }) => adviceOf(row) === undefined)) {
    throw new UserError({
      where: '--world kata',
      expected: 'rows with a problem, or of kind coach with an answer',
      found: 'neither',
      advice: 'the files that heed kata writes, or leaving out --world',
    });
  }
  const judge = new Judge({ workers: threads });
  try {
    const verdicts = await judge.judge(requests.filter((request) => request !== undefined));
    return answers.map((answer, i) =>
      requests[i] ? programMarks(answer, verdicts.shift()!) : adviceMarks(answer),
    );
  } finally {
    await judge.close();
  }
}

function judgeRequestOf({ text, row, source }: JudgedAnswer): JudgeRequest | undefined {
  if (row.problem === undefined) return undefined;
  try {
    return { answer: text, tests: problemById(String(row.problem)).tests };
  } catch (cause) {
    const where = `${source.file}:${source.line}`;
    const found = JSON.stringify(row.problem).slice(0, 80);
    throw new UserError({ where, expected: 'a problem of the world kata', found }, { cause });
  }
}

function programMarks({ text }: JudgedAnswer, verdict: { passed: boolean }): Marks {
  return {
    passed: verdict.passed ? 1 : 0,
    readability: readability(text),
    gold: goldReward(text, verdict),
  };
}

function adviceMarks({ text, row }: JudgedAnswer): Marks {
  const answer = adviceOf(row);
  return answer === undefined ? {} : { right: isRightAdvice({ answer }, text) ? 1 : 0 };
}
