// Problems: a composition, hidden tests and a place in the training or the held-out part.
//
// The split goes by composition, not by constants: two problems whose solutions are equal after renaming names and
// literals lie in the same part. A composition becomes a problem only if its tests tell it from its neighbours: every
// step omitted, every constant moved by one, every two steps swapped, constants and echoes of the input must fail.

import {
  argumentStep,
  type Composition,
  drawComposition,
  evaluate,
  familyOf,
  kindsAlong,
  type SourceKind,
} from './composition.ts';
import { Dice } from './dice.ts';
import { Unfit, type Value } from './meaning.ts';
import type { Family } from './operation.ts';
import { operationNames, operations } from './operations.ts';
import { argumentDomain } from './signature.ts';
import { skeleton } from './skeleton.ts';
import { solution } from './solutions.ts';

export type Split = 'train' | 'held-out';

/** One call of `solve` and what it must return. */
export interface KataTest {
  input: Value[];
  expected: Value;
}

export interface Problem {
  /** `kata-<split>-<seed>-<index>`; `problemById` makes the same problem again. */
  id: string;
  family: Family;
  composition: Composition;
  /** Equal for problems whose solutions differ in names and literals only. */
  key: string;
  split: Split;
  tests: KataTest[];
}

const HELD_OUT_SHARE = 0.15;
const MOST_TESTS = 12;
const CANDIDATES = 24;
/** Tests that every problem has, whatever they tell apart. */
const LEAST_TESTS = 6;

/**
 * The `index`-th problem of a part. The same arguments give the same problem, whatever was made before.
 * @param seed a non-negative integer
 * @param index from 0, below 2^31
 */
export function makeProblem(seed: number, index: number, split: Split): Problem {
  const dice = new Dice(seed, 'problems', 2 * index + (split === 'train' ? 0 : 1));
  for (;;) {
    const composition = drawComposition(dice);
    const key = keyOf(composition, dice);
    if (splitOf(key) !== split) continue;
    const tests = drawTests(composition, dice);
    if (!tests || (split === 'held-out' && isToldInTraining(composition, tests, dice))) continue;
    const family = familyOf(composition);
    return { id: `kata-${split}-${seed}-${index}`, family, composition, key, split, tests };
  }
}

/**
 * Lessons tell what each operation does by itself, and steps in another order may be the same function: also where
 * their kinds do not fit, as words are turned round by the same code as numbers.
 */
function isToldInTraining({ source, steps }: Composition, tests: readonly KataTest[], dice: Dice): boolean {
  if (steps.length === 1) return true;
  return steps.slice(1).some((_, i) => {
    const other = { source, steps: swapped(steps, i) };
    return tests.every((test) => isPassedBy(other, test)) && splitOf(keyOf(other, dice)) === 'train';
  });
}

function isPassedBy(composition: Composition, { input, expected }: KataTest): boolean {
  try {
    return JSON.stringify(evaluate(composition, input)) === JSON.stringify(expected);
  } catch {
    return false;
  }
}

/** By the chained style: other styles tell more compositions apart, so none crosses the split. */
function keyOf(composition: Composition, dice: Dice): string {
  return skeleton(solution(composition, 'chained', dice));
}

/** A composition of the training part, for text that needs no tests. */
export function drawTrainingComposition(dice: Dice): Composition {
  for (;;) {
    const composition = drawComposition(dice);
    if (splitOf(keyOf(composition, dice)) === 'train') return composition;
  }
}

/** @throws Error when there can be no such problem */
export function problemById(id: string): Problem {
  const parts = /^kata-(train|held-out)-(\d+)-(\d+)$/.exec(id);
  if (!parts) throw new Error(`no problem is called ${id}`);
  return makeProblem(Number(parts[2]), Number(parts[3]), parts[1] as Split);
}

/** FNV-1a over the key, so that the part does not depend on any seed. */
function splitOf(key: string): Split {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32 < HELD_OUT_SHARE ? 'held-out' : 'train';
}

const edges: Readonly<Record<SourceKind, readonly Value[]>> = {
  numbers: [[], [7]],
  words: [[], ['tree']],
  text: ['', 'a'],
  number: [1, 0],
};

const vocabulary = (
  'apple banana cherry tree river stone level noon radar kayak green silver ocean train letter note art ' +
  'sun star rain lion tiger nest oil salt ant eel ice rose lane trial real sail toast onion lesson robot ' +
  'island eleven refer civic album balloon coffee committee'
).split(' ');

function drawInput(source: SourceKind, dice: Dice): Value {
  if (source === 'number') return dice.chance(0.6) ? dice.between(0, 18) : dice.between(19, 120);
  if (source === 'numbers') {
    const spread = dice.pick([6, 15, 30]);
    return Array.from({ length: dice.between(1, 9) }, () =>
      dice.between(dice.chance(0.3) ? -spread : 0, spread),
    );
  }
  if (source === 'words') {
    const words = Array.from({ length: dice.between(1, 7) }, () => dice.pick(vocabulary));
    return dice.chance(0.4) ? [...words, words[0]] : words;
  }
  const words = Array.from({ length: dice.between(1, 4) }, () => dice.pick(vocabulary));
  const text = dice.chance(0.3) ? [...words, words[0]].join(' ') : words.join(' ');
  return dice.chance(0.25) ? text[0].toUpperCase() + text.slice(1) : text;
}

type Outputs = (string | undefined)[];
/** What a function that is easily taken for the right one gives for the i-th input. */
type Rival = (i: number) => string | undefined;

/** Tests that no neighbour of the composition passes, or nothing if there are none. */
function drawTests(composition: Composition, dice: Dice): KataTest[] | undefined {
  const inputs = candidateInputs(composition, dice);
  const outputs = inputs.map((input) => outputOf(composition, input));
  const fit = inputs.flatMap((_, i) => (outputs[i] === undefined ? [] : [i]));
  if (fit.length < CANDIDATES / 2) return undefined;
  const rivals: Rival[] = [
    ...neighbours(composition).map((other) => (i: number) => outputOf(other, inputs[i])),
    (i) => JSON.stringify(inputs[i][0]),
    ...[...new Set(outputs)].map((constant) => () => constant),
  ];
  const chosen = new Set(isTwoValued(composition) ? balanced(fit, outputs) : fit.slice(0, LEAST_TESTS));
  for (const rival of rivals) {
    if ([...chosen].some((i) => rival(i) !== outputs[i])) continue;
    const telling = fit.find((i) => rival(i) !== outputs[i]);
    if (telling === undefined || chosen.size >= MOST_TESTS) return undefined;
    chosen.add(telling);
  }
  if (chosen.size < LEAST_TESTS) return undefined;
  const leastDistinct = isTwoValued(composition) ? 2 : 3;
  if (new Set([...chosen].map((i) => outputs[i])).size < leastDistinct) return undefined;
  return [...chosen].map((i) => ({ input: inputs[i], expected: JSON.parse(outputs[i]!) }));
}

/** Answers 'yes' or 'no', 'big' or 'small': nothing more than two different outputs can be asked for. */
function isTwoValued({ steps }: Composition): boolean {
  const last = steps[steps.length - 1].operation;
  return operations[last].to === 'truth' || last === 'sayYes' || last === 'sayBig' || last === 'sayEven';
}

/** As many of the one output as of the other, so that guessing fails. */
function balanced(fit: readonly number[], outputs: Outputs): number[] {
  const ofFirst = fit.filter((i) => outputs[i] === outputs[fit[0]]);
  const ofSecond = fit.filter((i) => !ofFirst.includes(i));
  const each = Math.min(ofFirst.length, ofSecond.length, MOST_TESTS / 2 - 1);
  return [...ofFirst.slice(0, each), ...ofSecond.slice(0, each)];
}

function candidateInputs(composition: Composition, dice: Dice): Value[][] {
  const step = argumentStep(composition);
  const domain = step && argumentDomain(step);
  return Array.from({ length: CANDIDATES }, (_, i) => {
    const edge = edges[composition.source][i];
    const input = edge ?? drawInput(composition.source, dice);
    return domain ? [input, dice.between(domain.least, domain.most)] : [input];
  });
}

/** As JSON, or nothing where the composition has no meaning; −0 reads 0. */
function outputOf(composition: Composition, input: readonly Value[]): string | undefined {
  try {
    return JSON.stringify(evaluate(composition, input));
  } catch (error) {
    if (error instanceof Unfit) return undefined;
    throw error;
  }
}

/** Compositions that are easily taken for this one. */
function neighbours(composition: Composition): Composition[] {
  const { source, steps } = composition;
  const kinds = kindsAlong(composition);
  const found: Composition[] = [];
  const propose = (changed: Composition['steps']) => found.push({ source, steps: changed });
  steps.forEach((step, i) => {
    if (kinds[i] === kinds[i + 1]) propose(steps.filter((_, j) => j !== i));
    if (typeof step.parameter === 'number') {
      for (const change of [-1, 1]) {
        propose(steps.with(i, { ...step, parameter: step.parameter + change }));
      }
    }
  });
  // Steps that may change places without effect have one order only: the table's. Otherwise a solution of the one
  // order would solve the other.
  for (const i of swappable(composition)) {
    if (rank(steps[i].operation) > rank(steps[i + 1].operation)) propose(swapped(steps, i));
  }
  return found;
}

/** Places of steps that could change places with the next: what goes in and out of both is of one kind. */
function swappable(composition: Composition): number[] {
  const kinds = kindsAlong(composition);
  return [...composition.steps.keys()].filter(
    (i) => i + 1 < composition.steps.length && kinds[i] === kinds[i + 1] && kinds[i + 1] === kinds[i + 2],
  );
}

function swapped(steps: Composition['steps'], i: number): Composition['steps'] {
  return [...steps.slice(0, i), steps[i + 1], steps[i], ...steps.slice(i + 2)];
}

function rank(name: (typeof operationNames)[number]): number {
  return operationNames.indexOf(name);
}
