// How a problem's function is called: the names of its parameters, and literals.

import { argumentStep, type Composition, type Step } from './composition.ts';
import type { Value } from './meaning.ts';
import { type ParameterKind, parameters } from './operation.ts';
import { operations } from './operations.ts';

const argumentNames: Readonly<Record<ParameterKind, string>> = {
  factor: 'factor',
  amount: 'amount',
  count: 'count',
  bound: 'limit',
  divisor: 'divisor',
  ceiling: 'limit',
  length: 'width',
  letter: 'letter',
  separator: 'separator',
};

/** What the function's parameters are called: the input after its kind, a second argument after its use. */
export function parameterNames(composition: Composition): string[] {
  const step = argumentStep(composition);
  return step ? [composition.source, argumentName(step)] : [composition.source];
}

export function argumentName({ operation }: Step): string {
  const kind = operations[operation].parameter;
  if (!kind) throw new Error(`${operation} has no parameter`);
  return argumentNames[kind];
}

/** As a JavaScript literal. */
export function quote(value: Value): string {
  if (typeof value === 'string') return `'${value}'`;
  if (Array.isArray(value)) return `[${value.map(quote).join(', ')}]`;
  return String(value);
}

/** Numbers within a parameter's domain, for tests of functions with a second argument. */
export function argumentDomain(step: Step): { least: number; most: number } {
  const kind = operations[step.operation].parameter;
  const domain = kind && parameters[kind];
  if (!domain || !('least' in domain)) throw new Error(`${step.operation} takes no number`);
  return domain;
}
