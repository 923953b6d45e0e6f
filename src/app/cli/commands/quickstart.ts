// heed quickstart: the whole pipeline on kata, from a small base model to a report; recipes/quickstart.yaml.

import { z } from 'zod';
import { defineCommand } from '../command.ts';
import { planAndShow, planShows, recipeOptions, runRecipe, shippedRecipe } from '../run-recipe.ts';

const recipe = shippedRecipe('quickstart');

export const quickstart = defineCommand({
  name: 'quickstart',
  description: 'align a small model in minutes, offline: from a base model to a report that compares methods',
  options: z.object({
    out: z.string().default('runs/quickstart').describe('output folder of all stages and of the report'),
    ...recipeOptions,
    jobs: recipeOptions.jobs.default(2),
  }),
  plan: { shows: planShows, show: (options, terminal) => planAndShow({ ...options, recipe }, terminal) },
  run: (options, terminal, signal) => runRecipe({ ...options, recipe }, terminal, signal),
});
