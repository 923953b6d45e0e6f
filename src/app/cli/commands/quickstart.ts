// heed quickstart: the whole pipeline on kata, from a small base model to a report; recipes/quickstart.yaml.

import { z } from 'zod';
import { type Command, defineCommand } from '../command.ts';
import { planAndShow, recipeOptions, runRecipe, shippedRecipe } from '../run-recipe.ts';

const recipe = shippedRecipe('quickstart');

/** @param commands what the recipe's stages may be */
export function quickstartCommand(commands: readonly Command[]): Command {
  return defineCommand({
    name: 'quickstart',
    description:
      'align a small model in minutes, offline: from a base model to a report that compares methods',
    options: z.object({
      out: z.string().default('runs/quickstart').describe('folder of all stages and of the report'),
      ...recipeOptions,
    }),
    plan: (options, terminal) => planAndShow({ ...options, recipe }, commands, terminal),
    run: (options, terminal, signal) => runRecipe({ ...options, recipe }, commands, terminal, signal),
  });
}
