// A recipe whose models are made by their own recipes first: those stages are put before its own, under the model's
// name, so that all of it is one pipeline with one plan.

import { UserError } from '../../engine/errors.ts';
import { readRecipe } from './read-recipe.ts';
import type { Recipe, RecipeModel, RecipeStage } from './recipe.ts';
import { replaceReferences } from './references.ts';

/**
 * `${base}` becomes `${base-pretrain}` when `base` is made by a recipe whose last stage is `pretrain`. The stages that
 * are put before keep their own recipe's seed.
 * @throws UserError when no model says what makes it
 */
export function makeModelsFromScratch(recipe: Recipe): Recipe {
  const made = [...recipe.models].flatMap(([name, { madeBy }]) => (madeBy ? [{ name, madeBy }] : []));
  if (made.length === 0) {
    throw new UserError({
      where: recipe.path,
      expected: 'a model with made-by: the recipe that makes it',
      found:
        recipe.models.size === 0 ? 'no models' : `none with it among ${[...recipe.models.keys()].join(', ')}`,
      advice: 'without --from-scratch',
    });
  }
  return made.reduce((sum, { name, madeBy }) => putBefore(sum, name, readRecipe(madeBy)), recipe);
}

function putBefore(recipe: Recipe, model: string, maker: Recipe): Recipe {
  const inner = (name: string) => `${model}-${name}`;
  const last = inner(maker.stages.at(-1)!.name);
  const making = maker.stages.map((stage) => ({
    ...rename(stage, inner),
    name: inner(stage.name),
    seed: stage.seed ?? maker.seeds[0],
  }));
  const models = new Map<string, RecipeModel>([...recipe.models].filter(([name]) => name !== model));
  for (const [name, value] of maker.models) models.set(inner(name), value);
  const own = recipe.stages.map((stage) => rename(stage, (name) => (name === model ? last : name)));
  return { ...recipe, models, stages: [...making, ...own] };
}

function rename(stage: RecipeStage, newName: (name: string) => string): RecipeStage {
  const options = [...stage.options].map(([word, given]) => {
    const value = replaceReferences(given.value, (name) => `\${${newName(name)}}`);
    return [word, { ...given, value }] as const;
  });
  return { ...stage, options: new Map(options) };
}
