// Changes between models that were evaluated on the same prompts.

import { z } from 'zod';
import type { Changes, CompareResult, compareEvaluations } from '../../align/evaluation/compare.ts';
import { showInterval } from './interval-text.ts';
import { text, texts } from './options.ts';
import { defineStage, jobOf } from './stage.ts';
import { table } from './summary.ts';

export const compare = defineStage({
  name: 'compare',
  description: 'paired changes between models evaluated on the same prompts',
  schema: z.object({
    evals: texts('input', 'folders written by heed eval'),
    baseline: text('input', 'evaluation to compare the others with'),
  }),
  job: jobOf<typeof compareEvaluations>(
    new URL('../../align/evaluation/compare.js', import.meta.url),
    'compareEvaluations',
  ),
  summary: ({ baseline, comparisons }) => [
    table(
      ['evaluation', 'figure', `change from ${baseline} [95%]`, 'pairs'],
      comparisons.flatMap(({ evals, changes }) => rowsOf(changes).map((row) => [evals, ...row])),
    ),
  ],
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

/** A row for each figure; a win rate of 0.5 is no change, and has no sign. */
function rowsOf(changes: CompareResult['comparisons'][number]['changes']): (string | number)[][] {
  return (Object.keys(titles) as (keyof Changes)[]).flatMap((name) => {
    const change = changes[name];
    const sign = name === 'win_rate' ? 'auto' : 'always';
    return change ? [[titles[name], showInterval(change, sign), change.n]] : [];
  });
}
