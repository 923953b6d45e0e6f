// A pipeline as `heed run` left it: pipeline.json and the folders of its stages. What a stage has not written is absent here,
// and so is what the report would say of it; what is there but cannot be read is an error that names the file.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { readJsonLines } from '../../align/data/read.ts';
import { FormatError, UserError } from '../../engine/errors.ts';

const stageSchema = z.object({
  name: z.string(),
  command: z.string(),
  folder: z.string(),
  status: z.string().default('unknown'),
  seconds: z.number().nullish(),
  peak_memory_bytes: z.number().nullish(),
  options: z.record(z.string(), z.unknown()).nullish(),
  result: z.record(z.string(), z.unknown()).nullish(),
});

const pipelineSchema = z.object({
  recipe: z.string(),
  seed: z.number(),
  stages: z.array(stageSchema),
});

export interface Stage {
  name: string;
  command: string;
  /** Where it lies now, also when the pipeline's folder was moved. */
  folder: string;
  status: string;
  seconds?: number;
  peakMemoryBytes?: number;
  options: Record<string, unknown>;
  /** What the command returned. */
  result: Record<string, unknown>;
}

export interface Pipeline {
  recipe: string;
  seed: number;
  stages: Stage[];
}

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
  const pipeline = pipelineSchema.safeParse(await readJson(path));
  if (!pipeline.success) {
    const { path: key, message } = pipeline.error.issues[0];
    throw new FormatError({ where: `${path}: ${key.join('.')}`, expected: 'a pipeline', found: message });
  }
  const { recipe, seed, stages } = pipeline.data;
  return {
    recipe: basename(recipe).replace(/\.ya?ml$/, ''),
    seed,
    stages: stages.map((stage) => ({
      name: stage.name,
      command: stage.command,
      folder: locate(folder, stage.folder),
      status: stage.status,
      seconds: stage.seconds ?? undefined,
      peakMemoryBytes: stage.peak_memory_bytes ?? undefined,
      options: stage.options ?? {},
      result: stage.result ?? {},
    })),
  };
}

/** The folder as written, or the one of that name in the pipeline's folder. */
function locate(pipelineFolder: string, written: string): string {
  const beside = join(pipelineFolder, basename(written));
  if (existsSync(beside)) return beside;
  return isAbsolute(written) ? written : resolve(pipelineFolder, written);
}

/** Whether it came to its end, in this run of the pipeline or in an earlier one. */
export function isFinished({ status }: Stage): boolean {
  return status === 'done' || status === 'unchanged';
}

/** The stage of that name, once it has made its folder. */
export function stageNamed(pipeline: Pipeline, name: string): Stage | undefined {
  return pipeline.stages.find((stage) => stage.name === name && existsSync(stage.folder));
}

/** @throws FormatError when a file is there and is not JSON */
export async function readJsonIfThere(
  stage: Stage | undefined,
  name: string,
): Promise<Record<string, unknown> | undefined> {
  const path = stage && join(stage.folder, name);
  return path && existsSync(path) ? ((await readJson(path)) as Record<string, unknown>) : undefined;
}

/** At most `most` rows from the beginning; none where the file is absent. @throws FormatError naming a faulty line */
export async function readRowsIfThere(
  stage: Stage | undefined,
  name: string,
  most = Number.POSITIVE_INFINITY,
): Promise<Record<string, unknown>[]> {
  const path = stage && join(stage.folder, name);
  if (!path || !existsSync(path)) return [];
  const rows: Record<string, unknown>[] = [];
  for await (const { value } of readJsonLines(path, { strict: true, onFault: () => {} })) {
    rows.push(value as Record<string, unknown>);
    if (rows.length >= most) break;
  }
  return rows;
}

async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormatError(
      { where: path, expected: 'JSON', found: (error as Error).message },
      { cause: error },
    );
  }
}
