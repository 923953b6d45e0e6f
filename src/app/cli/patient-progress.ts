// A progress line that appears only when the work takes a while.

import type { ProgressLine } from './progress.ts';
import type { Terminal } from './terminal.ts';

const patienceMs = 2000;

/** @returns what to call with how much is done of how much */
export function patientProgress(
  terminal: Terminal,
  { label, unit }: { label: string; unit: string },
): (done: number, total: number) => void {
  const begun = performance.now();
  let line: ProgressLine | undefined;
  return (done, total) => {
    if (performance.now() - begun < patienceMs) return;
    line ??= terminal.progress({ label, unit, total });
    line.update(done);
    if (done === total) line.finish();
  };
}
