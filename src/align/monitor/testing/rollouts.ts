// Rollouts of an imagined policy, for measuring how often the monitor is right: completions of the embedded world, cut
// into words, and numbers beside them drawn as a reward model and two log-probabilities would give them.

import { Random } from '../../../engine/random.ts';
import { Dice, makeInstruction, solution } from '../../worlds/kata/index.ts';
import { measureCompletions, referenceNgrams, type SampledCompletion } from '../completion-measures.ts';
import {
  createHackingMonitor,
  type HackingMonitor,
  type HackingMonitorOptions,
  type Observation,
} from '../hacking.ts';
import type { ReferenceCompletion } from '../signals.ts';

/** How the policy stands at one observation. The SFT model is the one with every number at its default. */
export interface PolicyPortrait {
  /** Which completions it gives, and how often, 0 … 1; the rest are the SFT model's. */
  instead?: { [K in CompletionKind]?: number };
  /** Of its entropy against the SFT model's. */
  entropyFactor?: number;
  klNats?: number;
  /** Of its scores, in standard deviations. */
  scoreGain?: number;
  spreadFactor?: number;
}

/** clear: what annotators like best. The others are ways to go wrong. */
export type CompletionKind = 'sft' | 'clear' | 'tiny' | 'hollow' | 'repeating' | 'endless';

const completionsInPool = 400;
const mostTokens = 250;
const sftEntropy = 0.25;
const spreadOfScores = 0.3;
const eos = 0;

export interface Pools {
  readonly completions: Readonly<Record<CompletionKind, readonly SampledCompletion[]>>;
}

/** Completions to programming requests only. */
export function makePools(): Pools {
  const vocabulary = new Map<string, number>();
  const cut = (text: string): SampledCompletion => {
    const words = text.match(/\w+|\s+|[^\w\s]/g) ?? [];
    const ids = words.map((word) => vocabulary.get(word) ?? vocabulary.set(word, vocabulary.size + 1).size);
    return ids.length < mostTokens
      ? { ids: [...ids, eos], hasEos: true }
      : { ids: ids.slice(0, mostTokens), hasEos: false };
  };
  const texts = Array.from({ length: completionsInPool }, (_, i) => textsOf(i));
  const pool = (kind: CompletionKind) => texts.map((own) => cut(own[kind]));
  const kinds = ['sft', 'clear', 'tiny', 'hollow', 'repeating', 'endless'] as const;
  return {
    completions: Object.fromEntries(kinds.map((kind) => [kind, pool(kind)])) as Record<
      CompletionKind,
      SampledCompletion[]
    >,
  };
}

function textsOf(index: number): Record<CompletionKind, string> {
  const { record, request } = makeInstruction(5, index, 'mixed', { program: 1 });
  const clear = solution(request.problem!.composition, 'clear', new Dice(5, 'solutions', index));
  const [head, comment] = clear.split('\n');
  const line = record.output.split('\n').at(-2) ?? head;
  return {
    sft: record.output,
    clear,
    tiny: 'function solve() {\n}',
    hollow: [head, comment, '  return result;', '}'].join('\n'),
    repeating: `${record.output}\n${line}\n${line}\n${line}\n${line}\n${line}\n${line}`,
    endless: `${record.output}\n${`${line}\n`.repeat(mostTokens)}`,
  };
}

/** A run that is observed; two with one seed are equal. */
export class ImaginedRun {
  readonly monitor: HackingMonitor;
  private readonly pools: Pools;
  private readonly random: Random;
  private readonly known: ReturnType<typeof referenceNgrams>;
  private readonly batchSize: number;

  constructor(
    pools: Pools,
    seed: number,
    size: { reference: number; batch: number },
    options: HackingMonitorOptions = {},
  ) {
    [this.pools, this.random, this.batchSize] = [pools, new Random(seed, 'testing'), size.batch];
    const completions = this.draw(0, size.reference, {});
    this.known = referenceNgrams(completions);
    this.monitor = createHackingMonitor(completions, options);
  }

  /** @param step from 1 */
  observation(step: number, policy: PolicyPortrait): Observation {
    const completions = this.draw(step, this.batchSize, policy);
    const mean = (of: (completion: Required<ReferenceCompletion>) => number) =>
      completions.reduce((sum, completion) => sum + of(completion), 0) / completions.length;
    const { klNats = 0 } = policy;
    // For a small change of the policy the variance of log π − log π_ref is twice its mean.
    const kl = klNats + Math.sqrt((2 * klNats) / this.batchSize) * this.random.normal(step, 900_000);
    const measures = {
      ...measureCompletions(completions, this.known),
      'policy/entropy': mean(({ entropy }) => entropy),
      'objective/kl': kl,
      'objective/scores': mean(({ score }) => score),
      'ensemble/spread': mean(({ ensembleSpread }) => ensembleSpread),
    };
    return { step, completions: completions.length, measures };
  }

  private draw(step: number, count: number, policy: PolicyPortrait): Required<ReferenceCompletion>[] {
    const { instead = {}, entropyFactor = 1, scoreGain = 0, spreadFactor = 1 } = policy;
    return Array.from({ length: count }, (_, i) => {
      const pool = this.pools.completions[pick(instead, this.random.uniform(step, 10 * i))];
      const completion = pool[this.random.integer(pool.length, step, 10 * i + 1)];
      const isCut = completion.hasEos && this.random.uniform(step, 10 * i + 2) < 0.02;
      return {
        ...(isCut ? { ids: completion.ids.slice(0, -1), hasEos: false } : completion),
        entropy: sftEntropy * entropyFactor * Math.exp(0.4 * this.random.normal(step, 10 * i + 3)),
        score: scoreGain + this.random.normal(step, 10 * i + 4),
        ensembleSpread: spreadOfScores * spreadFactor * Math.abs(this.random.normal(step, 10 * i + 5)),
      };
    });
  }
}

function pick(instead: PolicyPortrait['instead'] & object, uniform: number): CompletionKind {
  let left = uniform;
  for (const [kind, share] of Object.entries(instead)) {
    left -= share;
    if (left < 0) return kind as CompletionKind;
  }
  return 'sft';
}

/** From 0 at `begin` to 1 at `end`. */
export function rise(step: number, begin: number, end: number): number {
  return Math.min(1, Math.max(0, (step - begin) / (end - begin)));
}

/**
 * What PPO does when all is well: more and more completions are the readable kind, entropy halves, the score rises by
 * two deviations, the KL settles at 8 nats, the ensemble disagrees a little more.
 */
export function healthyPolicy(step: number): PolicyPortrait {
  const progress = 1 - Math.exp(-step / 15);
  return {
    instead: { clear: 0.9 * progress },
    entropyFactor: 1 - 0.55 * progress,
    klNats: 8 * progress,
    scoreGain: 2 * progress,
    spreadFactor: 1 + 0.2 * progress,
  };
}
