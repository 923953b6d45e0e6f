// From the words after `heed` to a command and its resolved options: defaults < --config < flags.

import { CommanderError, Option, Command as Parser } from 'commander';
import { nearestWord, UserError } from '../../engine/errors.ts';
import { misfit } from '../recipe/check-options.ts';
import { type OptionSpec, optionSpecs } from '../stages/options.ts';
import type { Command } from './command.ts';
import { type GivenValue, readConfig } from './config-file.ts';

export interface Invocation {
  command: Command;
  /** Every option, defaults included. */
  options: Record<string, unknown>;
  isDryRun: boolean;
}

export interface Output {
  version: string;
  /** Receives --help and --version. */
  write(text: string): void;
}

const frameWords = ['config', 'json', 'dry-run', 'help'];

/**
 * @returns undefined when --help or --version was asked for and has been written
 * @throws UserError for an unknown command or option, and for every value that the command's schema refuses
 */
export function parseArguments(
  words: readonly string[],
  commands: readonly Command[],
  output: Output,
): Invocation | undefined {
  let invocation: Invocation | undefined;
  const root = new Parser('heed')
    .version(output.version)
    .description('Train a language model to follow instructions and to answer the way people prefer.');
  makeGroup(root);
  for (const command of commands) {
    const specs = optionSpecs(command.options);
    const parser = addParser(root, command);
    for (const option of specs.flatMap(flags)) parser.addOption(option);
    if (command.positional) parser.argument(`[${command.positional}]`);
    addFrameOptions(parser, command);
    parser.action(() => {
      invocation = resolve(command, specs, parser);
    });
  }
  forEachParser(root, (parser) => {
    parser.exitOverride().configureOutput({ writeOut: output.write, writeErr: () => {} });
  });
  try {
    root.parse(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw refusedByParser(error);
  }
  return invocation;
}

/** `tokenizer train` becomes `train` below a group `tokenizer`. */
function addParser(root: Parser, { name, description }: Command): Parser {
  const words = name.split(' ');
  let parent = root;
  for (const word of words.slice(0, -1)) {
    parent = parent.commands.find((group) => group.name() === word) ?? makeGroup(parent.command(word));
  }
  const parser = parent.command(words.at(-1)!).description(description);
  // Unknown options are collected as arguments: heed refuses them in its own words.
  return parser.allowUnknownOption().allowExcessArguments();
}

/** A parser that only holds others: anything else said to it is an unknown command. */
function makeGroup(parser: Parser): Parser {
  return parser
    .usage('<command> [options]')
    .helpCommand(true)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => {
      const word = parser.args.find((argument) => !argument.startsWith('-'));
      if (word === undefined && parser.args.length === 0) parser.help();
      const known = parser.commands.map((command) => command.name());
      const path = [...ancestors(parser), ''].join(' ');
      throw new UserError({
        where: `${path}${word ?? parser.args[0]}`,
        expected: `a command (${known.join(', ')})`,
        found: `unknown ${word ?? parser.args[0]}`,
        advice: nearestWord(word ?? '', known) ?? `${path}--help`,
      });
    });
}

function ancestors(parser: Parser): string[] {
  return parser.parent ? [...ancestors(parser.parent), parser.name()] : [parser.name()];
}

function forEachParser(parser: Parser, act: (parser: Parser) => void): void {
  act(parser);
  for (const child of parser.commands) forEachParser(child, act);
}

function addFrameOptions(parser: Parser, { plan }: Command): void {
  const shown = plan?.shows ?? 'the options';
  parser
    .addOption(
      new Option('--config <file>', 'YAML file of options: the same names without dashes; flags override it'),
    )
    .addOption(
      new Option('--json', 'print the result to stdout as one line of JSON, and everything else to stderr'),
    )
    .addOption(new Option('--dry-run', `check and print ${shown}, without running`));
}

function flags(spec: OptionSpec): Option[] {
  const flag = `--${spec.word}`;
  const description = described(spec);
  if (spec.kind === 'boolean') {
    const negation = new Option(`--no-${spec.word}`, `not ${flag}`).hideHelp(spec.defaultValue !== true);
    return [new Option(flag, description), negation];
  }
  const placeholder = spec.choices || spec.kind === 'string' ? 'text' : 'number';
  return [new Option(`${flag} <${placeholder}${spec.isList ? '...' : ''}>`, description)];
}

function described({ description, choices, defaultValue, isRequired }: OptionSpec): string {
  const hasDefault = defaultValue !== undefined && defaultValue !== false && [defaultValue].flat().length > 0;
  const notes = [
    choices ? choices.join(', ') : '',
    isRequired ? 'required' : '',
    hasDefault ? `default: ${[defaultValue].flat().join(' ')}` : '',
  ].filter(Boolean);
  return notes.length > 0 ? `${description} (${notes.join('; ')})` : description;
}

function resolve(command: Command, specs: readonly OptionSpec[], parser: Parser): Invocation {
  const { config, dryRun = false, json: _, ...given } = parser.opts();
  const words = takePositional(command, parser.args, given);
  refuseArguments(command, specs, words);
  const values = config ? readConfig(config, command, specs) : new Map<string, GivenValue>();
  for (const spec of specs) {
    if (given[spec.name] === undefined) continue;
    values.set(spec.name, { value: fromText(spec, given[spec.name]), where: `--${spec.word}` });
  }
  return { command, options: check(command, specs, values), isDryRun: dryRun };
}

/** Gives the first bare word to the option that may go without its flag. @returns the other words */
function takePositional(
  { positional }: Command,
  words: readonly string[],
  given: Record<string, unknown>,
): readonly string[] {
  if (!positional || given[positional] !== undefined || !words[0] || words[0].startsWith('-')) return words;
  given[positional] = words[0];
  return words.slice(1);
}

/** Words that are no option's value: an unknown flag, or something where no argument is expected. */
function refuseArguments(command: Command, specs: readonly OptionSpec[], words: readonly string[]): void {
  if (words.length === 0) return;
  const flag = words.find((word) => word.startsWith('-'))?.split('=')[0];
  const known = [...specs.map(({ word }) => word), ...frameWords].map((word) => `--${word}`);
  throw new UserError({
    where: flag ?? words[0],
    expected: `an option of heed ${command.name}`,
    found: flag ? 'an unknown one' : 'a word that belongs to no option',
    advice: (flag && nearestWord(flag, known)) ?? `heed ${command.name} --help`,
  });
}

/** What does not read as a number stays text, for the schema to refuse. */
function fromText(spec: OptionSpec, given: unknown): unknown {
  if (Array.isArray(given)) return given.map((item) => fromText(spec, item));
  if (typeof given !== 'string' || spec.kind === 'string' || given.trim() === '') return given;
  const number = Number(given);
  return Number.isNaN(number) ? given : number;
}

function check(
  command: Command,
  specs: readonly OptionSpec[],
  given: ReadonlyMap<string, GivenValue>,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const { name, isList } of specs) {
    const value = given.get(name)?.value;
    if (given.has(name)) values[name] = isList && !Array.isArray(value) ? [value] : value;
  }
  const { success, data, error } = command.options.safeParse(values);
  if (success) return data;
  const [issue] = error.issues;
  const spec = specs.find(({ name }) => name === issue.path[0]);
  if (!spec) throw misfit(`heed ${command.name}`, issue);
  throw refusedValue(command, spec, given.get(spec.name), issue);
}

function refusedValue(
  command: Command,
  spec: OptionSpec,
  given: GivenValue | undefined,
  issue: { code?: string; message: string },
): UserError {
  const expected = issue.code === 'custom' ? issue.message : spec.expected;
  if (!given) {
    const what = spec.description ? ` (${spec.description})` : '';
    const advice = `--${spec.word} <${spec.isList ? 'values' : 'value'}>, or ${spec.word}: in --config`;
    return new UserError({
      where: `heed ${command.name}`,
      expected: `--${spec.word}${what}`,
      found: 'none',
      advice,
    });
  }
  const [found, choice] = [
    JSON.stringify(given.value),
    spec.choices && nearestWord(String(given.value), spec.choices),
  ];
  return new UserError({ where: given.where, expected, found, advice: choice });
}

function refusedByParser(error: CommanderError): Error {
  const flag = /--[a-z0-9-]+/.exec(error.message)?.[0];
  if (error.code !== 'commander.optionMissingArgument' || !flag) return error;
  return new UserError({ where: flag, expected: 'a value after it', found: 'nothing' });
}
