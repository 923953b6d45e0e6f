// The report over the seeds of a recipe, from the folders `seed-N` that its pipelines left: report.json, report.html,
// report.md and report.ko.md beside them.

import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import { isFinished, openPipeline } from './read-pipeline.ts';
import { type WrittenReport, writeDocument, writeReport } from './report.ts';
import { type NamedPipeline, requireSameRecipe } from './same-recipe.ts';
import { composeSeedDocument } from './seed-document.ts';
import { type SeedPipeline, summariseSeeds } from './seed-summary.ts';

/** The seeds that have a pipeline in this folder, ascending. */
export function seedsIn(folder: string): number[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const seeds = names.flatMap((name) => /^seed-(\d+)$/.exec(name)?.[1] ?? []).map(Number);
  return seeds.filter((seed) => hasPipeline(folder, seed)).sort((a, b) => a - b);
}

/**
 * Writes the report over seeds, over an earlier one. Seeds whose pipeline did not come to its end are named in it.
 * @param seeds in the order in which they are shown
 * @throws UserError when no seed's pipeline is finished, or when finished ones are of different recipes
 */
export async function writeSeedReport(folder: string, seeds: readonly number[]): Promise<WrittenReport> {
  const finished = await finishedPipelines(folder, seeds);
  if (finished.length === 0) {
    const expected = 'at least one seed whose pipeline is finished';
    throw new UserError({ where: folder, expected, found: 'none', advice: 'heed run once more' });
  }
  requireSameRecipe(finished);
  const pipelines: SeedPipeline[] = [];
  for (const seed of seeds) pipelines.push(await readSeedPipeline(folder, seed));
  const summary = summariseSeeds(finished[0].pipeline.recipe, pipelines);
  return writeDocument(folder, summary, composeSeedDocument(summary));
}

/** Writes the report of every finished pipeline again, and the one over them. */
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

function hasPipeline(folder: string, seed: number): boolean {
  return existsSync(join(folder, folderOf(seed), 'pipeline.json'));
}

async function finishedPipelines(folder: string, seeds: readonly number[]): Promise<NamedPipeline[]> {
  const pipelines: NamedPipeline[] = [];
  for (const seed of seeds.filter((each) => hasPipeline(folder, each))) {
    const place = join(folder, folderOf(seed));
    const pipeline = await openPipeline(place);
    if (pipeline.stages.every(isFinished)) pipelines.push({ folder: place, pipeline });
  }
  return pipelines;
}

async function readSeedPipeline(folder: string, seed: number): Promise<SeedPipeline> {
  const place = { seed, folder: folderOf(seed) };
  if (!hasPipeline(folder, seed)) return { ...place, failure: 'not begun' };
  const path = join(folder, place.folder);
  const failure = await failureOf(path);
  if (failure !== undefined) return { ...place, failure };
  const file = join(path, 'report.json');
  if (!existsSync(file)) await writeReport(path);
  return { ...place, report: JSON.parse(await readFile(file, 'utf8')) };
}

/** The first stage that is not finished, and what became of it. */
async function failureOf(pipelineFolder: string): Promise<string | undefined> {
  const { stages } = await openPipeline(pipelineFolder);
  const stage = stages.find((each) => !isFinished(each));
  return stage && `stage ${stage.name}: ${stage.status}`;
}
