// Runs a stage's job in an engine process: the one door for the command line, recipes and programs.

import type { z } from 'zod';
import type { RowFault } from '../../align/data/read.ts';
import type { RunEvent } from '../../align/run/events.ts';
import { nearestWord, UserError } from '../../engine/errors.ts';
import { runJob } from '../../engine/runtime/job.ts';
import { resolveComputing } from './computing.ts';
import type { Progress, ResultOf, Run, Stage } from './stage.ts';

export type StageEvent =
  /** Of a stage that trains. */
  | RunEvent
  | ({ type: 'progress'; label: string } & Progress)
  /** A row that was skipped. */
  | { type: 'fault'; fault: RowFault }
  /** The next text of the only completion. */
  | { type: 'text'; text: string };

export interface StageRun {
  onEvent?: (event: StageEvent) => void;
  /** When it aborts, the stage saves what it has and returns, or throws the signal's reason. */
  signal?: AbortSignal;
}

/**
 * @param options by name in code; defaults are filled in
 * @throws UserError for an option that the schema refuses, and what the job throws; the signal's reason when stopped
 */
export async function runStage<Schema extends z.ZodObject, R extends Run>(
  stage: Stage<Schema, R>,
  options: z.input<Schema>,
  { onEvent, signal }: StageRun = {},
): Promise<ResultOf<R>> {
  const checked = checkedOptions(stage, options);
  const payload = 'device' in checked ? resolveComputing(checked as never) : checked;
  const { module, name } = stage.job;
  try {
    return await runJob({ module, name, payload }, { onEvent: (event) => tell(event as never), signal });
  } catch (error) {
    // What the signal itself brought about is no failure; a mistake, such as a full disk when saving, is one.
    if (signal?.aborted && !(error instanceof UserError)) throw signal.reason;
    throw error;
  }

  function tell(event: StageEvent): void {
    const progress = stage.progress?.(event as never);
    if (progress) onEvent?.({ type: 'progress', label: stage.name, ...progress });
    else if (event.type !== 'progress') onEvent?.(event);
  }
}

function checkedOptions({ name, schema, options: specs }: Stage, given: object): Record<string, unknown> {
  const names = specs.map((spec) => spec.name);
  const unknown = Object.keys(given).find((option) => !names.includes(option));
  if (unknown !== undefined) {
    throw new UserError({
      where: `${name}: ${unknown}`,
      expected: `an option of the stage ${name}`,
      found: 'an unknown one',
      advice: nearestWord(unknown, names),
    });
  }
  const { success, data, error } = schema.safeParse(given);
  if (success) return data;
  const [issue] = error.issues;
  const spec = specs.find((option) => option.name === issue.path[0]);
  const value = spec && (given as Record<string, unknown>)[spec.name];
  throw new UserError({
    where: spec ? `${name}: ${spec.name}` : name,
    expected: issue.code === 'custom' || !spec ? issue.message : spec.expected,
    found:
      issue.code === 'custom' && issue.params?.found ? issue.params.found : (JSON.stringify(value) ?? 'none'),
  });
}
