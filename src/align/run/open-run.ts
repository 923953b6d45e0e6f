// What every training stage does before it reads anything: opens its run folder, and says where faulty rows go.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { JobContext } from '../../engine/runtime/job.ts';
import { alone } from '../../engine/runtime/workers.ts';
import type { RowFault } from '../data/read.ts';
import type { DataReport } from '../data/report.ts';
import { dropReasons, notices } from '../data/token-row.ts';
import { AppendLog } from './append-log.ts';
import type { RunEvent } from './events.ts';
import { RunFolder } from './run-folder.ts';

export interface OpenRun {
  folder: RunFolder;
  /** Gives the folder back. */
  close: () => void;
  /** Keeps a faulty row (file, line, offset, reason, its beginning) in quarantine.jsonl and warns of it. */
  setAside: (fault: RowFault) => void;
  warn: (message: string) => void;
  /** Warns of what the data lost: rows quarantined, and those that the report counts. */
  warnOfRows: (report?: Pick<DataReport, 'dropped' | 'notices' | 'ignoredKeys'>) => void;
}

/** Warnings of single rows shown; the rest are in quarantine.jsonl. */
const shownFaults = 5;

/** @throws UserError when --out cannot be used */
export function openRun(
  command: string,
  options: { out: string; resume: boolean },
  { emit, workers = alone }: JobContext<RunEvent>,
): OpenRun {
  const warn = (message: string) => emit({ type: 'warning', step: 0, message });
  if (workers.rank > 0) return followRun(options.out, warn);
  const folder = RunFolder.open({
    path: options.out,
    recipe: { command, options: { ...options } },
    resume: options.resume,
    free: ['maxSteps', 'keepLast', 'saveEvery'],
    onWarning: warn,
  });
  // Written anew: a resumed run reads its data again.
  const quarantine = join(options.out, 'quarantine.jsonl');
  rmSync(quarantine, { force: true });
  let log: AppendLog | undefined;
  let faults = 0;
  return {
    folder,
    warn,
    close() {
      log?.close();
      folder.close();
    },
    setAside(fault) {
      log ??= new AppendLog(quarantine, warn);
      log.append(fault);
      faults += 1;
      if (faults <= shownFaults) warn(`${fault.file}:${fault.line}: quarantined: ${fault.reason}`);
    },
    warnOfRows(report = { dropped: {}, notices: {}, ignoredKeys: {} }) {
      if (faults > 0) warn(`${faults} faulty rows were quarantined in ${quarantine}`);
      for (const [reason, count] of Object.entries(report.dropped)) {
        warn(`${count} rows skipped: ${dropReasons[reason as keyof typeof dropReasons]}`);
      }
      for (const [notice, count] of Object.entries(report.notices)) {
        warn(`${count} rows: ${notices[notice as keyof typeof notices]}`);
      }
      const ignored = Object.entries(report.ignoredKeys).map(([key, count]) => `${key} (${count} rows)`);
      if (ignored.length > 0) warn(`keys of the data that are not read: ${ignored.join(', ')}`);
    },
  };
}

/** What other workers than the first have of a run: they find the same faults, which the first keeps and reports. */
function followRun(path: string, onWarning: (message: string) => void): OpenRun {
  const folder = RunFolder.follow({ path, onWarning });
  return { folder, close: () => folder.close(), warn() {}, setAside() {}, warnOfRows() {} };
}
