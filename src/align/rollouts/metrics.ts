// Means of a step's numbers. They run over tokens or completions of the rollouts; padding never counts.

import type { StepResult } from '../../engine/optimizer/update-step.ts';
import {
  measureCompletions,
  type ReferenceNgrams,
  type TextMeasures,
} from '../monitor/completion-measures.ts';
import type { Rollout } from './collect.ts';

export const sum = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((total, x) => total + x, 0);

export const mean = (values: ArrayLike<number>): number => sum(values) / values.length;

/** Over the tokens of all rows. */
export const tokenMean = (rows: readonly Float64Array[]): number =>
  mean(rows.flatMap((row) => Array.from(row)));

/** A measure's mean over a step's updates. */
export const meanMeasure = (results: readonly StepResult[], name: string): number =>
  mean(results.map(({ measures }) => measures[name]));

export function textMeasures(rollouts: readonly Rollout[], reference: ReferenceNgrams): TextMeasures {
  return measureCompletions(
    rollouts.map(({ actions: ids, hasEos }) => ({ ids, hasEos })),
    reference,
  );
}
