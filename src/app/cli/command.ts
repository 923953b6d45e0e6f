// A command is data: its name, a schema of its options, and what it does. Flags, --help, the keys of --config
// and every refusal are derived from the schema, so that they cannot disagree.

import { z } from 'zod';
import { optionWord } from '../../align/run/recipe.ts';
import type { Terminal } from './terminal.ts';

export interface Command<Schema extends z.ZodObject = z.ZodObject> {
  /** As typed after `heed`: `sft`, `tokenizer train`. */
  name: string;
  /** One line for --help. */
  description: string;
  /**
   * Options by camel-case name, each with `.describe()`: strings, numbers, booleans, enums and arrays of these.
   * `maxSteps` is `--max-steps` on the command line and `max-steps` in YAML.
   */
  options: Schema;
  /** An option whose value may stand alone: `heed run recipe.yaml`. */
  positional?: string;
  /** Part of a recipe stage's key: raised when the same options come to give another result. */
  revision?: number;
  /** What --dry-run shows and --json prints, where that is more than the options. */
  plan?(options: z.output<Schema>, terminal: Terminal): Promise<object>;
  /**
   * @param signal aborts at the first SIGINT or SIGTERM: save and return, or throw its reason
   * @returns what --json prints
   */
  run(options: z.output<Schema>, terminal: Terminal, signal: AbortSignal): Promise<object>;
}

/** Gives `run` the types of `options`. */
export function defineCommand<Schema extends z.ZodObject>(command: Command<Schema>): Command {
  return command;
}

type Kind = 'string' | 'number' | 'integer' | 'boolean';

/** An option as people see it. */
export interface OptionSpec {
  /** In code, such as `maxSteps`. */
  name: string;
  /** Outside code, such as `max-steps`. */
  word: string;
  kind: Kind;
  isList: boolean;
  isRequired: boolean;
  choices: readonly string[] | undefined;
  description: string;
  defaultValue: unknown;
  /** What a value must be, such as `an integer, at least 1`. */
  expected: string;
}

interface PropertySchema {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: string[];
  items?: PropertySchema;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minItems?: number;
}

export function optionSpecs(schema: z.ZodObject): OptionSpec[] {
  const { properties, required } = z.toJSONSchema(schema, { io: 'input' });
  return Object.entries(properties ?? {}).map(([name, property]) =>
    optionSpec(name, property as PropertySchema, required?.includes(name) ?? false),
  );
}

function optionSpec(name: string, property: PropertySchema, isRequired: boolean): OptionSpec {
  const isList = property.type === 'array';
  const item = isList ? property.items! : property;
  return {
    name,
    word: optionWord(name),
    kind: kindOf(name, item.type),
    isList,
    isRequired,
    choices: item.enum,
    description: property.description ?? '',
    defaultValue: property.default,
    expected: isList ? `a list, each ${expectation(item)}` : expectation(item),
  };
}

function kindOf(name: string, type: string | undefined): Kind {
  if (type === 'string' || type === 'number' || type === 'integer' || type === 'boolean') return type;
  throw new Error(`Option ${name}: a flag cannot carry ${type ?? 'a value of several types'}`);
}

function expectation(item: PropertySchema): string {
  if (item.enum) return `one of ${item.enum.join(', ')}`;
  const noun = { string: 'text', number: 'a number', integer: 'an integer', boolean: 'true or false' }[
    item.type as Kind
  ];
  return [noun, ...bounds(item)].join(', ');
}

function bounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: PropertySchema): string[] {
  const isBound = (value: number | undefined) =>
    value !== undefined && Math.abs(value) < Number.MAX_SAFE_INTEGER;
  return [
    isBound(minimum) ? `at least ${minimum}` : '',
    isBound(exclusiveMinimum) ? `above ${exclusiveMinimum}` : '',
    isBound(maximum) ? `at most ${maximum}` : '',
    isBound(exclusiveMaximum) ? `below ${exclusiveMaximum}` : '',
  ].filter(Boolean);
}
