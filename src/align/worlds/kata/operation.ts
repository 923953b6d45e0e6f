// What problems are made of: an operation turns one kind of value into another. It knows its code, its words in
// English and Korean, and nothing of what it computes: that is said independently in meaning.ts.

export type Kind = 'number' | 'text' | 'numbers' | 'words' | 'truth';

/** Where an operation's constant comes from; numbers within [least, most], or one of a list of strings. */
export const parameters = {
  factor: { least: 2, most: 9 },
  amount: { least: 1, most: 12 },
  count: { least: 2, most: 4 },
  bound: { least: 1, most: 12 },
  divisor: { least: 3, most: 7 },
  ceiling: { least: 6, most: 20 },
  length: { least: 2, most: 5 },
  letter: ['a', 'e', 'i', 'o', 'n', 'r', 's', 't', 'l'],
  separator: ['-', ',', '+', '/', ':'],
} as const satisfies Record<string, { least: number; most: number } | readonly string[]>;
export type ParameterKind = keyof typeof parameters;

export const families = ['arithmetic', 'strings', 'lists', 'conditions', 'loops', 'algorithms'] as const;
export type Family = (typeof families)[number];

/** A piece of code for a value (an expression) and a parameter (a literal or a name). */
type Code = (value: string, parameter: string) => string;
/** Lines that declare `result`; `value` is a name. */
type Lines = (value: string, parameter: string, result: string) => string[];

export interface Operation {
  from: Kind;
  to: Kind;
  parameter?: ParameterKind;
  /** The family of problems that have it, when it is telling. */
  family?: Family;
  /** As an expression; an operation without it has only `loop`. */
  code?: Code;
  /** Whether the expression needs parentheses before something can be appended. */
  loose?: boolean;
  loop?: Lines;
  /** What its value is called in readable code. */
  result: string;
  /** Verb phrases after "Please …"; `{k}` is the parameter. The first is also used in comments. */
  english: readonly [string, ...string[]];
  /** A verb phrase that instruction data never has. */
  heldOutEnglish: string;
  /** Connective forms ("…고"); `{k}`, or with a particle `{k을}`, `{k로}`. */
  korean: readonly [string, ...string[]];
  /** How often it is drawn, relative to others of its kind. Default 1. */
  weight?: number;
}

type ListKind = 'numbers' | 'words';
const itemNames: Readonly<Record<ListKind, string>> = { numbers: 'value', words: 'word' };
/** What an operation is apart from how it is written. */
type Words = Pick<Operation, 'result' | 'english' | 'heldOutEnglish' | 'korean'> &
  Partial<Pick<Operation, 'parameter' | 'family' | 'weight'>>;

/** An operation that keeps the items for which `test` holds. */
export function keeping(from: ListKind, test: Code, words: Words): Operation {
  const item = itemNames[from];
  return {
    from,
    to: from,
    code: (value, k) => `${value}.filter((${item}) => ${test(item, k)})`,
    loop: (value, k, result) => [
      `const ${result} = [];`,
      `for (const ${item} of ${value}) {`,
      `  if (${test(item, k)}) ${result}.push(${item});`,
      '}',
    ],
    ...words,
  };
}

/** An operation that puts `change` of each item in its place. */
export function changing([from, to]: [ListKind, ListKind], change: Code, words: Words): Operation {
  const item = itemNames[from];
  return {
    from,
    to,
    code: (value, k) => `${value}.map((${item}) => ${change(item, k)})`,
    loop: (value, k, result) => [
      `const ${result} = [];`,
      `for (const ${item} of ${value}) {`,
      `  ${result}.push(${change(item, k)});`,
      '}',
    ],
    ...words,
  };
}

/** An operation that is one expression. */
export function expressing([from, to]: [Kind, Kind], code: Code, words: Words): Operation {
  return { from, to, code, ...words };
}

/** An expression with an operator of its own at the top. */
export function computing(kinds: [Kind, Kind], code: Code, words: Words): Operation {
  return { ...expressing(kinds, code, words), loose: true };
}

/** An operation that takes a loop to say. */
export function looping([from, to]: [Kind, Kind], loop: Lines, words: Words): Operation {
  return { from, to, loop, ...words };
}

/** An expression that many would write as a loop. */
export function folding(kinds: [Kind, Kind], code: Code, loop: Lines, words: Words): Operation {
  return { ...expressing(kinds, code, words), loop };
}
