// What each operation computes: the oracle behind the hidden tests. Written for itself, with plain loops, and not
// from the code that solutions are made of, so that a mistake in either shows when solutions are judged.

import type { OperationName } from './operations.ts';

export type Value = number | string | boolean | number[] | string[];
export type Parameter = number | string;

/** The operation has no meaning for this value (such as the digits of a negative number). */
export class Unfit extends Error {}

type Meaning<From extends Value, To extends Value> = (value: From, parameter: Parameter) => To;

function select<T>(items: readonly T[], belongs: (item: T, index: number) => boolean): T[] {
  const selected: T[] = [];
  for (let i = 0; i < items.length; i++) if (belongs(items[i], i)) selected.push(items[i]);
  return selected;
}

function each<T, U>(items: readonly T[], change: (item: T, index: number) => U): U[] {
  const changed: U[] = [];
  for (let i = 0; i < items.length; i++) changed.push(change(items[i], i));
  return changed;
}

function backwards<T>(items: readonly T[]): T[] {
  return each(items, (_, i) => items[items.length - 1 - i]);
}

function ordered<T>(items: readonly T[], precedes: (a: T, b: T) => boolean): T[] {
  const sorted: T[] = [];
  for (const item of items) {
    let place = sorted.length;
    while (place > 0 && precedes(item, sorted[place - 1])) place--;
    sorted.splice(place, 0, item);
  }
  return sorted;
}

function once<T>(items: readonly T[]): T[] {
  return select(items, (item, i) => items.indexOf(item) === i);
}

function from<T>(items: readonly T[], first: number, end: number): T[] {
  return select(items, (_, i) => i >= first && i < end);
}

function glued(items: readonly (string | number)[], separator: string): string {
  let text = '';
  items.forEach((item, i) => {
    text += (i > 0 ? separator : '') + item;
  });
  return text;
}

function extreme(items: readonly number[], beats: (a: number, b: number) => boolean): number {
  if (items.length === 0) return 0;
  let best = items[0];
  for (const item of items) if (beats(item, best)) best = item;
  return best;
}

const letters = (text: string): string[] =>
  each(Array.from({ length: text.length }), (_, i) => text.charAt(i));
const isVowel = (letter: string): boolean => /^[aeiou]$/.test(letter);
const spelledBackwards = (text: string): string => glued(backwards(letters(text)), '');

/** A whole number from 0 up to `most`, or no meaning. */
function whole(value: number, most: number): number {
  if (!Number.isInteger(value) || value < 0 || value > most) throw new Unfit();
  return value;
}

function integer(value: number): number {
  if (!Number.isInteger(value)) throw new Unfit();
  return value;
}

function digitsOf(value: number): number[] {
  const digits: number[] = [];
  let rest = whole(value, 1e9);
  do {
    digits.unshift(rest % 10);
    rest = (rest - (rest % 10)) / 10;
  } while (rest > 0);
  return digits;
}

function commonDivisor(a: number, b: number): number {
  let largest = Math.max(a, b);
  while (largest > 1 && (a % largest !== 0 || b % largest !== 0)) largest--;
  return largest;
}

function collatz(start: number): number {
  if (start < 1) throw new Unfit();
  return start === 1 ? 0 : 1 + collatz(start % 2 === 1 ? 3 * start + 1 : start / 2);
}

const fibonacci = (index: number): number =>
  index < 2 ? index : fibonacci(index - 1) + fibonacci(index - 2);
const upTo = (last: number): number[] => each(Array.from({ length: whole(last, 400) }), (_, i) => i + 1);

const numberLists = {
  keepEven: (list, _) => select(list, (n) => Math.abs(n) % 2 === 0),
  keepOdd: (list, _) => select(list, (n) => Math.abs(n) % 2 === 1),
  keepMultiples: (list, k) => select(list, (n) => Number.isInteger(n / Number(k))),
  dropMultiples: (list, k) => select(list, (n) => !Number.isInteger(n / Number(k))),
  keepAbove: (list, k) => select(list, (n) => n > Number(k)),
  keepBelow: (list, k) => select(list, (n) => n < Number(k)),
  keepEverySecond: (list, _) => select(list, (_n, i) => i % 2 === 0),
  multiplyEach: (list, k) => each(list, (n) => n * Number(k)),
  addToEach: (list, k) => each(list, (n) => n + Number(k)),
  subtractFromEach: (list, k) => each(list, (n) => n - Number(k)),
  squareEach: (list, _) => each(list, (n) => n ** 2),
  absoluteEach: (list, _) => each(list, (n) => (n < 0 ? -n : n)),
  remainderEach: (list, k) => each(list, (n) => n - Math.trunc(n / Number(k)) * Number(k)),
  negateEach: (list, _) => each(list, (n) => 0 - n),
  capEach: (list, k) => each(list, (n) => [n, Number(k)].sort((a, b) => a - b)[0]),
  lengthenOdd: (list, k) => each(list, (n) => (Math.abs(n) % 2 === 1 ? n + Number(k) : n)),
  takeFirst: (list, k) => from(list, 0, Number(k)),
  skipFirst: (list, k) => from(list, Number(k), list.length),
  takeLast: (list, k) => from(list, list.length - Number(k), list.length),
  dropLast: (list, k) => from(list, 0, list.length - Number(k)),
  reverse: (list, _) => backwards(list),
  sortUp: (list, _) => ordered(list, (a, b) => a < b),
  sortDown: (list, _) => ordered(list, (a, b) => a > b),
  unique: (list, _) => once(list),
  runningSums: (list, _) => each(list, (_n, i) => from(list, 0, i + 1).reduce((a, b) => a + b)),
  differences: (list, _) => each(from(list, 1, list.length), (n, i) => n - list[i]),
} satisfies Partial<Record<OperationName, Meaning<number[], number[]>>>;

const numberListResults = {
  sum: (list: number[]) => list.reduce((a, b) => a + b, 0),
  product: (list: number[]) => list.reduce((a, b) => a * b, 1),
  count: (list: number[]) => list.length,
  largest: (list: number[]) => extreme(list, (a, b) => a > b),
  smallest: (list: number[]) => extreme(list, (a, b) => a < b),
  first: (list: number[]) => (list.length === 0 ? 0 : list[0]),
  last: (list: number[]) => (list.length === 0 ? 0 : list[list.length - 1]),
  indexAbove: (list: number[], k: Parameter) => {
    for (let i = 0; i < list.length; i++) if (list[i] > Number(k)) return i;
    return -1;
  },
  anyAbove: (list: number[], k: Parameter) => select(list, (n) => n > Number(k)).length > 0,
  allBelow: (list: number[], k: Parameter) => select(list, (n) => n >= Number(k)).length === 0,
  includes: (list: number[], k: Parameter) => list.indexOf(Number(k)) >= 0,
  joinNumbers: (list: number[], k: Parameter) => glued(list, String(k)),
} satisfies Partial<Record<OperationName, Meaning<number[], Value>>>;

const wordLists = {
  keepLonger: (list: string[], k: Parameter) => select(list, (word) => word.length > Number(k)),
  keepShorter: (list: string[], k: Parameter) => select(list, (word) => word.length < Number(k)),
  keepStarting: (list: string[], k: Parameter) => select(list, (word) => word.charAt(0) === k),
  keepEnding: (list: string[], k: Parameter) => select(list, (word) => word.charAt(word.length - 1) === k),
  keepContaining: (list: string[], k: Parameter) => select(list, (word) => word.indexOf(String(k)) >= 0),
  upperEach: (list: string[]) => each(list, (word) => word.toUpperCase()),
  reverseEach: (list: string[]) => each(list, spelledBackwards),
  initials: (list: string[]) => each(list, (word) => word.charAt(0)),
  appendEach: (list: string[], k: Parameter) => each(list, (word) => `${word}${k}`),
  lengths: (list: string[]) => each(list, (word) => letters(word).length),
  takeFirstWords: (list: string[], k: Parameter) => from(list, 0, Number(k)),
  skipFirstWords: (list: string[], k: Parameter) => from(list, Number(k), list.length),
  reverseWords: (list: string[]) => backwards(list),
  sortWords: (list: string[]) => ordered(list, (a, b) => a < b),
  uniqueWords: (list: string[]) => once(list),
  countWords: (list: string[]) => list.length,
  joinWords: (list: string[], k: Parameter) => glued(list, String(k)),
  longestWord: (list: string[]) => {
    const longest = extreme(
      each(list, (word) => word.length),
      (a, b) => a > b,
    );
    return select(list, (word) => word.length === longest)[0] ?? '';
  },
} satisfies Partial<Record<OperationName, Meaning<string[], Value>>>;

const texts = {
  splitWords: (text: string) => {
    const words = [''];
    for (const letter of letters(text)) {
      if (letter === ' ') words.push('');
      else words[words.length - 1] += letter;
    }
    if (words.includes('')) throw new Unfit();
    return words;
  },
  upper: (text: string) => text.toUpperCase(),
  lower: (text: string) => text.toLowerCase(),
  reverseText: (text: string) => spelledBackwards(text),
  takeStart: (text: string, k: Parameter) => text.substring(0, Number(k)),
  skipStart: (text: string, k: Parameter) => text.substring(Number(k)),
  takeEnd: (text: string, k: Parameter) => text.substring(Math.max(0, text.length - Number(k))),
  keepVowels: (text: string) => glued(select(letters(text), isVowel), ''),
  dropVowels: (text: string) => text.replace(/[aeiou]/g, ''),
  removeLetter: (text: string, k: Parameter) =>
    glued(
      select(letters(text), (letter) => letter !== k),
      '',
    ),
  repeatText: (text: string, k: Parameter) => glued(Array(Number(k)).fill(text), ''),
  uniqueLetters: (text: string) => glued(once(letters(text)), ''),
  sortLetters: (text: string) =>
    glued(
      ordered(letters(text), (a, b) => a < b),
      '',
    ),
  runLengths: (text: string) => text.replace(/(.)\1*/g, (run) => `${run[0]}${run.length}`),
  textLength: (text: string) => letters(text).length,
  countLetter: (text: string, k: Parameter) => select(letters(text), (letter) => letter === k).length,
  indexOfLetter: (text: string, k: Parameter) => letters(text).indexOf(String(k)),
  isPalindrome: (text: string) =>
    letters(text).every((letter, i) => letter === text.charAt(text.length - 1 - i)),
  containsLetter: (text: string, k: Parameter) => letters(text).indexOf(String(k)) >= 0,
} satisfies Partial<Record<OperationName, Meaning<string, Value>>>;

const numbers = {
  add: (n: number, k: Parameter) => n + Number(k),
  subtract: (n: number, k: Parameter) => n - Number(k),
  multiply: (n: number, k: Parameter) => n * Number(k),
  square: (n: number) => n * n,
  remainder: (n: number, k: Parameter) => n - Math.trunc(n / Number(k)) * Number(k),
  divideDown: (n: number, k: Parameter) => (n - (((n % Number(k)) + Number(k)) % Number(k))) / Number(k),
  absolute: (n: number) => (n < 0 ? -n : n),
  cap: (n: number, k: Parameter) => [n, Number(k)].sort((a, b) => a - b)[0],
  floorAt: (n: number, k: Parameter) => [n, Number(k)].sort((a, b) => b - a)[0],
  halveOrAdd: (n: number, k: Parameter) => (Math.abs(integer(n)) % 2 === 1 ? n + Number(k) : n / 2),
  digitSum: (n: number) => digitsOf(n).reduce((a, b) => a + b, 0),
  reverseDigits: (n: number) => digitsOf(n).reduceRight((read, digit) => read * 10 + digit, 0),
  greatestCommonDivisor: (n: number, k: Parameter) => commonDivisor(whole(n, 1e5), Number(k)),
  fibonacci: (n: number) => fibonacci(whole(n, 18)),
  collatzSteps: (n: number) => collatz(whole(n, 1e4)),
  digits: (n: number) => digitsOf(n),
  rangeTo: (n: number) => upTo(n),
  countdown: (n: number) => backwards(upTo(n)),
  multiplesUpTo: (n: number, k: Parameter) => select(upTo(n), (i) => i % Number(k) === 0),
  divisors: (n: number) => select(upTo(n), (i) => n % i === 0),
  isPrime: (n: number) => select(upTo(n), (i) => n % i === 0).length === 2,
  isAbove: (n: number, k: Parameter) => n > Number(k),
  isMultiple: (n: number, k: Parameter) => Number.isInteger(n / Number(k)),
  sayBig: (n: number, k: Parameter) => (n <= Number(k) ? 'small' : 'big'),
  sayEven: (n: number) => (Math.abs(integer(n)) % 2 === 1 ? 'odd' : 'even'),
} satisfies Partial<Record<OperationName, Meaning<number, Value>>>;

const truths = {
  sayYes: (truth: boolean) => (truth ? 'yes' : 'no'),
  oppose: (truth: boolean) => truth === false,
} satisfies Partial<Record<OperationName, Meaning<boolean, Value>>>;

const meanings = { ...numberLists, ...numberListResults, ...wordLists, ...texts, ...numbers, ...truths };
// Every operation has a meaning: this does not compile otherwise.
const complete: Readonly<Record<OperationName, (value: never, parameter: Parameter) => Value>> = meanings;

const LARGEST = 1e9;

function isInRange(value: Value): boolean {
  if (typeof value === 'number') return Number.isFinite(value) && Math.abs(value) <= LARGEST;
  if (typeof value === 'boolean') return true;
  if (typeof value === 'string') return value.length <= 200;
  return value.length <= 100 && (value as Value[]).every(isInRange);
}

/**
 * What an operation makes of a value of its kind.
 * @throws Unfit when that is undefined, or larger than a test should be
 */
export function apply(name: OperationName, value: Value, parameter: Parameter): Value {
  const result = (complete[name] as (value: Value, parameter: Parameter) => Value)(value, parameter);
  if (!isInRange(result)) throw new Unfit();
  return result;
}
