// What became of a data set's rows, for people and for the run's record.

import type { Fingerprint } from './fingerprint.ts';
import type { RowFault } from './read.ts';
import { type DropReason, dropReasons, type Notice, type RowSource, type TokenRow } from './token-row.ts';

export interface DataReport {
  /** All rows: kept, dropped, and those that could not be read. */
  rows: number;
  kept: number;
  /** Readable rows that cannot be trained on, by reason. */
  dropped: Partial<Record<DropReason, number>>;
  /** Rows quarantined: those that could not be read, and those dropped for more than their length. */
  faults: number;
  /** Things that a person may want to know about kept rows. */
  notices: Partial<Record<Notice, number>>;
  /** Keys of the rows that heed does not read, with how many rows say something there; of turns as `turns.KEY`. */
  ignoredKeys: Record<string, number>;
  tokens: number;
  trainedTokens: number;
  /** Of kept sequences, in tokens; the 95th percentile is the smallest length that 95% do not exceed. */
  lengths: { min: number; median: number; p95: number; max: number };
  files: Fingerprint[];
}

/** Counts rows as they come. */
export class DataTally {
  private kept = 0;
  private faults = 0;
  private unreadable = 0;
  private firstUnreadable: RowFault | undefined;
  private readonly dropped: Partial<Record<DropReason, number>> = {};
  private readonly firstDropped: Partial<Record<DropReason, RowSource>> = {};
  private readonly notices: Partial<Record<Notice, number>> = {};
  private readonly ignored = new Map<string, number>();
  private readonly lengths: number[] = [];
  private trainedTokens = 0;

  addUnreadable(fault: RowFault): void {
    this.firstUnreadable ??= fault;
    this.unreadable++;
    this.faults++;
  }

  addDropped(reason: DropReason, source: RowSource): void {
    this.firstDropped[reason] ??= source;
    this.dropped[reason] = (this.dropped[reason] ?? 0) + 1;
  }

  /** A dropped row is quarantined as well. */
  addFault(): void {
    this.faults++;
  }

  addNotice(notice: Notice): void {
    this.notices[notice] = (this.notices[notice] ?? 0) + 1;
  }

  addIgnored(key: string): void {
    this.ignored.set(key, (this.ignored.get(key) ?? 0) + 1);
  }

  /** One kept row of the data: one sequence, or both of a preference. */
  addKept(sequences: readonly TokenRow[]): void {
    this.kept++;
    for (const { ids, isTrained } of sequences) {
      this.lengths.push(ids.length);
      for (const flag of isTrained) this.trainedTokens += flag;
    }
  }

  get rows(): number {
    return this.kept + this.unreadable + sum(Object.values(this.dropped));
  }

  report(files: Fingerprint[]): DataReport {
    const sorted = Float64Array.from(this.lengths).sort();
    const quantile = (share: number): number =>
      sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
    return {
      rows: this.rows,
      kept: this.kept,
      dropped: { ...this.dropped },
      faults: this.faults,
      notices: { ...this.notices },
      ignoredKeys: Object.fromEntries(this.ignored),
      tokens: sum(this.lengths),
      trainedTokens: this.trainedTokens,
      lengths: { min: quantile(0), median: quantile(0.5), p95: quantile(0.95), max: quantile(1) },
      files,
    };
  }

  /** Why nothing is left, in one line. */
  describeLosses(): string {
    if (this.rows === 0) return 'no rows at all';
    const losses = (Object.keys(this.dropped) as DropReason[]).map((reason) => {
      const { file, line } = this.firstDropped[reason]!;
      return `${this.dropped[reason]} dropped because ${dropReasons[reason]}, the first at ${file}:${line}`;
    });
    if (this.firstUnreadable) {
      const { file, line, reason } = this.firstUnreadable;
      losses.unshift(`${this.unreadable} unreadable, the first at ${file}:${line}: ${reason}`);
    }
    return `none of ${this.rows} (${losses.join('; ')})`;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
