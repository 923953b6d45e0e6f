// What an equation demands of its inputs. Broadcasting would turn [B] and [B,1] into [B,B] without a word, so
// shapes are compared before anything is computed.

import { ShapeError, UserError } from '../../engine/errors.ts';
import { describeType, sameShape, type Tensor } from '../../engine/graph/tensor.ts';

/** One row an answer or a prompt, each as long as it is. */
export type Rows = readonly ArrayLike<number>[];

/** @throws ShapeError unless all are float tensors of the first one's shape (and of that rank, when given) */
export function requireSameShape(
  where: string,
  tensors: Readonly<Record<string, Tensor>>,
  rank?: number,
): void {
  const [[firstName, first], ...others] = Object.entries(tensors);
  if (rank !== undefined && first.shape.length !== rank) {
    throw new ShapeError({
      where: `${where}: ${firstName}`,
      expected: `${rank} axes`,
      found: describeType(first),
    });
  }
  for (const [name, tensor] of [[firstName, first] as const, ...others]) {
    if (tensor.dtype === 'float' && sameShape(tensor.shape, first.shape)) continue;
    throw new ShapeError({
      where: `${where}: ${name}`,
      expected: describeType({ shape: first.shape, dtype: 'float' }),
      found: describeType(tensor),
    });
  }
}

/** @throws ShapeError unless all have as many rows, and each row as many entries, as the first */
export function requireSameRows(where: string, rows: Readonly<Record<string, Rows>>): void {
  const [[firstName, first], ...others] = Object.entries(rows);
  for (const [name, own] of others) {
    if (own.length !== first.length) {
      const expected = `${first.length} rows as in ${firstName}`;
      throw new ShapeError({ where: `${where}: ${name}`, expected, found: `${own.length}` });
    }
    own.forEach((row, b) => {
      if (row.length === first[b].length) return;
      const expected = `${first[b].length} entries as in ${firstName}`;
      throw new ShapeError({ where: `${where}: ${name}, row ${b}`, expected, found: `${row.length}` });
    });
  }
}

/** @throws UserError unless `value` is a finite number above `least` (or at it, when `isIncluded`) */
export function requireAbove(
  where: string,
  value: number,
  least: number,
  { isIncluded = false }: { isIncluded?: boolean } = {},
): void {
  if (Number.isFinite(value) && (value > least || (isIncluded && value === least))) return;
  throw new UserError({
    where,
    expected: `a finite number ${isIncluded ? '≥' : '>'} ${least}`,
    found: `${value}`,
  });
}
