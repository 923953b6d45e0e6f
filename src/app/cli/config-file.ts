// --config FILE: the options of one command in YAML. Keys are the flags' words without dashes (`max-steps: 100`),
// so that a run's recipe.yaml is a config file too. Every value remembers where it stands.

import { readFileSync } from 'node:fs';
import { isMap, isScalar, LineCounter, type Pair, parseDocument } from 'yaml';
import { optionWord } from '../../align/run/recipe.ts';
import { nearestWord, UserError } from '../../engine/errors.ts';
import type { OptionSpec } from '../stages/options.ts';
import type { Command } from './command.ts';

export interface GivenValue {
  value: unknown;
  /** `--max-steps`, or `train.yaml:3:1`. */
  where: string;
}

/**
 * Values by option name.
 * @throws UserError with file:line:column for anything but known keys, or a `command` other than the one asked for
 */
export function readConfig(
  path: string,
  command: Command,
  specs: readonly OptionSpec[],
): Map<string, GivenValue> {
  const counter = new LineCounter();
  const document = parseDocument(read(path), { lineCounter: counter, prettyErrors: false });
  const place = (offset: number | undefined) => {
    const { line, col } = counter.linePos(offset ?? 0);
    return `${path}:${line}:${col}`;
  };
  const [problem] = document.errors;
  if (problem) throw refusal(place(problem.pos[0]), 'YAML', firstLine(problem.message));
  if (document.contents === null) return new Map();
  if (!isMap(document.contents)) {
    throw refusal(
      place(document.contents.range?.[0]),
      'keys and values, such as `seed: 1`',
      'something else',
    );
  }
  const values = new Map<string, GivenValue>();
  for (const pair of document.contents.items) {
    const { key, offset } = keyOf(pair);
    const value = isYamlNode(pair.value) ? pair.value.toJS(document) : pair.value;
    if (key === 'command') refuseOtherCommand(place(offset), command.name, value);
    else values.set(knownName(place(offset), key, specs), { value, where: `${place(offset)} (${key})` });
  }
  return values;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw refusal(`--config ${path}`, 'a readable YAML file', (error as Error).message);
  }
}

function keyOf(pair: Pair): { key: string; offset: number | undefined } {
  if (isScalar(pair.key)) return { key: String(pair.key.value), offset: pair.key.range?.[0] };
  return { key: String(pair.key), offset: undefined };
}

function isYamlNode(value: unknown): value is { toJS(document: unknown): unknown } {
  return typeof value === 'object' && value !== null && 'toJS' in value;
}

function refuseOtherCommand(where: string, command: string, found: unknown): void {
  if (found !== command) throw refusal(where, `command: ${command}`, JSON.stringify(found), `heed ${found}`);
}

function knownName(where: string, key: string, specs: readonly OptionSpec[]): string {
  const spec = specs.find(({ word }) => word === key);
  if (spec) return spec.name;
  const words = specs.map(({ word }) => word);
  const nearest = nearestWord(optionWord(key), words);
  throw refusal(where, 'a known key', key, nearest ?? `one of ${words.join(', ')}`);
}

function refusal(where: string, expected: string, found: string, advice?: string): UserError {
  return new UserError({ where, expected, found, advice });
}

function firstLine(text: string): string {
  return text.split('\n')[0];
}
