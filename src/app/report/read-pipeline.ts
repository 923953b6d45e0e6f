// The folders of a pipeline's stages. What a stage has not written is absent here, and so is what the report would say
// of it; what is there but cannot be read is an error that names the file.

import { existsSync } from 'node:fs';
import { basename, isAbsolute, join, resolve } from 'node:path';
import { readRows } from '../../align/data/read.ts';
import { readJsonFile } from '../../language/read-file.ts';
import { type Pipeline, type PipelineStage, readPipeline } from '../recipe/pipeline-file.ts';

/** The pipeline, each stage's folder where it lies now, also when the whole was moved. @throws as readPipeline */
export async function openPipeline(folder: string): Promise<Pipeline> {
  const pipeline = await readPipeline(folder);
  return {
    ...pipeline,
    stages: pipeline.stages.map((stage) => ({ ...stage, folder: locate(folder, stage.folder) })),
  };
}

/** The folder as written, or the one of that name in the pipeline's folder. */
function locate(pipelineFolder: string, written: string): string {
  const beside = join(pipelineFolder, basename(written));
  if (existsSync(beside)) return beside;
  return isAbsolute(written) ? written : resolve(pipelineFolder, written);
}

/** Whether it came to its end, in this run of the pipeline or in an earlier one. */
export function isFinished({ status }: PipelineStage): boolean {
  return status === 'done' || status === 'unchanged';
}

/** The first stage with this command that has made its folder. */
export function stageBy({ stages }: Pipeline, command: string): PipelineStage | undefined {
  return stagesBy({ stages }, command)[0];
}

export function stagesBy({ stages }: Pick<Pipeline, 'stages'>, command: string): PipelineStage[] {
  return stages.filter((stage) => stage.command === command && existsSync(stage.folder));
}

/** Where a path of a stage's options lies: `${name}` is another stage's folder. Undefined for one that is not there. */
export function locatePath(pipeline: Pipeline, path: unknown): string | undefined {
  if (typeof path !== 'string') return undefined;
  const folderOf = (name: string) => pipeline.stages.find((stage) => stage.name === name)?.folder ?? name;
  const located = path.replace(/^\$\{([^}]*)\}/, (_, name: string) => folderOf(name));
  return existsSync(located) ? located : undefined;
}

/** @throws FormatError when a file is there and is not JSON */
export async function readJsonIfThere(
  stage: PipelineStage | undefined,
  name: string,
): Promise<Record<string, unknown> | undefined> {
  const path = stage && join(stage.folder, name);
  return path && existsSync(path) ? ((await readJsonFile(path)) as Record<string, unknown>) : undefined;
}

/** At most `most` rows from the beginning; none where the file is absent. @throws FormatError naming a faulty line */
export async function readRowsIfThere(
  path: string | undefined,
  most = Number.POSITIVE_INFINITY,
): Promise<Record<string, unknown>[]> {
  if (!path || !existsSync(path)) return [];
  const rows: Record<string, unknown>[] = [];
  for await (const { value } of readRows(path, { strict: true, onFault: () => {} })) {
    rows.push(value as Record<string, unknown>);
    if (rows.length >= most) break;
  }
  return rows;
}
