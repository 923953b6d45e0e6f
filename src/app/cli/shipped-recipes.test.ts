import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeModelsFromScratch } from '../recipe/from-scratch.ts';
import { planPipeline } from '../recipe/plan-pipeline.ts';
import { readRecipe } from '../recipe/read-recipe.ts';

const plan = (recipe: ReturnType<typeof readRecipe>) =>
  planPipeline(recipe, { out: 'runs/none', seed: recipe.seeds[0], version: '1' });

const recipes = readdirSync('recipes').filter((name) => name.endsWith('.yaml'));

describe.each(recipes)('recipes/%s', (name) => {
  const recipe = readRecipe(join('recipes', name));
  const lacking = [...recipe.models.values()].filter(({ path }) => !existsSync(path));

  it.skipIf(lacking.length > 0)(
    'has commands, options and models that exist (skipped without its models)',
    async () => {
      const { stages } = await plan(recipe);
      expect(stages.map((stage) => stage.name)).toEqual(recipe.stages.map((stage) => stage.name));
    },
  );

  it.skipIf(recipe.models.size === 0)('can make its models from scratch', () => {
    const { models, stages } = makeModelsFromScratch(recipe);
    expect(models.size).toBe(0);
    expect(stages.length).toBeGreaterThan(recipe.stages.length);
  });
});
