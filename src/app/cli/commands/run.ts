// heed run: a whole recipe, stage by stage.

import { z } from 'zod';
import { defineCommand } from '../command.ts';
import { planAndShow, planShows, recipeOptions, runRecipe } from '../run-recipe.ts';

export const run = defineCommand({
  name: 'run',
  description: 'run a recipe: skip finished stages, resume interrupted ones, compute the rest',
  positional: 'recipe',
  options: z.object({
    recipe: z.string().describe("the recipe's file, or the name of one that ships with heed"),
    out: z.string().optional().describe("output folder of all stages (default: runs/ and the recipe's name)"),
    ...recipeOptions,
  }),
  plan: { shows: planShows, show: planAndShow },
  run: (options, terminal, signal) => runRecipe(options, terminal, signal),
});
