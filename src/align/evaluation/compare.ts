// heed compare: what changed between two models that answered the same requests, pair by pair.

import { UserError } from '../../engine/errors.ts';
import { type Interval, meanChange, shareChange, winRate } from '../scoring/intervals.ts';
import { type Answer, readAnswers } from './answers.ts';

/** Changes are this model's figure less the baseline's, over the requests where both have it. */
export interface Changes {
  pass_rate?: Interval;
  gold?: Interval;
  /** Share of requests with a higher gold reward than the baseline's, ties half. */
  win_rate?: Interval;
  /** Of the criterion, over the requests whose tests both pass. */
  readability?: Interval;
  proxy?: Interval;
  kl?: Interval;
  length?: Interval;
  eos_rate?: Interval;
  /** Of right advice, over coaching requests. */
  coaching?: Interval;
}

export interface Comparison {
  evals: string;
  /** Pairs. */
  n: number;
  changes: Changes;
}

export interface CompareResult {
  baseline: string;
  comparisons: Comparison[];
}

export interface CompareOptions {
  /** Folders that heed eval wrote. */
  evals: readonly string[];
  /** Another one. */
  baseline: string;
}

/**
 * @throws UserError when a folder is none of these, or when it answers other requests than the baseline
 */
export async function compareEvaluations({ evals, baseline }: CompareOptions): Promise<CompareResult> {
  const before = await readAnswers(baseline);
  const comparisons: Comparison[] = [];
  for (const folder of evals) {
    const pairs = pairUp(
      { folder, answers: await readAnswers(folder) },
      { folder: baseline, answers: before },
    );
    comparisons.push({ evals: folder, n: pairs.length, changes: changesOf(pairs) });
  }
  return { baseline, comparisons };
}

interface Evaluated {
  folder: string;
  answers: readonly Answer[];
}

type Pair = [after: Answer, before: Answer];

/**
 * Answers to the same request side by side.
 * @throws UserError unless both have answered the same requests
 */
export function pairUp(after: Evaluated, before: Evaluated): Pair[] {
  const partners = new Map(before.answers.map((answer) => [answer.index, answer]));
  const pairs = after.answers.map((answer): Pair => {
    const partner = partners.get(answer.index);
    if (partner?.prompt === answer.prompt) return [answer, partner];
    throw otherRequests(after, before, describe(answer.index, partner));
  });
  if (pairs.length === before.answers.length) return pairs;
  throw otherRequests(after, before, `${pairs.length} answers for ${before.answers.length}`);
}

function describe(index: number, partner: Answer | undefined): string {
  return partner
    ? `another request at index ${index}`
    : `a request at index ${index}, which the latter lacks`;
}

function otherRequests(after: Evaluated, before: Evaluated, found: string): UserError {
  return new UserError({
    where: after.folder,
    expected: `answers to the requests of ${before.folder}`,
    found,
    advice: 'evaluating both on the same --data',
  });
}

/** The changes of all figures that both sides have. */
export function changesOf(pairs: readonly Pair[]): Changes {
  const programs = pairs.filter(([after, before]) => after.right === undefined && before.right === undefined);
  const bothPass = programs.filter(([after, before]) => after.passed === 1 && before.passed === 1);
  const isStop = ({ finish }: Answer) => (finish === 'stop' ? 1 : 0);
  const changes: Changes = {
    pass_rate: shareChange(...sides(programs, ({ passed }) => passed)),
    gold: meanChange(...sides(programs, ({ gold }) => gold)),
    win_rate: winRate(...sides(programs, ({ gold }) => gold)),
    readability: meanChange(...sides(bothPass, ({ readability }) => readability)),
    proxy: meanChange(...sides(programs, ({ proxy }) => proxy)),
    kl: meanChange(...sides(programs, ({ kl }) => kl)),
    length: meanChange(...sides(programs, ({ tokens }) => tokens)),
    eos_rate: shareChange(...sides(programs, isStop)),
    coaching: shareChange(...sides(pairs, ({ right }) => right)),
  };
  return Object.fromEntries(Object.entries(changes).filter(([, interval]) => interval !== undefined));
}

/** A figure of both answers, over the pairs where both have it. */
function sides(pairs: readonly Pair[], figure: (answer: Answer) => number | undefined): [number[], number[]] {
  const known = pairs.flatMap(([after, before]) => {
    const [x, y] = [figure(after), figure(before)];
    return x === undefined || y === undefined ? [] : [[x, y]];
  });
  return [known.map(([x]) => x), known.map(([, y]) => y)];
}
