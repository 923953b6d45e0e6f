// What `heed eval` measured along a pipeline: of which model, with which settings, and every answer.

import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Answer } from '../../align/evaluation/answers.ts';
import type { Metrics, Summary } from '../../align/evaluation/summary.ts';
import type { Pipeline, PipelineStage } from '../recipe/pipeline-file.ts';
import { namesReferredTo } from '../recipe/references.ts';
import { readJsonIfThere, readRowsIfThere, stagesBy } from './read-pipeline.ts';
import { policiesOf, type StageRole } from './roles.ts';

export interface Evaluation {
  /** The model's name; the evaluation's stage where the model had been evaluated before, or has no name. */
  key: string;
  /** The model's name. */
  of?: string;
  stage: PipelineStage;
  folder: string;
  metrics: Metrics;
  coaching?: Summary['coaching'];
  /** In the order of the requests. */
  answers: Answer[];
}

/** In the order of their models; continuations, which are asked differently, apart. */
export async function readEvaluations(
  pipeline: Pipeline,
  roles: readonly StageRole[],
): Promise<{ evaluations: Evaluation[]; continuations: Evaluation[] }> {
  const all: Evaluation[] = [];
  for (const stage of stagesBy(pipeline, 'eval')) {
    const summary = await readJsonIfThere(stage, 'summary.json');
    if (!summary) continue;
    const { metrics, coaching } = summary as unknown as Summary;
    const rows = await readRowsIfThere(join(stage.folder, 'answers.jsonl'));
    const answers = rows.map(withoutNulls) as unknown as Answer[];
    const own = { stage, folder: stage.folder, metrics: withoutNulls(metrics), coaching, answers };
    all.push({ key: stage.name, of: modelOf(stage), ...own });
  }
  const isContinued = ({ stage }: Evaluation) => stage.options.continuation === true;
  const order = policiesOf(roles).map(({ name }) => name);
  const place = ({ of }: Evaluation) => (of === undefined ? order.length : order.indexOf(of));
  const sorted = all.toSorted((a, b) => place(a) - place(b));
  return {
    evaluations: keyed(sorted.filter((each) => !isContinued(each))),
    continuations: sorted.filter(isContinued),
  };
}

/** A checkpoint of a run is another model than its last. */
function modelOf({ options }: PipelineStage): string | undefined {
  const [name] = namesReferredTo(options.model);
  return /^\$\{[^}]*\}(\/model)?\/?$/.test(String(options.model)) ? name : undefined;
}

/** The first evaluation of a model stands under the model's name. */
function keyed(evaluations: readonly Evaluation[]): Evaluation[] {
  const isFirst = (each: Evaluation) => evaluations.find(({ of }) => of === each.of) === each;
  return evaluations.map((each) =>
    each.of !== undefined && isFirst(each) ? { ...each, key: each.of } : each,
  );
}

/** That of the model which this one is compared with, if it was asked the same in the same way. */
export function baselineOf(
  { of, stage }: Evaluation,
  evaluations: readonly Evaluation[],
  roles: readonly StageRole[],
): Evaluation | undefined {
  const against = roles.find(({ name }) => name === of)?.against;
  return evaluations.find(
    (each) => each.of === against && against !== undefined && haveSameSettings(each.stage, stage),
  );
}

function haveSameSettings(one: PipelineStage, other: PipelineStage): boolean {
  const [{ model: _, ...settings }, { model: __, ...others }] = [one.options, other.options];
  return isDeepStrictEqual(settings, others);
}

/** What was not measured may be written as null. */
export function withoutNulls<T extends object>(record: T): T {
  const known = Object.entries(record).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(known) as T;
}
