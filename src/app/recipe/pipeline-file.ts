// pipeline.json: where a recipe has come to, stage by stage, with what each returned. The report reads it.

import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { FormatError, UserError } from '../../engine/errors.ts';
import { readJsonFile } from '../../language/read-file.ts';
import { fromStored } from '../../language/stored-names.ts';
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
  peakMemoryBytes: number | null;
  /** What the command returned. */
  result: Record<string, unknown> | null;
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
      peakMemoryBytes: null,
      result: null,
    })),
  };
}

export async function writePipeline(folder: string, pipeline: Pipeline): Promise<void> {
  await writeJson(join(folder, 'pipeline.json'), pipeline);
}

const stageSchema = z.object({
  name: z.string(),
  command: z.string(),
  key: z.string(),
  folder: z.string(),
  options: z.record(z.string(), z.unknown()),
  status: z.enum(['done', 'unchanged', 'pending', 'running', 'interrupted', 'failed']),
  seconds: z.number().nullable(),
  peakMemoryBytes: z.number().nullable(),
  result: z.record(z.string(), z.unknown()).nullable(),
});

const pipelineSchema: z.ZodType<Pipeline> = z.object({
  recipe: z.string(),
  seed: z.number(),
  stages: z.array(stageSchema),
});

/** @throws UserError when the folder holds no pipeline.json, FormatError when that is not a pipeline */
export async function readPipeline(folder: string): Promise<Pipeline> {
  const path = join(folder, 'pipeline.json');
  if (!existsSync(path)) {
    throw new UserError({
      where: path,
      expected: 'the pipeline that heed run writes',
      found: 'no such file',
      advice: 'the folder that was given to heed run as --out',
    });
  }
  const pipeline = pipelineSchema.safeParse(fromStored(await readJsonFile(path)));
  if (pipeline.success) return pipeline.data;
  const { path: key, message } = pipeline.error.issues[0];
  throw new FormatError({ where: `${path}: ${key.join('.')}`, expected: 'a pipeline', found: message });
}

/** @returns undefined where there is none, or none that can be read */
export async function readPipelineIfThere(folder: string): Promise<Pipeline | undefined> {
  try {
    return await readPipeline(folder);
  } catch {
    return undefined;
  }
}
