// heed run: a whole recipe, stage by stage.

import { z } from 'zod';
import { type Command, defineCommand } from '../command.ts';
import { planAndShow, recipeOptions, runRecipe } from '../run-recipe.ts';

/** @param commands what a recipe's stages may be */
export function runCommand(commands: readonly Command[]): Command {
  return defineCommand({
    name: 'run',
    description: 'run a recipe: skip what is finished, resume what was begun, compute the rest',
    positional: 'recipe',
    options: z.object({
      recipe: z.string().describe("the recipe's file, or the name of one that comes with heed"),
      out: z.string().optional().describe("folder of all stages; runs/ and the recipe's name unless given"),
      ...recipeOptions,
    }),
    plan: (options, terminal) => planAndShow(options, commands, terminal),
    run: (options, terminal, signal) => runRecipe(options, commands, terminal, signal),
  });
}
