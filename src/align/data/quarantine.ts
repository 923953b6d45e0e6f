// Where bad rows go: one JSON line a row, so that a person can find, correct and give back each of them.

import type { RowFault } from './read.ts';

/**
 * Turns faults into lines of quarantine.jsonl: file, line, offset, reason and the row's first 200 characters.
 * @param appendLine writes one line, newline included; the caller owns the file
 */
export function quarantineTo(appendLine: (line: string) => void): (fault: RowFault) => void {
  return ({ file, line, offset, reason, raw }) =>
    appendLine(`${JSON.stringify({ file, line, offset, reason, raw })}\n`);
}
