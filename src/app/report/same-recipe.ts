// Whether roads are of one recipe: the figures of different recipes have no mean.

import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../../engine/errors.ts';
import type { Road } from './read-road.ts';

export interface NamedRoad {
  /** What it is called in messages. */
  folder: string;
  road: Road;
}

/** @throws UserError naming the first stage and option in which a road differs from the first one; the seed may */
export function requireSameRecipe([first, ...others]: readonly NamedRoad[]): void {
  for (const other of others) {
    for (const stage of stageNames(first, other)) requireSameOptions(stage, first, other);
  }
}

function stageNames(...roads: readonly NamedRoad[]): string[] {
  return [...new Set(roads.flatMap(({ road }) => road.stages.map(({ name }) => name)))];
}

function requireSameOptions(stage: string, first: NamedRoad, other: NamedRoad): void {
  const [expected, found] = [first, other].map(({ road }) => wordsOf(road, stage));
  const words = new Set([...Object.keys(expected), ...Object.keys(found)]);
  const differing = [...words].find((word) => !isDeepStrictEqual(expected[word], found[word]));
  if (differing === undefined) return;
  throw new UserError({
    where: `${other.folder}: stage ${stage}: ${differing}`,
    expected: `${shown(expected[differing])}, as in ${first.folder}`,
    found: shown(found[differing]),
    advice: 'one recipe for all of these seeds, or moving the roads of another one elsewhere',
  });
}

/** Command and options; empty where the road has no such stage. */
function wordsOf({ stages }: Road, name: string): Record<string, unknown> {
  const stage = stages.find((each) => each.name === name);
  if (!stage) return {};
  const { seed: _, ...options } = stage.options;
  return { command: stage.command, ...options };
}

function shown(value: unknown): string {
  if (value === undefined) return 'none';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
