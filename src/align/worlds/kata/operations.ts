// All operations by name.

import { numberListOperations } from './list-operations.ts';
import { numberOperations, truthOperations } from './number-operations.ts';
import type { Kind, Operation } from './operation.ts';
import { textOperations, wordListOperations } from './text-operations.ts';

const all = {
  ...numberListOperations,
  ...wordListOperations,
  ...textOperations,
  ...numberOperations,
  ...truthOperations,
};
export type OperationName = keyof typeof all;

export const operations: Readonly<Record<OperationName, Operation>> = all;
export const operationNames = Object.keys(all) as OperationName[];

/** The operations that begin with a kind of value. */
export const operationsFrom: Readonly<Record<Kind, readonly OperationName[]>> = {
  number: operationNames.filter((name) => operations[name].from === 'number'),
  text: operationNames.filter((name) => operations[name].from === 'text'),
  numbers: operationNames.filter((name) => operations[name].from === 'numbers'),
  words: operationNames.filter((name) => operations[name].from === 'words'),
  truth: operationNames.filter((name) => operations[name].from === 'truth'),
};
