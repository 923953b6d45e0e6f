// KTO's reference point: how far the policy has gone from the reference on completions that have nothing to do with their
// prompts. Ethayarajh et al. 2024 (arXiv:2402.01306), section 4.1.

import { UserError } from '../../engine/errors.ts';
import type { TokenRow } from '../data/token-row.ts';
import type { CompletionRow } from './preference-run.ts';

/**
 * For each row its prompt with a completion of the next other prompt of the data; of pairs, the completions of every second are
 * the rejected ones, so that good and bad come equally often. One too long for the context is cut.
 * @throws UserError when all rows have the same prompt
 */
export function mismatchedCompletions(rows: readonly CompletionRow[], context: number): TokenRow[] {
  const prompts = rows.map(({ completions: [answer] }) =>
    Array.from(answer.ids.subarray(0, promptLength(answer))),
  );
  const names = prompts.map((ids) => ids.join());
  return rows.map(({ completions: [{ source }] }, i) => {
    const { completions } = rows[nextOther(names, i)];
    const other = completions[i % completions.length];
    const answer = other.ids.subarray(promptLength(other), promptLength(other) + context - prompts[i].length);
    const ids = Int32Array.from([...prompts[i], ...answer]);
    const isTrained = Uint8Array.from(ids, (_, t) => Number(t >= prompts[i].length));
    return { ids, isTrained, source };
  });
}

const promptLength = ({ isTrained }: TokenRow): number => isTrained.indexOf(1);

function nextOther(names: readonly string[], from: number): number {
  for (let step = 1; step < names.length; step++) {
    const at = (from + step) % names.length;
    if (names[at] !== names[from]) return at;
  }
  throw new UserError({
    where: 'kto: reference point',
    expected: 'rows of two different prompts at least',
    found: 'a single prompt',
    advice: 'heed dpo, which compares completions of one prompt',
  });
}
