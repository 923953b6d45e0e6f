// How far a held-out set can be answered from memory: by the answer of the nearest training prompt, and by programs
// that equal a training program but for names and literals.

import { Dice } from './dice.ts';
import { judgeInProcess } from './judge-core.ts';
import type { KataRequest } from './requests.ts';
import { nearestBySharedWords } from './retrieval.ts';
import { skeleton } from './skeleton.ts';
import { solution, styles } from './solutions.ts';

/** Keys as in overlap.json. */
export interface Overlap {
  /** Training records whose answer is a program. */
  training_programs: number;
  held_out_programs: number;
  /** Held-out problems that the answer of the most similar training prompt passes. */
  retrieval_passed: number;
  retrieval_pass_rate: number;
  /** Held-out problems of which a solution, in any style, equals a training answer after renaming. */
  equal_after_renaming: number;
}

export interface TrainingProgram {
  request: KataRequest;
  /** As the training set has it, right or wrong. */
  output: string;
}

/**
 * @param training at least one
 * @param heldOut requests with a problem, at least one
 * @param onJudged called after each held-out request
 */
export async function measureOverlap(
  training: readonly TrainingProgram[],
  heldOut: readonly KataRequest[],
  onJudged: () => void = () => {},
): Promise<Overlap> {
  const nearest = nearestBySharedWords(training.map(({ request }) => askedText(request)));
  let passed = 0;
  for (const request of heldOut) {
    const answer = training[nearest(askedText(request))].output;
    if ((await judgeInProcess({ answer, tests: request.problem!.tests })).passed) passed++;
    onJudged();
  }
  const seen = new Set(training.map(({ output }) => skeleton(output)));
  return {
    training_programs: training.length,
    held_out_programs: heldOut.length,
    retrieval_passed: passed,
    retrieval_pass_rate: passed / heldOut.length,
    equal_after_renaming: heldOut.filter((request, i) =>
      skeletonsOf(request, i).some((each) => seen.has(each)),
    ).length,
  };
}

/** What a request asks, as one text. */
export function askedText({ instruction, input }: Pick<KataRequest, 'instruction' | 'input'>): string {
  return input ? `${instruction}\n${input}` : instruction;
}

function skeletonsOf({ problem }: KataRequest, place: number): string[] {
  const dice = new Dice(0, 'solutions', place);
  return styles.map((style) => skeleton(solution(problem!.composition, style, dice)));
}
