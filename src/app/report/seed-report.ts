// The report over the seeds of a recipe, from the folders `seed-N` that its roads left: report.json, report.html,
// report.md and report.ko.md beside them.

import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import { isFinished, readRoad } from './read-road.ts';
import { type WrittenReport, writeDocument, writeReport } from './report.ts';
import { type NamedRoad, requireSameRecipe } from './same-recipe.ts';
import { composeSeedDocument } from './seed-document.ts';
import { type SeedRoad, summariseSeeds } from './seed-summary.ts';

/** The seeds that have a road in this folder, ascending. */
export function seedsIn(folder: string): number[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const seeds = names.flatMap((name) => /^seed-(\d+)$/.exec(name)?.[1] ?? []).map(Number);
  return seeds.filter((seed) => hasRoad(folder, seed)).sort((a, b) => a - b);
}

/**
 * Writes the report over seeds, over an earlier one. Seeds whose road did not come to its end are named in it.
 * @param seeds in the order in which they are shown
 * @throws UserError when no seed's road is finished, or when finished ones are of different recipes
 */
export async function writeSeedReport(folder: string, seeds: readonly number[]): Promise<WrittenReport> {
  const finished = await finishedRoads(folder, seeds);
  if (finished.length === 0) {
    const expected = 'at least one seed whose road is finished';
    throw new UserError({ where: folder, expected, found: 'none', advice: 'heed run once more' });
  }
  requireSameRecipe(finished);
  const roads: SeedRoad[] = [];
  for (const seed of seeds) roads.push(await readSeedRoad(folder, seed));
  const summary = summariseSeeds(finished[0].road.recipe, roads);
  return writeDocument(folder, summary, composeSeedDocument(summary));
}

/** Writes the report of every finished road again, and the one over them. */
export async function writeSeedReportsAgain(folder: string): Promise<WrittenReport> {
  const seeds = seedsIn(folder);
  for (const seed of seeds) {
    const place = join(folder, folderOf(seed));
    if ((await failureOf(place)) === undefined) await writeReport(place);
  }
  return writeSeedReport(folder, seeds);
}

function folderOf(seed: number): string {
  return `seed-${seed}`;
}

function hasRoad(folder: string, seed: number): boolean {
  return existsSync(join(folder, folderOf(seed), 'road.json'));
}

async function finishedRoads(folder: string, seeds: readonly number[]): Promise<NamedRoad[]> {
  const roads: NamedRoad[] = [];
  for (const seed of seeds.filter((each) => hasRoad(folder, each))) {
    const place = join(folder, folderOf(seed));
    const road = await readRoad(place);
    if (road.stages.every(isFinished)) roads.push({ folder: place, road });
  }
  return roads;
}

async function readSeedRoad(folder: string, seed: number): Promise<SeedRoad> {
  const place = { seed, folder: folderOf(seed) };
  if (!hasRoad(folder, seed)) return { ...place, failure: 'not begun' };
  const path = join(folder, place.folder);
  const failure = await failureOf(path);
  if (failure !== undefined) return { ...place, failure };
  const file = join(path, 'report.json');
  if (!existsSync(file)) await writeReport(path);
  return { ...place, report: JSON.parse(await readFile(file, 'utf8')) };
}

/** The first stage that is not finished, and what became of it. */
async function failureOf(roadFolder: string): Promise<string | undefined> {
  const { stages } = await readRoad(roadFolder);
  const stage = stages.find((each) => !isFinished(each));
  return stage && `stage ${stage.name}: ${stage.status}`;
}
