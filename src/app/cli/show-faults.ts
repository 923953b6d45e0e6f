// Faulty rows on the terminal: the first few by name, then only their number.

import type { RowFault } from '../../align/data/read.ts';
import type { Terminal } from './terminal.ts';

const namedFaults = 10;

/** @returns what to call for each row that is skipped, and once at the end */
export function showFaults(terminal: Terminal): { add: (fault: RowFault) => void; finish: () => void } {
  let count = 0;
  return {
    add({ file, line, offset, reason }) {
      if (count++ < namedFaults) terminal.warn(`${file}:${line}: skipped: ${reason} (byte ${offset})`);
    },
    finish() {
      if (count > namedFaults) terminal.warn(`${count} faulty rows skipped in total`);
    },
  };
}
