// road.json: where a recipe has come to, stage by stage, with what each returned. The report reads it.

import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Plan } from './plan-road.ts';
import { writeJson } from './stage-record.ts';

export type RoadStatus =
  /** Computed by this run. */
  | 'done'
  /** Found finished. */
  | 'unchanged'
  | 'pending'
  | 'running'
  | 'interrupted'
  | 'failed';

export interface RoadStage {
  name: string;
  command: string;
  key: string;
  /** Relative to the road's folder. */
  folder: string;
  /** By word, with `${name}` where the recipe has it. */
  options: Record<string, unknown>;
  status: RoadStatus;
  seconds: number | null;
  peak_memory_bytes: number | null;
  result: object | null;
}

export interface Road {
  recipe: string;
  seed: number;
  stages: RoadStage[];
}

export function newRoad(plan: Plan): Road {
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

export async function writeRoad(folder: string, road: Road): Promise<void> {
  await writeJson(join(folder, 'road.json'), road);
}

/** @returns undefined where there is none, or none that can be read */
export async function readRoadIfThere(folder: string): Promise<Road | undefined> {
  try {
    const road = JSON.parse(await readFile(join(folder, 'road.json'), 'utf8'));
    return Array.isArray(road?.stages) ? road : undefined;
  } catch {
    return undefined;
  }
}
