// What the methods that are compared used for themselves, each against their mean: whether their budgets are alike.

import { comparedNames, type MethodCost, type Report, type StageCost, stageOf } from './report-json.ts';

export function methodCosts(stages: readonly StageCost[]): Report['costs']['methods'] {
  const own = comparedNames.flatMap((name) => {
    const stage = stages.find((each) => each.name === stageOf(name));
    if (!stage) return [];
    const tokens = (stage.tokens_generated ?? 0) + (stage.tokens_trained ?? 0);
    return [{ name, seconds: stage.seconds ?? 0, peak_memory_bytes: stage.peak_memory_bytes, tokens }];
  });
  const mean = (key: 'seconds' | 'tokens') => own.reduce((sum, cost) => sum + cost[key], 0) / own.length;
  const [seconds, tokens] = [mean('seconds'), mean('tokens')];
  return Object.fromEntries(
    own.map(({ name, ...cost }): [string, MethodCost] => [
      name,
      {
        ...cost,
        share_of_mean: {
          ...(seconds > 0 && { seconds: cost.seconds / seconds }),
          ...(tokens > 0 && { tokens: cost.tokens / tokens }),
        },
      },
    ]),
  );
}
