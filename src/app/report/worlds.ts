// The worlds that a report knows: the one place that a new world is added to.

import type { Pipeline } from '../recipe/pipeline-file.ts';
import { kata } from './kata/kata.ts';
import { everyWorld, type World } from './world.ts';

const worlds: Readonly<Record<string, World>> = { kata };

/** The world of a report; what holds in every world for a name that is unknown or absent. */
export function worldNamed(name: string | undefined): World {
  return (name !== undefined && worlds[name]) || everyWorld;
}

/** The world that judges a pipeline's answers, or that makes its data. */
export function worldIn({ stages }: Pipeline): string | undefined {
  const judging = stages.find(({ options }) => typeof options.world === 'string');
  return (
    (judging?.options.world as string | undefined) ?? stages.find(({ command }) => worlds[command])?.command
  );
}
