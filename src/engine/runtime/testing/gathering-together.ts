// Workers in one process, for tests: each call of `gather` waits until all have called it.

import { gatheringWorkers, type Workers } from '../workers.ts';

export function gatheringTogether(size: number): Workers[] {
  let values = new Map<number, unknown>();
  let waiting: (() => void)[] = [];
  const gather = async (rank: number, value: unknown): Promise<unknown[]> => {
    const round = values;
    round.set(rank, structuredClone(value));
    if (round.size < size) await new Promise<void>((resolve) => waiting.push(resolve));
    else {
      const others = waiting;
      [values, waiting] = [new Map(), []];
      for (const resolve of others) resolve();
    }
    return Array.from({ length: size }, (_, i) => structuredClone(round.get(i)));
  };
  return Array.from({ length: size }, (_, rank) =>
    gatheringWorkers({ rank, size }, (value) => gather(rank, value) as never),
  );
}
