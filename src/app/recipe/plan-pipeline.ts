// From a recipe to a plan: every stage checked, its inputs found, and its folder named by a key. The key is a hash of
// all that determines the result (command, options, inputs), so equal keys mean equal work: done once, found again.

import { createHash } from 'node:crypto';
import { join, relative, resolve, sep } from 'node:path';
import { nearestWord, UserError } from '../../engine/errors.ts';
import { inputNamedBy, type NamedInput } from '../stages/option-texts.ts';
import type { OptionSpec } from '../stages/options.ts';
import { hasOption, type Stage } from '../stages/stage.ts';
import { everyStage } from '../stages/stages.ts';
import { checkOptions, knownCommand } from './check-options.ts';
import { ContentHashes, type HashedInput } from './content-hash.ts';
import type { Recipe, RecipeStage } from './recipe.ts';
import { mapTexts, namesReferredTo, replaceReferences, textsOf } from './references.ts';

export interface PlannedStage {
  name: string;
  command: Stage;
  /** SHA-256, hexadecimal. */
  key: string;
  /** Absolute. */
  folder: string;
  /** What the command is given, by name in code: paths, its folder as `out`, defaults. */
  options: Record<string, unknown>;
  /** The same by word, with `${name}` where the recipe has it, and without what only says how to run. */
  words: Record<string, unknown>;
  /** Words of the options that name something to read. */
  pathWords: string[];
  /** Names of the stages and models, and files, that it reads. */
  reads: string[];
  /** Names of the stages among them. */
  needs: string[];
}

export interface Plan {
  recipe: string;
  /** The recipe's file. */
  path: string;
  seed: number;
  /** Absolute. */
  out: string;
  /** Absolute folders by name. */
  models: ReadonlyMap<string, string>;
  stages: PlannedStage[];
}

export interface PlanOptions {
  out: string;
  seed: number;
  /** What `command` of a stage may name; default: every stage of heed. */
  stages?: readonly Stage[];
  /** heed's version: part of every key. */
  version: string;
  threads?: number;
}

/** Raised when the meaning of a key changes. */
const keyFormat = 1;
/** Options that say how to run, not what to compute. */
const freeOptions = ['out', 'resume', 'threads', 'saveEvery', 'keepLast'];

/**
 * Checks a recipe from its first stage to its last, and reads its models and files for their hashes.
 * @throws UserError naming file, line, stage and key
 */
export async function planPipeline(recipe: Recipe, options: PlanOptions): Promise<Plan> {
  const hashes = new ContentHashes();
  const models = new Map<string, HashedInput>();
  for (const [name, { path, where, madeBy }] of recipe.models) {
    models.set(name, await hashes.model(path, where, madeBy && '--from-scratch, which makes it'));
  }
  const planner = new Planner(recipe, options, models, hashes);
  for (const stage of recipe.stages) await planner.add(stage);
  return {
    recipe: recipe.name,
    path: recipe.path,
    seed: options.seed,
    out: resolve(options.out),
    models: new Map([...models].map(([name, { path }]) => [name, path])),
    stages: planner.stages,
  };
}

type PlainInput = HashedInput & Pick<NamedInput, 'part'>;

class Planner {
  readonly stages: PlannedStage[] = [];
  private readonly recipe: Recipe;
  private readonly options: PlanOptions;
  private readonly models: ReadonlyMap<string, HashedInput>;
  private readonly hashes: ContentHashes;

  constructor(
    recipe: Recipe,
    options: PlanOptions,
    models: ReadonlyMap<string, HashedInput>,
    hashes: ContentHashes,
  ) {
    this.recipe = recipe;
    this.options = options;
    this.models = models;
    this.hashes = hashes;
  }

  async add(stage: RecipeStage): Promise<void> {
    const command = knownCommand(stage, this.options.stages ?? everyStage);
    this.refuseUnknownNames(stage);
    const seed = stage.seed ?? this.options.seed;
    const checked = checkOptions(stage, command, { seed, out: 'out' });
    const { hashed, paths, files, pathWords } = await this.resolveInputs(stage, command, checked);
    const key = keyOf(command, hashed, this.options.version);
    const folder = join(resolve(this.options.out), `${stage.name}-${key.slice(0, 8)}`);
    const names = namesReferredTo(Object.values(checked).flat());
    this.stages.push({
      name: stage.name,
      command,
      key,
      folder,
      options: { ...paths, ...this.ownOptions(command, folder) },
      words: toWords(command, checked),
      pathWords,
      reads: [...names, ...files],
      needs: names.filter((name) => this.stages.some((earlier) => earlier.name === name)),
    });
  }

  private ownOptions(command: Stage, folder: string): Record<string, unknown> {
    const has = (name: string) => hasOption(command, name);
    const { threads } = this.options;
    return { ...(has('out') && { out: shown(folder) }), ...(has('threads') && threads && { threads }) };
  }

  private refuseUnknownNames(stage: RecipeStage): void {
    for (const { value, where } of stage.options.values()) {
      for (const name of namesReferredTo(value)) this.refuseUnknownName(name, where);
    }
  }

  private refuseUnknownName(name: string, where: string): void {
    const known = [...this.models.keys(), ...this.stages.map((stage) => stage.name)];
    if (known.includes(name)) return;
    const comesLater = this.recipe.stages.some((stage) => stage.name === name);
    throw new UserError({
      where,
      expected: `a model or an earlier stage (${known.join(', ') || 'there is none'})`,
      found: comesLater ? `\${${name}}, which is not earlier` : `unknown \${${name}}`,
      advice: comesLater ? `moving the stage ${name} up` : nearestWord(name, known),
    });
  }

  /** Each option twice: as content, for the key, and as paths, for the command. */
  private async resolveInputs(stage: RecipeStage, command: Stage, checked: Record<string, unknown>) {
    const [files, pathWords]: [string[], string[]] = [[], []];
    const [hashed, paths]: [Record<string, unknown>, Record<string, unknown>] = [{}, {}];
    for (const option of command.options) {
      const value = checked[option.name];
      if (value === undefined) continue;
      const inputs = await this.plainInputs(stage, option, value);
      files.push(...[...inputs.values()].map(({ path }) => shown(path)));
      if (inputs.size > 0 || namesReferredTo(value).length > 0) pathWords.push(option.word);
      const written = (spelling: (input: PlainInput) => string) =>
        mapTexts(value, (text) => (inputs.has(text) ? spelling(inputs.get(text)!) : text));
      hashed[option.name] = replaceReferences(
        written(({ sha256, part }) => `input:${sha256}${part}`),
        (name) => this.contentOf(name),
      );
      paths[option.name] = replaceReferences(
        written(({ path, part }) => `${shown(path)}${part}`),
        (name) => shown(this.folderOf(name)),
      );
    }
    return { hashed, paths, files, pathWords };
  }

  /** The texts of a value that name files of the user's. */
  private async plainInputs(stage: RecipeStage, option: OptionSpec, value: unknown) {
    const inputs = new Map<string, PlainInput>();
    const given = stage.options.get(option.word);
    if (!given) return inputs;
    for (const text of textsOf(value)) {
      const named = inputNamedBy(option.holds, text);
      if (!named) continue;
      const hashed = await this.hashes.input(resolve(given.folder, named.path), given.where);
      inputs.set(text, { part: named.part, ...hashed });
    }
    return inputs;
  }

  private contentOf(name: string): string {
    const model = this.models.get(name);
    return model ? `model:${model.sha256}` : `stage:${this.stageNamed(name).key}`;
  }

  private folderOf(name: string): string {
    return this.models.get(name)?.path ?? this.stageNamed(name).folder;
  }

  private stageNamed(name: string): PlannedStage {
    return this.stages.find((stage) => stage.name === name)!;
  }
}

function keyOf(command: Stage, hashed: Record<string, unknown>, version: string): string {
  const options = Object.entries(hashed)
    .filter(([name, value]) => !freeOptions.includes(name) && value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const content = [keyFormat, version, command.name, command.revision ?? 0, options];
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

function toWords({ options }: Stage, checked: Record<string, unknown>): Record<string, unknown> {
  const stored = options.filter(({ name }) => !freeOptions.includes(name) && checked[name] !== undefined);
  return Object.fromEntries(stored.map(({ name, word }) => [word, checked[name]]));
}

/** A path as it is shown and stored: relative when it lies below the current folder. */
export function shown(path: string): string {
  const below = relative(process.cwd(), path);
  return below === '' || below === '..' || below.startsWith(`..${sep}`) ? path : below;
}
