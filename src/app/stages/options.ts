// The options of a stage or command as people and programs see them, derived from its schema: flags, --help, YAML keys,
// refusals and forms agree because they are all read from here.

import { z } from 'zod';
import { optionWord } from '../../align/run/recipe.ts';

/**
 * What an option's text stands for: the folder of a model, another file or folder to read, a reward (a model's folder,
 * FILE.js#NAME or kata:NAME, with a weight), where to write, or only words.
 */
export type TextKind = 'model' | 'input' | 'reward' | 'output' | 'words';

/** An option that takes a text. */
export const text = (holds: TextKind, description: string) => z.string().meta({ holds, description });

/** An option that takes one text or more. */
export const texts = (holds: TextKind, description: string) =>
  z.array(z.string()).min(1).meta({ holds, description });

/** An option that takes any number of texts. */
export const anyTexts = (holds: TextKind, description: string) =>
  z.array(z.string()).default([]).meta({ holds, description });

type Kind = 'string' | 'number' | 'integer' | 'boolean';

export interface OptionSpec {
  /** In code, such as `maxSteps`. */
  name: string;
  /** Outside code, such as `max-steps`. */
  word: string;
  kind: Kind;
  isList: boolean;
  isRequired: boolean;
  choices: readonly string[] | undefined;
  /** Of an option that takes any text. */
  holds: TextKind | undefined;
  description: string;
  defaultValue: unknown;
  /** What a value must be, such as `an integer, at least 1`. */
  expected: string;
}

interface PropertySchema {
  type?: string;
  description?: string;
  holds?: TextKind;
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
    holds: property.holds,
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
