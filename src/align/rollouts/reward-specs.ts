// Rewards as they are written: a folder, FILE.js#NAME (or .ts) or kata:NAME, each with an optional weight such as *0.5.

import { extname } from 'node:path';

import { UserError } from '../../engine/errors.ts';
import type { RewardSpec } from './rewards.ts';

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
    // Beside this file both in the sources and as built.
    const module = new URL(`../worlds/kata/rewards${extname(import.meta.url)}`, import.meta.url).href;
    return { module, name };
  }
  const [, module, name] = /^(.+\.[cm]?[jt]s)#(\w+)$/.exec(place) ?? [];
  return module === undefined ? { model: place } : { module, name };
}

function fault(word: string, expected: string, found: string): UserError {
  return new UserError({ where: `--reward ${word}`, expected, found });
}
