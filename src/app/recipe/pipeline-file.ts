// pipeline.json: where a recipe has come to, stage by stage, with what each returned. The report reads it.

import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Plan } from './plan-pipeline.ts';
import { writeJson } from './stage-record.ts';

export type PipelineStatus =
  /** Computed by this run. */
  | 'done'
  /** Found finished. */
  | 'unchanged'
  | 'pending'
  | 'running'
  | 'interrupted'
  | 'failed';

export interface PipelineStage {
  name: string;
  command: string;
  key: string;
  /** Relative to the pipeline's folder. */
  folder: string;
  /** By word, with `${name}` where the recipe has it. */
  options: Record<string, unknown>;
  status: PipelineStatus;
  seconds: number | null;
  peak_memory_bytes: number | null;
  result: object | null;
}

export interface Pipeline {
  recipe: string;
  seed: number;
  stages: PipelineStage[];
}

export function newPipeline(plan: Plan): Pipeline {
  return {
    recipe: plan.recipe,
    seed: plan.seed,
    stages: plan.stages.map(({ name, command, key, folder, words }) => ({
      name,
      command: command.name,
      key,
      folder: basename(folder),
      options: words,
      status: 'pending',
      seconds: null,
      peak_memory_bytes: null,
      result: null,
    })),
  };
}

export async function writePipeline(folder: string, pipeline: Pipeline): Promise<void> {
  await writeJson(join(folder, 'pipeline.json'), pipeline);
}

/** @returns undefined where there is none, or none that can be read */
export async function readPipelineIfThere(folder: string): Promise<Pipeline | undefined> {
  try {
    const pipeline = JSON.parse(await readFile(join(folder, 'pipeline.json'), 'utf8'));
    return Array.isArray(pipeline?.stages) ? pipeline : undefined;
  } catch {
    return undefined;
  }
}
