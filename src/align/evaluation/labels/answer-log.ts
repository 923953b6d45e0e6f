// The answers that are compared, one line of answers.jsonl each, in order of prompt and sample. They are sampled in
// steps of many prompts; a step that a kill interrupted is sampled again, so that its batches are the same and with
// them every bit.

import { existsSync } from 'node:fs';
import { UserError } from '../../../engine/errors.ts';
import type { Completion } from '../../../language/generation/generate.ts';
import { readRows } from '../../data/read.ts';
import { AppendLog, cutLogAfter } from '../../run/append-log.ts';

export interface SampledAnswer {
  /** The step of sampling, from 1. */
  step: number;
  /** Place of the prompt among those that can be answered, from 0. */
  index: number;
  /** From 0. */
  sample: number;
  /** The prompt row's. */
  problem?: string;
  text: string;
  /** As they were drawn, the end-of-text token included. */
  ids: number[];
  finish: Completion['finish'];
  /** The criterion of the text, 0 … 1: all that annotators see. */
  readability: number;
}

/** A log in which no line may be missing. @throws UserError (from `append` and `sync`) when the disk refuses */
export function openStrictLog(path: string): AppendLog {
  return new AppendLog(path, (message) => {
    throw new UserError({
      where: path,
      expected: 'to write it',
      found: message,
      advice: 'more room on the disk, and then --resume',
    });
  });
}

/**
 * The answers of whole steps; the log is cut after them.
 * @param counts answers of each step, in order
 */
export async function keepWholeSteps(path: string, counts: readonly number[]): Promise<SampledAnswer[]> {
  if (!existsSync(path)) return [];
  const answers = await leadingAnswers(path);
  let kept = 0;
  let steps = 0;
  while (steps < counts.length && kept + counts[steps] <= answers.length) kept += counts[steps++];
  cutLogAfter(path, steps);
  return answers.slice(0, kept);
}

/** Up to the first line that cannot be read. */
async function leadingAnswers(path: string): Promise<SampledAnswer[]> {
  const answers: SampledAnswer[] = [];
  let isWhole = true;
  const onFault = () => {
    isWhole = false;
  };
  for await (const { value } of readRows(path, { onFault })) {
    if (isWhole) answers.push(value as SampledAnswer);
  }
  return answers;
}
