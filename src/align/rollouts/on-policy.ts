// What every method that learns from its own completions begins with and does at every step, whatever it makes of the
// scores: policy, reference, prompts and rewards; collecting completions and scoring them.

import { UserError } from '../../engine/errors.ts';
import { Random } from '../../engine/random.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import { shareOf } from '../../engine/runtime/workers.ts';
import { type FrozenBases, frozenBases, type Model } from '../../language/checkpoint/checkpoint.ts';
import { requireOneGraph } from '../../language/checkpoint/compatibility.ts';
import { openWeights } from '../../language/checkpoint/open-model.ts';
import { Generator } from '../../language/generation/generate.ts';
import { copyWeights, type Weights, withoutAdapter } from '../../language/model/weights.ts';
import { createBatchOrder } from '../data/batches.ts';
import { limitsFor } from '../data/packing.ts';
import type { RowFault } from '../data/read.ts';
import type { PromptTemplate } from '../data/tokenize.ts';
import type { AlarmAction } from '../monitor/hacking.ts';
import { graphToleranceNats } from '../monitor/invariants.ts';
import type { ReferenceCompletion } from '../monitor/signals.ts';
import type { AdapterOptions } from '../run/adapter-options.ts';
import type { OptimizerOptions } from '../run/gradient-learner.ts';
import type { RoleModel } from '../run/role-memory.ts';
import type { RunOptions } from '../run/training-run.ts';
import { TokenPasses } from '../scoring/heads.ts';
import { byRow, tokenBatches } from '../scoring/layout.ts';
import { collectRollouts, type Rollout, rolloutSeed } from './collect.ts';
import { createHealth, type Health } from './health.ts';
import { mean, sum } from './metrics.ts';
import { loadPromptedPolicy, type PromptedPolicy } from './prompted-policy.ts';
import { parseRewards } from './reward-specs.ts';
import { loadRewards, modelsIn, type RewardSpec, type Rewards, rewardRoles } from './rewards.ts';
import { ensembleSpreads, type ScoreOptions, scoreRollouts } from './scores.ts';
import type { Totals } from './state.ts';

/** Options of every on-policy method, resolved. */
export interface OnPolicyOptions extends RunOptions, OptimizerOptions, ScoreOptions, AdapterOptions {
  model: string;
  /** Default: the model as it is at the start. */
  reference?: string;
  /** As they were asked for, for the recipe; `RewardSpecs` say what they mean. */
  reward: string[];
  watch: string[];
  ensemble: string[];
  data: string[];
  template: PromptTemplate;
  strict: boolean;
  seed: number;
  threads: number;
  /** Passes over the prompts. */
  epochs: number;
  /** Prompts per step. */
  batchSize: number;
  maxTokens: number;
  temperature: number;
  generationBatchSize: number;
  microBatchTokens: number;
  /** Lay a prompt out once for the completions that share it; equal to rounding. Default false. */
  sharePrompts?: boolean;
  /** Hard limit of the sequence KL, nats per completion. */
  klBudget?: number;
  onAlarm: AlarmAction;
}

export interface RewardSpecs {
  /** Summed with their weights. */
  reward: readonly RewardSpec[];
  /** Logged, not optimised. */
  watch: readonly RewardSpec[];
  /** Reward models whose disagreement is logged; none, or two or more. */
  ensemble: readonly RewardSpec[];
}

export interface Participants extends PromptedPolicy {
  /** What these models share, for others that are opened beside them. */
  bases: FrozenBases;
  /** Absent where the method needs none. */
  reference?: Weights;
  /** The folder that the policy began from is the reference, so that their KL begins at exactly 0. */
  isOwnReference: boolean;
  rewards: Rewards;
  watched: Rewards;
  ensemble: Rewards;
}

/** What the options' texts say. */
export function rewardSpecsOf({ reward, watch, ensemble }: OnPolicyOptions): RewardSpecs {
  return {
    reward: parseRewards(reward),
    watch: parseRewards(watch),
    ensemble: ensemble.map((model) => ({ model })),
  };
}

interface Loading {
  usesReference: boolean;
  backend: Backend;
  onFault: (fault: RowFault) => void;
  /** Models that the result depends on besides policy, reference and reward models. */
  parents?: readonly string[];
}

function requireMeaning({ loraDropout = 0, missingEos, missingEosScore }: OnPolicyOptions): void {
  // Ratios are between log-probabilities of one and the same policy.
  if (loraDropout !== 0) {
    const expected = '0 where probability ratios are learnt from';
    throw new UserError({ where: '--lora-dropout', expected, found: `${loraDropout}` });
  }
  if (missingEosScore === undefined || missingEos !== undefined) return;
  const expected = '--missing-eos replace or subtract beside it, whose score or penalty it is';
  throw new UserError({ where: '--missing-eos-score', expected, found: `${missingEosScore} alone` });
}

/** @throws UserError when a model, a reward or the prompts cannot be used */
export async function loadParticipants(
  options: OnPolicyOptions,
  specs: RewardSpecs,
  { usesReference, backend, onFault, parents = [] }: Loading,
): Promise<Participants> {
  requireMeaning(options);
  const bases = frozenBases();
  const { reference, sharePrompts } = options;
  const scoring = { bases, sharePrompts, models: new Map() };
  const named = [...(reference === undefined ? [] : [reference]), ...modelsIn(specs.reward), ...parents];
  const prompted = await loadPromptedPolicy(options, named, onFault, bases);
  const { policy } = prompted;
  const models = {
    ...{ ...prompted, bases, isOwnReference: reference === undefined },
    ...(usesReference && { reference: await referenceModel(options, policy, bases) }),
  };
  const opened: Rewards[] = [];
  try {
    for (const group of [specs.reward, specs.watch, specs.ensemble])
      opened.push(await loadRewards(group, backend, policy, scoring));
  } catch (error) {
    for (const group of opened) await group.close();
    throw error;
  }
  const [rewards, watched, ensemble] = opened;
  return { ...models, rewards, watched, ensemble };
}

/** A fresh adapter's reference is the frozen base under it: the same arrays, with the adapter off. */
async function referenceModel(
  { reference: path, loraRank }: OnPolicyOptions,
  policy: Model,
  bases: FrozenBases,
): Promise<Weights> {
  if (path === undefined) return loraRank === undefined ? copyWeights(policy) : withoutAdapter(policy);
  const { model } = await openWeights(path, { expectKind: ['base', 'policy'], bases, isFrozen: true });
  requireOneGraph(`--reference ${path}`, model, policy);
  return model;
}

/** Completions of the reference that the monitor learns from, and the step whose seeds they are drawn by. */
const referenceCompletions = 192;
const referenceStep = 2 ** 20 - 1;

export interface OnPolicy {
  passes: TokenPasses;
  health: Health;
  totals: Totals;
  totalSteps: number;
  /** Between log-probabilities of the training graph and of scoring. */
  toleranceNats: number;
  /** Completions of the policy as it is now. */
  rollouts: (step: number) => Promise<Rollout[]>;
  close: () => Promise<void>;
}

/**
 * Samples the reference, for the monitor: the same completions at every start, so that a resumed run needs none kept.
 * @param samples completions per prompt
 * @param hasEntropies the method computes entropies; else those of the monitor are estimated from the tokens drawn
 * @throws the signal's reason when it aborts
 */
export async function startRollouts(
  options: OnPolicyOptions,
  parts: Participants,
  {
    samples,
    hasEntropies,
    backend,
    signal,
  }: {
    samples: number;
    hasEntropies: boolean;
    backend: Backend;
    signal: AbortSignal;
  },
): Promise<OnPolicy> {
  const { policy, tokenizer, prompts } = parts;
  const { seed, batchSize, epochs, generationBatchSize } = options;
  const generation = { batchSize: generationBatchSize, tokenizer: tokenizer.tokenizer };
  const sampling = { ...options, samples, stopIds: tokenizer.stopIds };
  const collect = (generator: Generator, indices: readonly number[], step: number, first = 0) => {
    const seeds = indices.map((_, i) => rolloutSeed(seed, step, first + i));
    const chosen = indices.map((index) => prompts[index]);
    return collectRollouts(generator, chosen, seeds, sampling, signal);
  };
  // In fixed chunks, so that the numbers do not depend on how many workers share them.
  const chunk = Math.max(1, Math.floor(generationBatchSize / samples));
  const collectTogether = async (indices: readonly number[], step: number) => {
    const own: Rollout[] = [];
    const [start, end] = shareOf(Math.ceil(indices.length / chunk), backend.workers);
    for (let i = start; i < end; i++) {
      own.push(...(await collect(generator, indices.slice(i * chunk, (i + 1) * chunk), step, i * chunk)));
    }
    return (await backend.workers.gather(own)).flat();
  };

  const passes = new TokenPasses(backend);
  const reference = parts.reference ?? policy;
  const order = new Random(seed, 'rollouts').permutation(prompts.length, referenceStep);
  const count = Math.ceil(referenceCompletions / samples);
  const places = Array.from({ length: count }, (_, i) => order[i % prompts.length]);
  const referenceGenerator = new Generator(backend, reference, generation);
  const drawn = await collect(referenceGenerator, places, referenceStep);
  await referenceGenerator.close();
  const scores = await scoreRollouts(parts.rewards, drawn, options);
  const spreads = await ensembleSpreads(parts.ensemble, drawn);
  const entropies = hasEntropies
    ? await entropiesOf(drawn, reference, passes, options, signal)
    : drawn.map(({ generationLogProbs }) => generationLogProbs.map((logProb) => -logProb));
  const completions = drawn.map(({ actions: ids, hasEos }, i): ReferenceCompletion => {
    return { ids, hasEos, entropy: mean(entropies[i]), score: scores[i], ensembleSpread: spreads?.[i] };
  });
  const health = createHealth(completions, policy, backend, { ...options, completionsPerPrompt: samples });
  const totals: Totals = {
    tokensGenerated: sum(completions.map(({ ids }) => ids.length)),
    tokensTrained: 0,
    alarms: 0,
  };

  const generator = new Generator(backend, policy, generation);
  const batches = createBatchOrder({ seed, batchSize, count: prompts.length });
  return {
    ...{ passes, health, totals, totalSteps: batches.stepsForEpochs(epochs) },
    toleranceNats: graphToleranceNats(backend.device),
    async rollouts(step) {
      const rollouts = await collectTogether(batches.rowsForStep(step), step);
      totals.tokensGenerated += sum(rollouts.map(({ actions }) => actions.length));
      return rollouts;
    },
    async close() {
      await generator.close();
      await passes.release();
    },
  };
}

async function entropiesOf(
  rollouts: readonly Rollout[],
  model: Weights,
  passes: TokenPasses,
  { microBatchTokens, temperature, sharePrompts }: OnPolicyOptions,
  signal: AbortSignal,
): Promise<Float64Array[]> {
  const entropies: Float64Array[] = [];
  const rows = rollouts.map(({ tokens }) => tokens);
  for (const batch of tokenBatches(rows, { ...limitsFor(model.config, microBatchTokens), sharePrompts })) {
    signal.throwIfAborted();
    const { entropy } = await passes.logProbs(batch, model, temperature);
    entropies.push(...byRow(batch, entropy));
  }
  return entropies;
}

/** The models of a run, the policy first, for the account of memory. */
export function rolesOf({ policy, reference, rewards, watched, ensemble }: Participants): RoleModel[] {
  return [
    { role: 'policy', model: policy, isTrained: true },
    ...(reference ? [{ role: 'reference' as const, model: reference, isTrained: false }] : []),
    ...[rewards, watched, ensemble].flatMap(rewardRoles),
  ];
}

/** Of a run's rewards, at its end. */
export async function closeRewards({ rewards, watched, ensemble }: Participants): Promise<void> {
  await rewards.close();
  await watched.close();
  await ensemble.close();
}
