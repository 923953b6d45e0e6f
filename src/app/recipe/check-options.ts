// A stage's options as its command's schema sees them. Whatever the schema refuses is reported with file, line, stage and
// key, before anything runs.

import type { z } from 'zod';
import { nearestWord, UserError } from '../../engine/errors.ts';
import type { OptionSpec } from '../stages/options.ts';
import { hasOption, type Stage } from '../stages/stage.ts';
import type { GivenOption, RecipeStage } from './recipe.ts';

/** Options that the runner sets itself. */
const ownOptions = ['out', 'resume'];

/**
 * @param seed for a command that has a seed and was given none
 * @param out  the stage's folder
 * @returns every option by its name in code, defaults included; references are still in the texts
 * @throws UserError for an unknown option and for a value that the schema refuses
 */
export function checkOptions(
  stage: RecipeStage,
  command: Stage,
  { seed, out }: { seed: number; out: string },
): Record<string, unknown> {
  const values: Record<string, unknown> = {
    ...(hasOption(command, 'seed') && { seed }),
    ...(hasOption(command, 'out') && { out }),
  };
  for (const [word, { value, where }] of stage.options) {
    const { name, isList } = knownOption(word, where, command);
    if (ownOptions.includes(name)) throw ownOption(word, where);
    if (value !== null && value !== undefined) values[name] = isList ? [value].flat() : value;
  }
  const { success, data, error } = command.schema.safeParse(values);
  if (success) return data;
  throw refusedValue(stage, command, error.issues[0]);
}

/** @throws UserError naming the nearest command */
export function knownCommand(stage: RecipeStage, commands: readonly Stage[]): Stage {
  const command = commands.find(({ name }) => name === stage.command);
  if (command) return command;
  const names = commands.map(({ name }) => name);
  throw new UserError({
    where: stage.where,
    expected: `a command (${names.join(', ')})`,
    found: `unknown ${stage.command}`,
    advice: nearestWord(stage.command, names),
  });
}

function knownOption(word: string, where: string, command: Stage): OptionSpec {
  const option = command.options.find((known) => known.word === word);
  if (option) return option;
  const words = command.options.map((known) => known.word);
  throw new UserError({
    where,
    expected: `an option of heed ${command.name}`,
    found: `an unknown one, ${word}`,
    advice: nearestWord(word, words) ?? `one of ${words.join(', ')}`,
  });
}

function ownOption(word: string, where: string): UserError {
  return new UserError({
    where,
    expected: 'options of the stage alone',
    found: `${word}, which the runner sets`,
    advice: 'leaving it out; --out of heed run is the folder of all stages',
  });
}

function refusedValue(stage: RecipeStage, command: Stage, issue: z.core.$ZodIssue): UserError {
  const option = command.options.find(({ name }) => name === issue.path[0]);
  if (!option) return misfit(stage.where, issue);
  const given = stage.options.get(option.word);
  if (!given || given.value === null) return missingOption(stage, option);
  const advice = option.choices && nearestWord(String(given.value), option.choices);
  const expected = issue.code === 'custom' ? issue.message : option.expected;
  return new UserError({ where: given.where, expected, found: written(given), advice });
}

/** Options that do not go together. A schema may say what it found by `params.found` of its issue. */
export function misfit(where: string, issue: z.core.$ZodIssue): UserError {
  const found = issue.code === 'custom' ? issue.params?.found : undefined;
  return new UserError({ where, expected: issue.message, found: found ?? 'these options' });
}

function missingOption({ where, command }: RecipeStage, { word, description }: OptionSpec): UserError {
  return new UserError({
    where,
    expected: `${word} for heed ${command} (${description})`,
    found: 'none',
    advice: `a key ${word}`,
  });
}

function written({ value }: GivenOption): string {
  return JSON.stringify(value) ?? String(value);
}
