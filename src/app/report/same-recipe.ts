// Whether pipelines are of one recipe: the figures of different recipes have no mean.

import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../../engine/errors.ts';
import type { Pipeline } from '../recipe/pipeline-file.ts';

export interface NamedPipeline {
  /** What it is called in messages. */
  folder: string;
  pipeline: Pipeline;
}

/** @throws UserError naming the first stage and option in which a pipeline differs from the first one; the seed may */
export function requireSameRecipe([first, ...others]: readonly NamedPipeline[]): void {
  for (const other of others) {
    for (const stage of stageNames(first, other)) requireSameOptions(stage, first, other);
  }
}

function stageNames(...pipelines: readonly NamedPipeline[]): string[] {
  return [...new Set(pipelines.flatMap(({ pipeline }) => pipeline.stages.map(({ name }) => name)))];
}

function requireSameOptions(stage: string, first: NamedPipeline, other: NamedPipeline): void {
  const [expected, found] = [first, other].map(({ pipeline }) => wordsOf(pipeline, stage));
  const words = new Set([...Object.keys(expected), ...Object.keys(found)]);
  const differing = [...words].find((word) => !isDeepStrictEqual(expected[word], found[word]));
  if (differing === undefined) return;
  throw new UserError({
    where: `${other.folder}: stage ${stage}: ${differing}`,
    expected: `${shown(expected[differing])}, as in ${first.folder}`,
    found: shown(found[differing]),
    advice: 'one recipe for all of these seeds, or moving the pipelines of another one elsewhere',
  });
}

/** Command and options; empty where the pipeline has no such stage. */
function wordsOf({ stages }: Pipeline, name: string): Record<string, unknown> {
  const stage = stages.find((each) => each.name === name);
  if (!stage) return {};
  const { seed: _, ...options } = stage.options;
  return { command: stage.command, ...options };
}

function shown(value: unknown): string {
  if (value === undefined) return 'none';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
