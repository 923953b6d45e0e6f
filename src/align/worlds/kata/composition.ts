// A composition: a kind of input and the operations done to it, in order. Problems are compositions with constants.

import type { Dice } from './dice.ts';
import { apply, type Parameter, type Value } from './meaning.ts';
import { type Family, type Kind, parameters } from './operation.ts';
import { type OperationName, operations, operationsFrom } from './operations.ts';

export type SourceKind = Exclude<Kind, 'truth'>;

export interface Step {
  operation: OperationName;
  /** A constant of the problem; `argument`: the function's second argument; absent if there is nothing to set. */
  parameter?: Parameter | 'argument';
}

export interface Composition {
  source: SourceKind;
  steps: readonly Step[];
}

const sourceWeights = { numbers: 9, text: 6, words: 4, number: 6 } as const;
/** How often a problem has so many steps. */
const lengthWeights = { 1: 1, 2: 6, 3: 10, 4: 4 } as const;
const ARGUMENT_SHARE = 0.12;

/** A random path through the kinds of value; whether it makes a good problem is judged by its tests. */
export function drawComposition(dice: Dice): Composition {
  const source = dice.weighted(sourceWeights);
  const length = Number(dice.weighted(lengthWeights));
  const steps: Step[] = [];
  let kind: Kind = source;
  for (let i = 0; i < length; i++) {
    const operation = drawOperation(dice, { kind, used: steps, isLast: i === length - 1 });
    if (!operation) break;
    steps.push(drawStep(dice, operation, steps));
    kind = operations[operation].to;
  }
  return { source, steps };
}

function drawOperation(
  dice: Dice,
  { kind, used, isLast }: { kind: Kind; used: readonly Step[]; isLast: boolean },
): OperationName | undefined {
  const names = operationsFrom[kind].filter((name) => used.every(({ operation }) => operation !== name));
  if (names.length === 0) return undefined;
  const weights = Object.fromEntries(
    names.map((name) => {
      const { to, weight = 1 } = operations[name];
      // Lists are mostly made into something else at the end, and not before.
      const isReduction = (kind === 'numbers' || kind === 'words') && to !== kind;
      return [name, weight * (isReduction ? (isLast ? 3 : 0.4) : 1)];
    }),
  );
  return dice.weighted(weights) as OperationName;
}

function drawStep(dice: Dice, operation: OperationName, before: readonly Step[]): Step {
  const kind = operations[operation].parameter;
  if (!kind) return { operation };
  const domain = parameters[kind];
  if ('least' in domain) {
    const isTaken = before.some(({ parameter }) => parameter === 'argument');
    if (!isTaken && dice.chance(ARGUMENT_SHARE)) return { operation, parameter: 'argument' };
    return { operation, parameter: dice.between(domain.least, domain.most) };
  }
  return { operation, parameter: dice.pick(domain) };
}

/** The step whose parameter is the function's second argument. */
export function argumentStep({ steps }: Composition): Step | undefined {
  return steps.find(({ parameter }) => parameter === 'argument');
}

/** @throws Unfit when a step has no meaning for what it is given */
export function evaluate({ steps }: Composition, [input, argument]: readonly Value[]): Value {
  let value = input;
  for (const { operation, parameter = 0 } of steps) {
    value = apply(operation, value, parameter === 'argument' ? (argument as Parameter) : parameter);
  }
  return value;
}

/** The kind of value that comes before each step, and at last the kind of the result. */
export function kindsAlong({ source, steps }: Composition): Kind[] {
  return [source, ...steps.map(({ operation }) => operations[operation].to)];
}

/** The first of these that a step tells, else what the input is. */
const tellingFamilies: readonly Family[] = ['algorithms', 'loops', 'conditions'];
const sourceFamilies: Readonly<Record<SourceKind, Family>> = {
  number: 'arithmetic',
  text: 'strings',
  words: 'strings',
  numbers: 'lists',
};

export function familyOf({ source, steps }: Composition): Family {
  const families = steps.map(({ operation }) => operations[operation].family);
  return tellingFamilies.find((family) => families.includes(family)) ?? sourceFamilies[source];
}
