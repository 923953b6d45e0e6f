// What a stage says at its end, as data that the terminal, the studio and a server each show in their own way. Texts may
// hold what a model or a file said: whoever shows them makes them safe.

import type { Interval } from '../../align/scoring/intervals.ts';
import { showInterval } from './interval-text.ts';

export type SummaryBlock =
  | { kind: 'line'; text: string }
  | { kind: 'table'; header: readonly string[]; rows: readonly (readonly (string | number)[])[] }
  /** What a model said; without a heading where it is the only completion. */
  | { kind: 'completion'; heading?: string; text: string }
  /** Beside the result, not part of it. */
  | { kind: 'note'; text: string }
  | { kind: 'warning'; text: string };

export type Summary = readonly SummaryBlock[];

export const line = (text: string): SummaryBlock => ({ kind: 'line', text });

export const table = (
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): SummaryBlock => ({ kind: 'table', header, rows });

/** A row for each measure that is there: its name, value with 95% interval, and number of cases. */
export function intervalTable(
  title: string,
  measures: readonly (readonly [name: string, interval: Interval | undefined])[],
): SummaryBlock {
  const rows = measures.flatMap(([name, interval]) =>
    interval ? [[name, showInterval(interval), interval.n]] : [],
  );
  return table([title, 'value [95%]', 'n'], rows);
}
