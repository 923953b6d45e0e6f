// A recipe as it was read: its form is right, what its stages say is not checked yet.

export interface GivenOption {
  value: unknown;
  /** Such as `quickstart.yaml:7:16 (sft: epochs)`. */
  where: string;
  /** Absolute: what its relative paths are relative to. */
  folder: string;
}

export interface RecipeStage {
  name: string;
  command: string;
  where: string;
  /** By the flags' words. */
  options: ReadonlyMap<string, GivenOption>;
  /** Instead of the recipe's. */
  seed?: number;
}

export interface RecipeModel {
  /** Absolute. */
  path: string;
  where: string;
  /** The recipe whose last stage makes this model; absolute. */
  madeBy?: string;
}

export interface Recipe {
  /** As it was asked for. */
  path: string;
  name: string;
  seeds: readonly number[];
  models: ReadonlyMap<string, RecipeModel>;
  /** In the order in which they run. */
  stages: readonly RecipeStage[];
  report?: string;
}
