// A row as people check it: its text, cut where training begins and ends.

import type { PromptTokenizer } from '../../language/text/prompt-tokenizer.ts';
import type { TokenRow } from './token-row.ts';

export interface DescribedSpan {
  text: string;
  trained: boolean;
}

/** The row's text in spans of trained and untrained tokens, special tokens by name. */
export function describeRow(row: TokenRow, tokenizer: PromptTokenizer): DescribedSpan[] {
  const spans: DescribedSpan[] = [];
  let start = 0;
  for (let end = 1; end <= row.ids.length; end++) {
    if (end < row.ids.length && row.isTrained[end] === row.isTrained[start]) continue;
    const text = tokenizer.decode(Array.from(row.ids.subarray(start, end)), { skipSpecial: false });
    spans.push({ text, trained: row.isTrained[start] === 1 });
    start = end;
  }
  return spans;
}
