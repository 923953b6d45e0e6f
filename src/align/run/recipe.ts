// A run's recipe: the command and every resolved option, written so that `--config recipe.yaml` repeats the run.
// Keys are the flags' words: `maxSteps` in code is `--max-steps` on the command line and `max-steps` in YAML.

import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { parse, stringify } from 'yaml';
import { FormatError } from '../../engine/errors.ts';

export interface Recipe {
  command: string;
  /** Resolved options by their name in code; an undefined one is not written to the file. */
  options: Readonly<Record<string, unknown>>;
}

/** `maxSteps` → `max-steps`: the one spelling of an option outside code. */
export function optionWord(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

export function recipeText({ command, options }: Recipe): string {
  return stringify({ command, ...recipeWords(options) });
}

/** @throws FormatError when the file is not a recipe */
export function readRecipeWords(path: string): Record<string, unknown> {
  const words = parseRecipe(path);
  if (typeof words === 'object' && words !== null && 'command' in words)
    return words as Record<string, unknown>;
  throw new FormatError({ where: path, expected: 'a recipe with a key command', found: 'something else' });
}

/** The words (command included) whose values differ between a written recipe and the one asked for. */
export function differingWords(
  written: Record<string, unknown>,
  asked: Recipe,
  free: readonly string[],
): string[] {
  // Through YAML and back, so that both sides are what a file can say.
  const wanted: Record<string, unknown> = parse(recipeText(asked));
  const words = new Set([...Object.keys(written), ...Object.keys(wanted)]);
  return [...words].filter((word) => !free.includes(word) && !isDeepStrictEqual(written[word], wanted[word]));
}

function recipeWords(options: Recipe['options']): Record<string, unknown> {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [optionWord(name), value]));
}

function parseRecipe(path: string): unknown {
  try {
    return parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new FormatError(
      { where: path, expected: 'a readable recipe', found: (error as Error).message.split('\n')[0] },
      { cause: error },
    );
  }
}
