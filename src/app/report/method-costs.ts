// What the methods that are compared used for themselves, each against their mean: whether their budgets are alike.

import type { MethodCost, Report, StageCost } from './report-json.ts';
import type { StageRole } from './roles.ts';

export function methodCosts(
  stages: readonly StageCost[],
  methods: readonly StageRole[],
): Report['costs']['methods'] {
  const own = comparedStages(stages, methods).map(({ name, seconds = 0, peak_memory_bytes, ...rest }) => {
    return { name, seconds, peak_memory_bytes, tokens: tokensOf(rest) };
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

/** The largest run of each command, the others being variations of it; all, where all are of one command. */
function comparedStages(stages: readonly StageCost[], methods: readonly StageRole[]): StageCost[] {
  const own = stages.filter(({ name }) => methods.some((method) => method.name === name));
  if (new Set(own.map(({ command }) => command)).size < 2) return own;
  return own.filter((stage) => {
    const same = own.filter(({ command }) => command === stage.command);
    return same.toSorted((a, b) => tokensOf(b) - tokensOf(a))[0] === stage;
  });
}

function tokensOf({ tokens_generated = 0, tokens_trained = 0 }: Partial<StageCost>): number {
  return tokens_generated + tokens_trained;
}
