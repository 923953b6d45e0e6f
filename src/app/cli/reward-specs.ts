// --reward as it is typed: a folder, FILE.js#NAME (or .ts) or kata:NAME, each with an optional weight such as *0.5.

import { z } from 'zod';
import type { RewardSpec } from '../../align/rollouts/rewards.ts';
import { UserError } from '../../engine/errors.ts';

export const rewardOptions = {
  reward: z
    .array(z.string())
    .min(1)
    .describe(
      'what answers are worth: folders of reward models, FILE.js#NAME or FILE.ts#NAME, kata:readability|pass|gold; *0.5 weighs one',
    ),
};

const kataRewards = ['readability', 'pass', 'gold'];

/** @throws UserError for a reward of kata that there is not, or a weight that is no number */
export function parseRewards(words: readonly string[]): RewardSpec[] {
  return words.map((word) => {
    const [, place, factor] = /^(.+?)(?:\*([^*]+))?$/.exec(word) ?? [];
    if (place === undefined) throw fault(word, 'a reward', 'nothing');
    const weight = factor === undefined ? 1 : Number(factor);
    if (!Number.isFinite(weight)) throw fault(word, 'a number after *', factor);
    return { ...sourceOf(place), weight };
  });
}

function sourceOf(place: string): RewardSpec {
  const world = /^kata:(.*)$/.exec(place);
  if (world) {
    const [, name] = world;
    if (!kataRewards.includes(name)) throw fault(place, `kata:${kataRewards.join(', kata:')}`, name);
    return { module: new URL('../../align/worlds/kata/rewards.js', import.meta.url).href, name };
  }
  const [, module, name] = /^(.+\.[cm]?[jt]s)#(\w+)$/.exec(place) ?? [];
  return module === undefined ? { model: place } : { module, name };
}

function fault(word: string, expected: string, found: string): UserError {
  return new UserError({ where: `--reward ${word}`, expected, found });
}
