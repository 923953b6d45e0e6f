// A recipe file: models that are there, stages that are commands with options, and what to report. Here only its form
// is checked; every value remembers where it stands. What the stages say is checked by plan-pipeline.ts.

import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { isAlias, isMap, isScalar, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';
import { nearestWord, UserError } from '../../engine/errors.ts';
import { extendRecipe } from './extend-recipe.ts';
import type { Recipe, RecipeModel, RecipeStage } from './recipe.ts';

const recipeKeys = ['name', 'extends', 'seed', 'seeds', 'models', 'stages', 'report'];
const reportNames = ['kata'];
const namePattern = /^[A-Za-z0-9][A-Za-z0-9-]*$/;

/** @throws UserError naming file, line and column of what is not a recipe */
export function readRecipe(path: string): Recipe {
  return readBelow(path, []);
}

/** @param heirs the files that extend this one, absolute */
function readBelow(path: string, heirs: readonly string[]): Recipe {
  const reader = new RecipeReader(path);
  const extended = reader.extended();
  if (!extended) return reader.read();
  const files = [...heirs, resolve(path)];
  if (files.includes(extended.path))
    throw refusal(extended.where, 'another recipe', 'one that extends this one');
  const parent = readBelow(extended.path, files);
  return extendRecipe(parent, reader.read(parent));
}

class RecipeReader {
  private readonly path: string;
  private readonly counter = new LineCounter();
  private readonly document;

  constructor(path: string) {
    this.path = path;
    const options = { lineCounter: this.counter, prettyErrors: false, merge: true };
    this.document = parseDocument(readText(path), options);
  }

  /** The recipe that this one changes, if it names one. */
  extended(): { path: string; where: string } | undefined {
    const root = this.root();
    if (!root.has('extends')) return undefined;
    const [value, where] = [this.value(root, 'extends'), this.at(root, 'extends')];
    if (typeof value !== 'string') throw refusal(where, "a recipe's file", JSON.stringify(value));
    return { path: resolve(dirname(this.path), value), where };
  }

  /** @param parent the recipe that is extended: its stages need no command here */
  read(parent?: Recipe): Recipe {
    const root = this.root();
    const models = this.models(root);
    const stages = parent && !root.has('stages') ? [] : this.stages(root, models, parent);
    return {
      path: this.path,
      name: this.name(root),
      seeds: this.seeds(root, parent),
      models,
      stages,
      ...this.report(root),
    };
  }

  private root(): YAMLMap {
    const [problem] = this.document.errors;
    if (problem) throw refusal(this.place(problem.pos[0]), 'YAML', problem.message.split('\n')[0]);
    const root = this.map(this.document.contents, this.path, 'a recipe with `stages`');
    for (const key of keysOf(root)) {
      if (!recipeKeys.includes(key)) throw this.unknownKey(root, key, recipeKeys);
    }
    return root;
  }

  private name(root: YAMLMap): string {
    const name = root.get('name') ?? basename(this.path).replace(/\.ya?ml$/, '');
    if (typeof name === 'string' && name !== '') return name;
    throw refusal(this.at(root, 'name'), 'a name', JSON.stringify(name));
  }

  private seeds(root: YAMLMap, parent: Recipe | undefined): readonly number[] {
    if (parent && !root.has('seed') && !root.has('seeds')) return parent.seeds;
    const key = root.has('seeds') ? 'seeds' : 'seed';
    const seeds = [this.value(root, key) ?? 0].flat();
    const isSeed = (seed: unknown) => Number.isSafeInteger(seed) && (seed as number) >= 0;
    const isTooMany = key === 'seed' && seeds.length > 1;
    if (seeds.length === 0 || isTooMany || !seeds.every(isSeed))
      throw refusal(this.at(root, key), 'integers, at least 0', JSON.stringify(seeds));
    // Twice the same pipeline would be compared with itself, as if chance had drawn it again.
    if (new Set(seeds).size < seeds.length)
      throw refusal(this.at(root, key), 'each seed once', JSON.stringify(seeds));
    return seeds;
  }

  private report(root: YAMLMap): { report?: string } {
    const report = this.value(root, 'report');
    if (report === undefined || report === null) return {};
    if (typeof report === 'string' && reportNames.includes(report)) return { report };
    throw refusal(this.at(root, 'report'), `one of ${reportNames.join(', ')}`, JSON.stringify(report));
  }

  private models(root: YAMLMap): Map<string, RecipeModel> {
    const models = new Map<string, RecipeModel>();
    if (!root.has('models')) return models;
    const map = this.map(root.get('models', true), this.at(root, 'models'), 'names with folders');
    for (const name of keysOf(map)) models.set(this.named(map, name), this.model(map, name));
    return models;
  }

  /** `base: folder`, or `base: { folder, made-by: recipe }`. */
  private model(map: YAMLMap, name: string): RecipeModel {
    const where = this.at(map, name, `models: ${name}`);
    const value = this.value(map, name);
    const {
      folder,
      'made-by': madeBy,
      ...rest
    } = typeof value === 'string' ? { folder: value } : (value ?? {});
    const isText = (text: unknown) => typeof text === 'string' && text !== '';
    if (!isText(folder) || (madeBy !== undefined && !isText(madeBy)) || Object.keys(rest).length > 0) {
      throw refusal(where, "a model's folder, or { folder, made-by: a recipe }", JSON.stringify(value));
    }
    const absolute = (written: string) => resolve(dirname(this.path), written);
    return { path: absolute(folder), where, ...(madeBy && { madeBy: absolute(madeBy) }) };
  }

  private stages(
    root: YAMLMap,
    models: ReadonlyMap<string, RecipeModel>,
    parent: Recipe | undefined,
  ): RecipeStage[] {
    const place = root.has('stages') ? this.at(root, 'stages') : this.path;
    const map = this.map(root.get('stages', true), place, 'at least one stage below `stages`');
    const names = keysOf(map);
    if (names.length === 0) throw refusal(place, 'at least one stage', 'none');
    const twice = names.find((name) => models.has(name));
    if (twice) throw refusal(this.at(map, twice), 'a name that no model has', twice);
    return names.map((name) => this.stage(map, this.named(map, name), parent));
  }

  private stage(map: YAMLMap, name: string, parent: Recipe | undefined): RecipeStage {
    const where = this.at(map, name, name);
    const node = this.map(map.get(name, true), where, 'a command with its options');
    const inherited = parent?.stages.find((stage) => stage.name === name)?.command;
    const { command = inherited, ...options } = node.toJS(this.document) as Record<string, unknown>;
    if (typeof command !== 'string') throw refusal(where, 'a key command', JSON.stringify(command) ?? 'none');
    const given = Object.entries(options).map(([word, value]) => {
      const place = node.has(word) ? this.at(node, word, `${name}: ${word}`) : `${where}: ${word}`;
      return [word, { value, where: place, folder: resolve(dirname(this.path)) }] as const;
    });
    return { name, command, where, options: new Map(given) };
  }

  private named(map: YAMLMap, name: string): string {
    if (namePattern.test(name)) return name;
    throw refusal(this.at(map, name), 'a name of letters, digits and hyphens', JSON.stringify(name));
  }

  private value(map: YAMLMap, key: string) {
    const node = map.get(key, true) as Node | undefined;
    return node?.toJS(this.document);
  }

  /** Follows an alias. */
  private map(node: unknown, where: string, expected: string): YAMLMap {
    const found = isAlias(node) ? node.resolve(this.document) : node;
    if (isMap(found)) return found as YAMLMap;
    throw refusal(where, expected, found === null || found === undefined ? 'nothing' : 'something else');
  }

  private unknownKey(map: YAMLMap, key: string, known: readonly string[]): UserError {
    const advice = nearestWord(key, known) ?? `one of ${known.join(', ')}`;
    return refusal(this.at(map, key), 'a known key', key, advice);
  }

  /** Where a key stands, with what it is in words. */
  private at(map: YAMLMap, key: string, words = key): string {
    const pair = map.items.find((item) => String(isScalar(item.key) ? item.key.value : item.key) === key);
    return `${this.place((pair?.key as Node | undefined)?.range?.[0])} (${words})`;
  }

  private place(offset = 0): string {
    const { line, col } = this.counter.linePos(offset);
    return `${this.path}:${line}:${col}`;
  }
}

function keysOf(map: YAMLMap): string[] {
  return map.items.map(({ key }) => String(isScalar(key) ? key.value : key)).filter((key) => key !== '<<');
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw refusal(path, 'a readable recipe', (error as Error).message);
  }
}

function refusal(where: string, expected: string, found: string, advice?: string): UserError {
  return new UserError({ where, expected, found, advice });
}
