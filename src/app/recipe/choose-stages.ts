// --only and --until: which stages of a plan to run.

import { nearestWord, UserError } from '../../engine/errors.ts';
import type { Plan } from './plan-pipeline.ts';

export interface StageChoice {
  only?: readonly string[];
  /** The last stage to run. */
  until?: string;
}

/** @returns names in the plan's order; undefined for all. @throws UserError for a stage that the recipe does not have */
export function chooseStages(plan: Plan, { only, until }: StageChoice): string[] | undefined {
  if (!only && until === undefined) return undefined;
  const names = plan.stages.map(({ name }) => name);
  for (const name of only ?? []) requireStage(names, name, '--only');
  if (until !== undefined) requireStage(names, until, '--until');
  const end = until === undefined ? names.length : names.indexOf(until) + 1;
  return names.slice(0, end).filter((name) => !only || only.includes(name));
}

function requireStage(names: readonly string[], name: string, where: string): void {
  if (names.includes(name)) return;
  throw new UserError({
    where,
    expected: `a stage of the recipe (${names.join(', ')})`,
    found: `unknown ${name}`,
    advice: nearestWord(name, names),
  });
}
