// The samples of rejection sampling: answers of the newest model to every prompt, rewarded, a file a round that only
// grows. They are made in chunks of prompts; a chunk that a kill cut off is made again as a whole, so that its batches
// are the same and with them every bit.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import { Generator } from '../../language/generation/generate.ts';
import { collectRollouts, type RolloutOptions, rolloutSeed } from '../rollouts/collect.ts';
import { type PromptedPolicy, toRewarded } from '../rollouts/prompted-policy.ts';
import type { Rewards } from '../rollouts/rewards.ts';
import type { Sample } from './best-of.ts';
import { appendChunk, keepWholeChunks } from './sample-file.ts';

export interface RoundSamplesOptions extends Omit<RolloutOptions, 'stopIds'> {
  out: string;
  seed: number;
  rounds: number;
  generationBatchSize: number;
}

/** Prompts that are sampled and rewarded together. */
const chunkPrompts = 64;

export class RoundSamples {
  private readonly options: RoundSamplesOptions;
  private readonly prompted: PromptedPolicy;
  private readonly rewards: Rewards;
  private readonly backend: Backend;
  private readonly signal: AbortSignal;
  /** Of each round, as far as they are in their files. */
  private readonly known: Sample[][] = [];

  static async open(
    options: RoundSamplesOptions,
    prompted: PromptedPolicy,
    rewards: Rewards,
    backend: Backend,
    signal: AbortSignal,
  ): Promise<RoundSamples> {
    const samples = new RoundSamples(options, prompted, rewards, backend, signal);
    mkdirSync(join(options.out, 'samples'), { recursive: true });
    for (let round = 0; round < options.rounds; round++) {
      samples.known.push((await keepWholeChunks(samples.fileOf(round), samples.chunkSizes())).flat());
    }
    return samples;
  }

  private constructor(
    options: RoundSamplesOptions,
    prompted: PromptedPolicy,
    rewards: Rewards,
    backend: Backend,
    signal: AbortSignal,
  ) {
    this.options = options;
    this.prompted = prompted;
    this.rewards = rewards;
    this.backend = backend;
    this.signal = signal;
  }

  /** Those of the first rounds. @throws UserError when some are not in their files */
  of(rounds: number): readonly (readonly Sample[])[] {
    const expected = this.prompted.prompts.length * this.options.samples;
    const lacking = this.known.slice(0, rounds).findIndex((own) => own.length < expected);
    if (lacking < 0) return this.known.slice(0, rounds);
    throw new UserError({
      where: this.fileOf(lacking),
      expected: `the ${expected} samples that the run has learnt from`,
      found: `${this.known[lacking].length}`,
      advice: 'restoring the file, or starting a new run',
    });
  }

  /** Makes what a round still lacks, with the weights as they are. @throws the signal's reason when it aborts */
  async complete(round: number): Promise<void> {
    const { options, prompted, backend, signal } = this;
    const { samples, generationBatchSize: batchSize } = options;
    const { tokenizer } = prompted.tokenizer;
    const own = this.known[round];
    const generator = new Generator(backend, prompted.policy, { batchSize, tokenizer });
    try {
      for (let from = own.length / samples; from < prompted.prompts.length; from += chunkPrompts) {
        signal.throwIfAborted();
        const chunk = await this.sampleChunk(generator, round, from);
        await appendChunk(this.fileOf(round), chunk);
        own.push(...chunk);
      }
    } finally {
      await generator.close();
    }
  }

  private async sampleChunk(generator: Generator, round: number, from: number): Promise<Sample[]> {
    const { options, prompted, signal } = this;
    const prompts = prompted.prompts.slice(from, from + chunkPrompts);
    const chunk = round * this.chunkSizes().length + from / chunkPrompts;
    const seeds = prompts.map((_, i) => rolloutSeed(options.seed, chunk, i));
    const sampling = { ...options, stopIds: prompted.tokenizer.stopIds };
    const rollouts = await collectRollouts(generator, prompts, seeds, sampling, signal);
    const rewards = await this.rewards.score(rollouts.map(toRewarded));
    return rollouts.map(({ actions, text, hasEos }, i) => {
      const place = { prompt: from + Math.floor(i / options.samples), sample: i % options.samples };
      return { ...place, ids: [...actions], text, hasEos, reward: rewards[i] };
    });
  }

  private fileOf(round: number): string {
    return join(this.options.out, 'samples', `round-${round + 1}.jsonl`);
  }

  /** Lines of each chunk. */
  private chunkSizes(): number[] {
    const { prompts } = this.prompted;
    return Array.from({ length: Math.ceil(prompts.length / chunkPrompts) }, (_, chunk) => {
      return Math.min(chunkPrompts, prompts.length - chunk * chunkPrompts) * this.options.samples;
    });
  }
}
