// The scale on which a reward is reported and optimised.

import type { CheckpointRecord } from '../../language/checkpoint/checkpoint-record.ts';

/** (raw − mean) / deviation by the model's own statistics: SFT answers have mean 0 and deviation 1. Raw without them. */
export function standardScores(
  { rewardStatistics }: Pick<CheckpointRecord, 'rewardStatistics'>,
  raw: ArrayLike<number>,
): number[] {
  const { mean, deviation } = rewardStatistics ?? { mean: 0, deviation: 1 };
  return Array.from(raw, (score) => (score - mean) / (deviation || 1));
}
