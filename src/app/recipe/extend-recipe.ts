// A recipe that changes another: `extends: quickstart.yaml`, and then only what differs.

import type { Recipe, RecipeStage } from './recipe.ts';

/**
 * Options of a stage of the same name win over the parent's one by one, under a changed command over all; new stages
 * come last. Models are taken together, and the report is the parent's unless `changes` has one.
 */
export function extendRecipe(parent: Recipe, changes: Recipe): Recipe {
  const changed = new Map(changes.stages.map((stage) => [stage.name, stage]));
  const isNew = ({ name }: RecipeStage) => !parent.stages.some((stage) => stage.name === name);
  return {
    ...changes,
    models: new Map([...parent.models, ...changes.models]),
    stages: [
      ...parent.stages.map((stage) => extendStage(stage, changed.get(stage.name))),
      ...changes.stages.filter(isNew),
    ],
    report: changes.report ?? parent.report,
  };
}

function extendStage(stage: RecipeStage, change: RecipeStage | undefined): RecipeStage {
  if (change?.command !== stage.command) return change ?? stage;
  return { ...change, options: new Map([...stage.options, ...change.options]) };
}
