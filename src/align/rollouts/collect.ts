// Language modelling as reinforcement learning: the text so far is the state, the next token the action, an answer an
// episode, and the score comes once, after its last token.

import { UserError } from '../../engine/errors.ts';
import type { GenerationRequest, Generator } from '../../language/generation/generate.ts';
import type { Prompt } from '../data/prompts.ts';
import type { TokenRow } from '../data/token-row.ts';

/** One episode. */
export interface Rollout {
  prompt: Prompt;
  /** Prompt and answer; `isTrained` marks the actions: the answer's tokens, its EOS included. */
  tokens: TokenRow;
  /** The actions alone. */
  actions: readonly number[];
  text: string;
  /** False where the answer was cut off at the most tokens. */
  hasEos: boolean;
  /** log-probability of each action where it was drawn, nats */
  generationLogProbs: Float64Array;
}

export interface RolloutOptions {
  /** Answers to each prompt, side by side in what is returned. */
  samples: number;
  maxTokens: number;
  temperature: number;
  stopIds: readonly number[];
}

/**
 * Answers to prompts, from the policy as it is now.
 * @param seeds one a prompt
 */
export async function collectRollouts(
  generator: Generator,
  prompts: readonly Prompt[],
  seeds: readonly number[],
  { samples, maxTokens, temperature, stopIds }: RolloutOptions,
  signal?: AbortSignal,
): Promise<Rollout[]> {
  const requests = prompts.map(({ ids }, i): GenerationRequest => {
    return { promptIds: ids, samples, maxTokens, seed: seeds[i], sampling: { temperature }, stopIds };
  });
  const completions = await generator.generate(requests, { signal });
  return completions.map(({ request, ids, logProbs, finish, text = '' }) => {
    const prompt = prompts[request];
    return {
      prompt,
      tokens: episodeTokens(prompt, ids),
      actions: ids,
      text,
      hasEos: finish === 'stop',
      generationLogProbs: logProbs,
    };
  });
}

function episodeTokens(prompt: Prompt, actions: readonly number[]): TokenRow {
  const ids = Int32Array.from([...prompt.ids, ...actions]);
  return {
    ids,
    isTrained: Uint8Array.from(ids, (_, i) => Number(i >= prompt.ids.length)),
    source: prompt.source ?? { file: 'prompt', line: 0 },
  };
}

/** @throws UserError unless prompt and answer always fit the context */
export function requireRoom(prompts: readonly Prompt[], maxTokens: number, context: number): void {
  const longest = prompts.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  if (longest + maxTokens <= context) return;
  throw new UserError({
    where: '--max-tokens',
    expected: `at most ${context - longest}: the longest prompt has ${longest} tokens, the context ${context}`,
    found: `${maxTokens}`,
  });
}

/** A seed of its own for each prompt of each step; a whole number below 2^53. */
export function rolloutSeed(seed: number, step: number, index: number): number {
  return ((seed % 2 ** 17) * 2 ** 20 + step) * 2 ** 16 + index;
}
