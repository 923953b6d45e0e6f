// Solutions of a problem in several styles, from readable to ugly. All of them are right; which one people would
// rather read is the criterion of this world (readability.ts).

import { argumentStep, type Composition, evaluate, kindsAlong, type Step } from './composition.ts';
import type { Dice } from './dice.ts';
import { type Parameter, Unfit, type Value } from './meaning.ts';
import { type OperationName, operations } from './operations.ts';
import { describeSteps } from './phrasings.ts';
import { indent, minify, renameDeclared } from './rewriting.ts';
import { argumentName, parameterNames, quote } from './signature.ts';

export const styles = ['clear', 'plain', 'looped', 'chained', 'nested', 'terse', 'cluttered'] as const;
export type Style = (typeof styles)[number];

function parameterCode(step: Step): string {
  if (step.parameter === 'argument') return argumentName(step);
  return step.parameter === undefined ? '' : quote(step.parameter as Parameter);
}

/**
 * A right solution, as a function `solve`.
 * @param dice decides what a style leaves open (a comment's words, which dead code)
 */
export function solution(composition: Composition, style: Style, dice: Dice): string {
  return writers[style](composition, dice);
}

const writers: Readonly<Record<Style, (composition: Composition, dice: Dice) => string>> = {
  clear: (composition, dice) =>
    wrap(composition, [
      comment(composition, dice),
      ...guard(composition),
      ...statements(composition, { loops: false }),
    ]),
  plain: (composition) => wrap(composition, statements(composition, { loops: false })),
  looped: (composition, dice) =>
    wrap(composition, [
      ...(dice.chance(0.5) ? [comment(composition, dice)] : []),
      ...guard(composition),
      ...statements(composition, { loops: true }),
    ]),
  chained: (composition) => wrap(composition, chain(composition)),
  nested,
  terse: (composition) =>
    minify(renameDeclared(wrap(composition, chain(composition)), (i) => String.fromCharCode(97 + i))),
  cluttered,
};

function wrap(composition: Composition, body: readonly string[]): string {
  return [`function solve(${parameterNames(composition).join(', ')}) {`, ...indent(body), '}'].join('\n');
}

function comment(composition: Composition, dice: Dice): string {
  const words = describeSteps(composition).replace(/ \((\d|aeiou|empty|-1)[^)]*\)/g, '');
  return dice.chance(0.8) ? `// ${words[0].toUpperCase()}${words.slice(1)}.` : `// Goal: ${words}.`;
}

/** What empty input gives, when that is one value. */
function valueOfNothing(composition: Composition): Value | undefined {
  const [kind] = kindsAlong(composition);
  if (kind === 'number' || argumentStep(composition)) return undefined;
  try {
    return evaluate(composition, [kind === 'text' ? '' : []]);
  } catch (error) {
    if (error instanceof Unfit) return undefined;
    throw error;
  }
}

/** Nothing for nothing; other values would be riddles at the head of a function. */
function guard(composition: Composition): string[] {
  const value = valueOfNothing(composition);
  if (value === undefined || !['0', "''", '[]'].includes(quote(value))) return [];
  return [`if (${composition.source}.length === 0) return ${quote(value)};`];
}

/** A statement a step. */
function statements(composition: Composition, { loops }: { loops: boolean }): string[] {
  const lines: string[] = [];
  let value: string = composition.source;
  composition.steps.forEach((step, i) => {
    const { code, loop, result } = operations[step.operation];
    const k = parameterCode(step);
    const isLast = i === composition.steps.length - 1;
    if (loop && (loops || !code)) {
      lines.push(...loop(value, k, result), ...(isLast ? [`return ${result};`] : []));
    } else {
      lines.push(isLast ? `return ${code!(value, k)};` : `const ${result} = ${code!(value, k)};`);
    }
    value = result;
  });
  return lines;
}

/** As few statements as can be: a step's expression stands in the next one's. */
function chain({ source, steps }: Composition): string[] {
  const lines: string[] = [];
  let value: string = source;
  let isLoose = false;
  steps.forEach((step, i) => {
    const { code, loop, result, loose = false } = operations[step.operation];
    const k = parameterCode(step);
    const before = steps[i - 1];
    if (before && value !== operations[before.operation].result && !takesExpression(step.operation)) {
      lines.push(`const ${operations[before.operation].result} = ${value};`);
      value = operations[before.operation].result;
      isLoose = false;
    }
    if (code) value = code(isLoose ? `(${value})` : value, k);
    else {
      lines.push(...loop!(value, k, result));
      value = result;
    }
    isLoose = loose;
  });
  return [...lines, `return ${value};`];
}

/** Whether the operation's code names its value once, so that an expression may stand there. */
function takesExpression(name: OperationName): boolean {
  return operations[name].code?.('@', '0').split('@').length === 2;
}

function nested(composition: Composition): string {
  const value = valueOfNothing(composition);
  const test =
    value === undefined ? `${composition.source} !== undefined` : `${composition.source}.length > 0`;
  const body = statements(composition, { loops: true }).map((line) =>
    line.replace(/^(const|let) /, 'var ').replace(/^return (.*);$/, 'result = $1;'),
  );
  return wrap(composition, [
    'var result;',
    `if (${test}) {`,
    ...indent(body),
    '} else {',
    `  result = ${quote(value ?? 0)};`,
    '}',
    'return result;',
  ]);
}

/** Names that say nothing, by the place of their declaration. */
const poorNames: readonly ((position: number) => string)[] = [
  (i) => `x${i || ''}`,
  (i) => `tmp${i || ''}`,
  (i) => `data${i || ''}`,
  (i) => ['foo', 'bar', 'baz', 'qux'][i] ?? `foo${i}`,
  (i) => String.fromCharCode(97 + i).repeat(2),
];
const deadLines = [
  'var unused = 42;',
  'let flag = false;',
  'if (false) { return null; }',
  'let counter = 0; counter = counter;',
  '// alert(x)',
  ';;',
] as const;

function cluttered(composition: Composition, dice: Dice): string {
  const poorName = dice.pick(poorNames);
  const [first, second] = dice.shuffled(deadLines);
  const body = [
    first,
    ...statements(composition, { loops: false }),
    ...(dice.chance(0.5) ? ['return null;'] : []),
  ];
  const lines = [...body.slice(0, 1), second, ...body.slice(1)];
  const ragged = lines.map(
    (line) => ' '.repeat(dice.between(0, 3)) + (dice.chance(0.5) ? tighten(line) : line),
  );
  const code = [`function solve(${parameterNames(composition).join(',')}){`, ...ragged, '}'].join('\n');
  return renameDeclared(code, poorName);
}

/** Without spaces around operators, strings excepted. */
function tighten(line: string): string {
  return line.trimStart().startsWith('//') ? line : minify(line);
}
