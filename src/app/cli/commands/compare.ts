// heed compare: what changed between models that answered the same requests.

import { z } from 'zod';
import type { Changes, CompareResult } from '../../../align/evaluation/compare.ts';
import { defineCommand } from '../command.ts';
import { showInterval } from '../interval-text.ts';
import type { Terminal } from '../terminal.ts';

export const compare = defineCommand({
  name: 'compare',
  description: 'changes between models that answered the same requests, pair by pair',
  options: z.object({
    evals: z.array(z.string()).min(1).describe('folders that heed eval wrote'),
    baseline: z.string().describe('the evaluation that the others are compared with'),
  }),
  async run({ evals, baseline }, terminal) {
    const { compareEvaluations } = await import('../../../align/evaluation/compare.ts');
    const result = await compareEvaluations(evals, baseline);
    showComparisons(result, terminal);
    return result;
  },
});

const titles: { readonly [K in keyof Required<Changes>]: string } = {
  pass_rate: 'pass_rate',
  gold: 'gold',
  win_rate: 'win_rate',
  readability: 'readability (both pass)',
  proxy: 'proxy',
  kl: 'kl',
  length: 'length',
  eos_rate: 'eos_rate',
  coaching: 'coaching right',
};

/** A row for each figure and evaluation; a win rate of 0.5 is no change, and has no sign. */
function showComparisons({ baseline, comparisons }: CompareResult, terminal: Terminal): void {
  const names = Object.keys(titles) as (keyof Changes)[];
  const rows = comparisons.flatMap(({ evals, changes }) =>
    names.flatMap((name) => {
      const change = changes[name];
      const sign = name === 'win_rate' ? 'auto' : 'always';
      return change ? [[evals, titles[name], showInterval(change, sign), change.n]] : [];
    }),
  );
  terminal.table(['evaluation', 'figure', `change from ${baseline} [95%]`, 'pairs'], rows);
}
