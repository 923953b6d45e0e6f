import { expect, it } from 'vitest';
import { parseRewards } from './reward-specs.ts';

it.each(['js', 'mjs', 'cjs', 'ts', 'mts', 'cts'])(
  'takes a function of a .%s file, and its weight',
  (ending) => {
    expect(parseRewards([`mine/short.${ending}#short*0.5`])).toEqual([
      { module: `mine/short.${ending}`, name: 'short', weight: 0.5 },
    ]);
  },
);

it('takes everything else for the folder of a model', () => {
  expect(parseRewards(['runs/reward.v2#b'])).toEqual([{ model: 'runs/reward.v2#b', weight: 1 }]);
});
