// What heed run and heed quickstart share: a recipe's file, seeds and stages on the terminal, and its report.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { nearestWord, UserError } from '../../engine/errors.ts';
import { chooseStages } from '../recipe/choose-stages.ts';
import { makeModelsFromScratch } from '../recipe/from-scratch.ts';
import { type Plan, planPipeline, shown } from '../recipe/plan-pipeline.ts';
import { readRecipe } from '../recipe/read-recipe.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { type PipelineResult, runPipeline } from '../recipe/run-pipeline.ts';
import { stageOptions } from '../stages/shared-options.ts';
import type { Stage } from '../stages/stage.ts';
import { everyStage } from '../stages/stages.ts';
import { heedVersion } from '../version.ts';
import { showPipeline } from './show-pipeline.ts';
import { showPlan } from './show-plan.ts';
import { performStage } from './stage-command.ts';
import type { Terminal } from './terminal.ts';

const seedsIn = (text: string) => text.split(',').map(Number);
const seedList = z
  .string()
  .refine((text) => /^\d{1,15}(,\d{1,15})*$/.test(text), 'integers with commas between, such as 1,2,3')
  .refine((text) => new Set(seedsIn(text)).size === seedsIn(text).length, 'each seed once');

/** More stages than any recipe of ours has. */
const mostJobs = 64;

export const recipeOptions = {
  seed: z
    .int()
    .min(0)
    .optional()
    .describe("random seed of every stage that sets none (default: the recipe's)"),
  seeds: seedList.optional().describe('several seeds, such as 1,2,3: one pipeline each, in OUT/seed-N'),
  fromScratch: z
    .boolean()
    .default(false)
    .describe('first train the models that have a recipe of their own (made-by)'),
  only: z
    .array(z.string())
    .min(1)
    .optional()
    .describe('run these stages only; their inputs must be finished'),
  until: z.string().optional().describe('last stage to run'),
  threads: stageOptions.threads.describe('CPU threads of every stage (default: all cores)'),
  jobs: z
    .int()
    .min(1)
    .max(mostJobs)
    .default(1)
    .describe(
      'stages to run at once where none waits for another; they share the cores and add up their memory',
    ),
  resume: z.boolean().default(false).describe('no effect: `heed run` always resumes'),
};

export interface RecipeRequest extends z.output<z.ZodObject<typeof recipeOptions>> {
  recipe: string;
  /** Default: runs/ and the recipe's name. */
  out?: string;
}

/** A pipeline that was run for one seed. */
interface Outcome extends Omit<PipelineResult, 'isComplete'> {
  out: string;
  /** Paths of the report's files. */
  report?: object;
}

/** Folder of the recipes that come with heed. */
const shippedRecipes = fileURLToPath(new URL('../../../recipes', import.meta.url));

interface Performers {
  stages: readonly Stage[];
  perform: typeof performStage;
}
const heedPerformers: Performers = { stages: everyStage, perform: performStage };

/** Runs a recipe for each seed, and writes its report. @returns the pipeline, or with several seeds `{ seeds: [pipeline, …], report }` */
export async function runRecipe(
  request: RecipeRequest,
  terminal: Terminal,
  signal: AbortSignal,
  { stages, perform }: Performers = heedPerformers,
): Promise<object> {
  const { plans, recipe } = await planRecipe(request, stages);
  const run = (plan: Plan) => runPlan(plan, recipe, request, perform, terminal, signal);
  if (plans.length === 1) return run(plans[0]);
  const outcomes: Outcome[] = [];
  const failures: UserError[] = [];
  for (const plan of plans) {
    if (signal.aborted) break;
    terminal.line(terminal.coloured(`seed ${plan.seed}`, 'bold'));
    try {
      outcomes.push(await run(plan));
    } catch (error) {
      // The other seeds still say something; what stopped this one is reported at the end.
      if (!(error instanceof UserError)) throw error;
      failures.push(ofSeed(plan.seed, error));
      terminal.note(failures.at(-1)!.message);
    }
  }
  const report = await reportOnSeeds(plans, outcomes, failures.length, terminal);
  if (failures.length > 0) throw failures[0];
  return { recipe: recipe.name, seeds: outcomes, ...(report && { report }) };
}

function ofSeed(seed: number, error: UserError): UserError {
  const { where, ...rest } = error.mistake;
  return new UserError({ ...rest, where: `seed ${seed}: ${where}` }, { cause: error });
}

/** Once every seed has its report or has failed. @returns where it is */
async function reportOnSeeds(
  plans: readonly Plan[],
  outcomes: readonly Outcome[],
  failed: number,
  terminal: Terminal,
): Promise<object | undefined> {
  const reported = outcomes.filter(({ report }) => report).length;
  if (reported === 0 || reported + failed < plans.length) return undefined;
  const { writeSeedReport } = await import('../report/seed-report.ts');
  const seeds = plans.map(({ seed }) => seed);
  const report = await writeSeedReport(dirname(plans[0].out), seeds);
  terminal.line(`report over ${seeds.length} seeds: ${shown(report.html)}`);
  return report;
}

export const planShows = 'every stage with its memory and time';

/** What --dry-run shows: every stage, what would happen to it and what it would take. */
export async function planAndShow(request: RecipeRequest, terminal: Terminal): Promise<object> {
  const { plans, recipe } = await planRecipe(request, everyStage);
  const tables: object[] = [];
  for (const plan of plans) tables.push(await showPlan(plan, chooseStages(plan, request), terminal));
  return plans.length === 1 ? tables[0] : { recipe: recipe.name, seeds: tables };
}

async function planRecipe(
  request: RecipeRequest,
  stages: readonly Stage[],
): Promise<{ recipe: Recipe; plans: Plan[] }> {
  const given = readRecipe(recipePath(request.recipe));
  const recipe = request.fromScratch ? makeModelsFromScratch(given) : given;
  const seeds = seedsOf(request, recipe);
  const out = request.out ?? join('runs', recipe.name);
  const options = { stages, version: heedVersion(), threads: request.threads };
  const plans: Plan[] = [];
  for (const seed of seeds) {
    const folder = seeds.length > 1 || request.seeds ? join(out, `seed-${seed}`) : out;
    plans.push(await planPipeline(recipe, { ...options, seed, out: folder }));
  }
  chooseStages(plans[0], request);
  return { recipe, plans };
}

function seedsOf({ seed, seeds }: RecipeRequest, recipe: Recipe): readonly number[] {
  if (seed !== undefined && seeds !== undefined)
    throw new UserError({ where: '--seed, --seeds', expected: 'one of them', found: 'both' });
  if (seed !== undefined) return [seed];
  return seeds === undefined ? recipe.seeds : seedsIn(seeds);
}

/** The file of a recipe that comes with heed. */
export function shippedRecipe(name: string): string {
  return join(shippedRecipes, `${name}.yaml`);
}

/** A file, or the name of a recipe that comes with heed. */
function recipePath(given: string): string {
  if (existsSync(given) && statSync(given).isFile()) return given;
  const shippedFiles = existsSync(shippedRecipes) ? readdirSync(shippedRecipes) : [];
  const names = shippedFiles.filter((name) => name.endsWith('.yaml'));
  const shipped = names.find((name) => name === given || name === `${given}.yaml`);
  if (shipped) return join(shippedRecipes, shipped);
  throw new UserError({
    where: `heed run ${given}`,
    expected: `a recipe's file, or one of heed's own (${names.map((name) => name.replace('.yaml', '')).join(', ')})`,
    found: 'no such file',
    advice: nearestWord(given, names),
  });
}

async function runPlan(
  plan: Plan,
  recipe: Recipe,
  request: RecipeRequest,
  perform: typeof performStage,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<Outcome> {
  const { jobs } = request;
  const { isComplete, ...pipeline } = await runPipeline(plan, {
    perform: ({ name, command }, options, stageSignal) =>
      perform(command, options, jobs > 1 ? terminal.named(name) : terminal, stageSignal),
    onEvent: showPipeline(terminal),
    signal,
    selected: chooseStages(plan, request),
    jobs,
  });
  const outcome: Outcome = { out: plan.out, ...pipeline };
  if (!recipe.report || !isComplete || signal.aborted) return outcome;
  const { writeReport } = await import('../report/report.ts');
  const report = await writeReport(plan.out);
  terminal.line(`report: ${shown(report.html)}`);
  return { ...outcome, report };
}
