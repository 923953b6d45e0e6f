// Tables of single figures, and the mark of a cell without one.

import { type Bilingual, plain, say } from '../bilingual.ts';
import type { Block, Cell } from '../document.ts';

export const nothing: Cell = { text: { en: '–', ko: '–' } };

export function figureTable(rows: readonly { name: Bilingual; text: string }[]): Block {
  return {
    kind: 'table',
    columns: [
      { label: say('figure.name'), isNumber: false },
      { label: say('figure.value'), isNumber: true },
    ],
    rows: rows.map(({ name, text }) => [{ text: name }, { text: plain(text) }]),
  };
}
