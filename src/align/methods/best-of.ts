// Which of a prompt's answers is learnt from, and what choosing gained.

import { Random } from '../../engine/random.ts';

/** One answer, as a line of a round's samples file. */
export interface Sample {
  /** Place of the prompt in the data, from 0, and of the answer among its own, from 0. */
  prompt: number;
  sample: number;
  /** As they were drawn, the end-of-text token included. */
  ids: number[];
  text: string;
  /** False where the answer was cut off at the most tokens: nobody should learn to answer so. */
  hasEos: boolean;
  reward: number;
}

export type Pick = 'best' | 'random';

/**
 * One answer to each prompt that leaves a choice: the best of all rounds, or any. A prompt is skipped when all its
 * finished answers have one reward (they may be one and the same answer), or when none is finished.
 * @param rounds samples of each round, in order
 * @returns in the order of the prompts
 */
export function pickAnswers(
  rounds: readonly (readonly Sample[])[],
  pick: Pick,
  seed: number,
): { chosen: Sample[]; dropped: number } {
  const candidates = byPrompt(rounds.flat());
  const random = new Random(seed, 'rollouts');
  const chosen = candidates.flatMap((all) => {
    const finished = all.filter(({ hasEos }) => hasEos);
    if (finished.every(({ reward }) => reward === finished[0].reward)) return [];
    if (pick === 'random')
      return [finished[random.integer(finished.length, rounds.length, finished[0].prompt)]];
    return [finished.reduce((best, sample) => (sample.reward > best.reward ? sample : best))];
  });
  return { chosen, dropped: candidates.length - chosen.length };
}

/** Samples of each prompt, in their order. */
function byPrompt(samples: readonly Sample[]): Sample[][] {
  const groups = new Map<number, Sample[]>();
  for (const sample of samples) {
    const group = groups.get(sample.prompt);
    if (group) group.push(sample);
    else groups.set(sample.prompt, [sample]);
  }
  return [...groups.values()];
}

/** What one round's own samples were worth: means over prompts of their answers' rewards. */
export interface RoundGain {
  mean: number;
  median: number;
  max: number;
  /** max − median: what the choice of the best has to give. */
  gain: number;
}

export function roundGain(samples: readonly Sample[]): RoundGain {
  const rewards = byPrompt(samples).map((own) => own.map(({ reward }) => reward).sort((a, b) => a - b));
  const mean = average(rewards.map(average));
  const median = average(rewards.map(middle));
  const max = average(rewards.map((own) => own.at(-1)!));
  return { mean, median, max, gain: max - median };
}

function middle(sorted: readonly number[]): number {
  const half = sorted.length / 2;
  return (sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2;
}

export function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
