// A policy that learns by comparing several completions of each prompt (a group) with each other, without a value model:
// what GRPO and RLOO share. A method gives its advantages and its loss.
// Groups whose completions all score the same are skipped in the update, and so is their KL: they have nothing to teach.

import type { MicroBatch, StepResult } from '../../engine/optimizer/update-step.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import { backendOf, type JobContext } from '../../engine/runtime/job.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import {
  compareWithGeneration,
  equalScoresWarning,
  negativeKlWarning,
  requireUnitRatioAtStart,
  requireZeroKlAtStart,
  roundingNats,
} from '../monitor/invariants.ts';
import { hasEqualScores, sampleDeviation } from '../objectives/advantages.ts';
import { rolloutTokenKl, sequenceKl } from '../objectives/kl.ts';
import type { RunEvent } from '../run/events.ts';
import { createTrainer, learningRateAt } from '../run/gradient-learner.ts';
import { openRun } from '../run/open-run.ts';
import { type Learner, type RunResult, runTraining, type Update } from '../run/training-run.ts';
import type { TokenBatch } from '../scoring/layout.ts';
import type { Rollout } from './collect.ts';
import { mean, meanMeasure, sum, textMeasures, tokenMean } from './metrics.ts';
import {
  closeRewards,
  loadParticipants,
  type OnPolicy,
  type OnPolicyOptions,
  type Participants,
  type RewardSpecs,
  rolesOf,
  startRollouts,
} from './on-policy.ts';
import { scoreRollouts, watchedMetrics } from './scores.ts';
import { restoreState, saveState, type Totals } from './state.ts';
import { gatherStatistics, layOut, type MiniBatch, type Statistics } from './statistics.ts';
import { eachBatch, passesOver } from './update.ts';

export interface GroupOptions extends OnPolicyOptions {
  /** Completions of each prompt, ≥ 2. */
  groupSize: number;
  /** Passes over a step's completions (μ); with 1 and no mini-batches the policy is its own old policy. */
  iterations: number;
  /** Completions per update; default all of a step. */
  miniBatchSize?: number;
  /** KL penalty coefficient β ≥ 0; with 0 there is no reference model unless one is named or `klBudget` is set. */
  beta: number;
  /** ε_low and ε_high > 0. */
  clipLow: number;
  clipHigh: number;
  /** Completions cut off at `maxTokens` are skipped in the update. */
  maskTruncated: boolean;
}

export interface GroupResult extends RunResult, Totals {}

/** What is known of the completions of a batch, in its order. */
export interface BatchNumbers {
  advantages: number[];
  /** Tokens of each completion of the whole update, and of those of the batch. */
  updateCounts: number[];
  counts: number[];
  /** Absent while the policy is still the old one, or without a reference. */
  oldLogProbs?: Float64Array[];
  referenceLogProbs?: Float64Array[];
}

export interface GroupMethod {
  name: string;
  /** Where β·KL is charged: `loss`, k3 of each token; `reward`, the sum of k1 off the completion's score. */
  klIn: 'loss' | 'reward';
  /** @param scores one row per prompt */
  advantages: (scores: Float64Array[]) => Float64Array[];
  /** Measures: objective, clippedLow, clippedHigh, ratioMean, ratioSquaredDeviation, entropy and maybe kl. */
  microBatch: (model: Model, batch: TokenBatch, numbers: BatchNumbers) => MicroBatch;
}

/** A run of such a method, from its options to the trained model. @throws UserError before any training */
export async function trainOnGroups(
  options: GroupOptions,
  specs: RewardSpecs,
  method: GroupMethod,
  context: JobContext<RunEvent>,
): Promise<GroupResult> {
  const run = openRun(method.name, options, context);
  try {
    const backend = await backendOf(context, options);
    const usesReference =
      options.beta > 0 || options.klBudget !== undefined || options.reference !== undefined;
    const parts = await loadParticipants(options, specs, { usesReference, backend, onFault: run.setAside });
    try {
      const needsOld = needsOldLogProbs(options, method);
      const starting = {
        samples: options.groupSize,
        hasEntropies: needsOld,
        backend,
        signal: context.signal,
      };
      const wing = await startRollouts(options, parts, starting);
      const learner = groupLearner(options, method, parts, wing, backend);
      const result = await runTraining(learner, options, run.folder, context, method.name);
      return { ...result, ...wing.totals };
    } finally {
      await closeRewards(parts);
    }
  } finally {
    run.close();
  }
}

/** Where each step is one update the policy is its own old one, unless its KL is charged before. */
function needsOldLogProbs(options: GroupOptions, { klIn }: GroupMethod): boolean {
  const { iterations, miniBatchSize = Number.POSITIVE_INFINITY, batchSize, groupSize, beta } = options;
  return iterations > 1 || miniBatchSize < batchSize * groupSize || (klIn === 'reward' && beta > 0);
}

/** A step's rollouts, those that are learnt from first, with what is known of each. */
interface Experience {
  rollouts: Rollout[];
  /** As they are in the groups. */
  scores: Float64Array;
  advantages: number[];
  miniBatches: MiniBatch[];
  statistics: Statistics;
  /** log π of each token drawn: as trained where computed, else as generated. */
  logProbs: Float64Array[];
  /** k1 of each token, and its sum, nats per completion; absent without a reference. */
  kl?: Float64Array[];
  sequenceKls?: Float64Array;
  /** Of the first rollout. */
  firstScore: number;
}

function groupLearner(
  options: GroupOptions,
  method: GroupMethod,
  parts: Participants,
  wing: OnPolicy,
  backend: Backend,
): Learner {
  const { policy, reference } = parts;
  const needsOld = needsOldLogProbs(options, method);
  const trainer = createTrainer(backend, policy, options);
  const stateful = { health: wing.health, trained: { policy: { model: policy, trainer } } };
  const laying = {
    ...options,
    miniBatchSize: options.miniBatchSize ?? options.batchSize * options.groupSize,
  };

  async function collect(step: number): Promise<Experience> {
    const drawn = await wing.rollouts(step);
    const scores = await scoreRollouts(parts.rewards, drawn, options);
    const hasVariance = groupsOf(scores, options.groupSize).map((group) => !hasEqualScores(group));
    const isLearnt = drawn.map(
      ({ hasEos }, i) => hasVariance[Math.floor(i / options.groupSize)] && (hasEos || !options.maskTruncated),
    );
    const order = [...drawn.keys()].sort((a, b) => Number(isLearnt[b]) - Number(isLearnt[a]) || a - b);
    const learnt = isLearnt.filter(Boolean).length;
    const rollouts = order.map((i) => drawn[i]);
    const rows = rollouts.map(({ tokens }) => tokens);
    const miniBatches = layOut(rows.slice(0, learnt), policy, laying);
    const others = layOut(rows.slice(learnt), policy, laying);
    const models = { reference, ...(needsOld && { policy }) };
    const all = [...miniBatches, ...others];
    const statistics = await gatherStatistics(wing.passes, all, models, options.temperature);
    const logProbs = needsOld
      ? statistics.oldLogProbs
      : rollouts.map((rollout) => rollout.generationLogProbs);
    const { referenceLogProbs } = statistics;
    const kl = reference && rolloutTokenKl('k1', { oldLogProbs: logProbs, referenceLogProbs });
    const kls = kl && sequenceKl(kl);
    const charged = scores.slice();
    for (const [place, i] of order.entries()) {
      if (kls && method.klIn === 'reward') charged[i] -= options.beta * kls[place];
    }
    const advantages = method.advantages(groupsOf(charged, options.groupSize)).flatMap((row) => [...row]);
    return {
      ...{ rollouts, scores, miniBatches, statistics, logProbs, kl, sequenceKls: kls },
      firstScore: scores[order[0]],
      advantages: order.map((i) => advantages[i]),
    };
  }

  function microBatches(
    miniBatch: MiniBatch,
    { rollouts, advantages, statistics }: Experience,
  ): MicroBatch[] {
    const counts = rollouts.map(({ actions }) => actions.length);
    const size = sum(miniBatch.batches.map(({ rows }) => rows.length));
    const updateCounts = counts.slice(miniBatch.from, miniBatch.from + size);
    return eachBatch(miniBatch, (batch, own) =>
      method.microBatch(policy, batch, {
        ...{ advantages: own(advantages), counts: own(counts), updateCounts },
        ...(needsOld && { oldLogProbs: own(statistics.oldLogProbs) }),
        ...(reference && { referenceLogProbs: own(statistics.referenceLogProbs) }),
      }),
    );
  }

  async function learn(step: number, experience: Experience): Promise<StepResult[]> {
    const results: StepResult[] = [];
    const learningRate = learningRateAt(options, step, wing.totalSteps);
    const passes = { seed: options.seed, step, passes: options.iterations };
    for (const miniBatch of passesOver(experience.miniBatches, passes)) {
      const result = await trainer.step(microBatches(miniBatch, experience), learningRate);
      if (results.length === 0) requireStart(step, result);
      results.push(result);
    }
    return results;
  }

  /** Before the first update of a step nothing has changed since the completions were drawn. */
  function requireStart(step: number, { measures }: StepResult): void {
    const { ratioSquaredDeviation, kl } = measures;
    requireUnitRatioAtStart(step, { approximateKl: 0, ratioSquaredDeviation }, wing.toleranceNats);
    if (step > 0 || !parts.isOwnReference || kl === undefined) return;
    requireZeroKlAtStart([[kl]], wing.toleranceNats);
  }

  async function describe(experience: Experience) {
    const { rollouts, scores, statistics, logProbs, sequenceKls } = experience;
    const { referenceLogProbs } = statistics;
    const generationLogProbs = rollouts.map((rollout) => rollout.generationLogProbs);
    const groups = groupsOf(scores, options.groupSize);
    const lengths = rollouts.map(({ actions }) => actions.length);
    const tokenRounding = needsOld ? wing.toleranceNats : roundingNats;
    const ended = lengths.filter((_, i) => rollouts[i].hasEos);
    const difference =
      needsOld && compareWithGeneration({ generationLogProbs, trainingLogProbs: statistics.oldLogProbs });
    const kl = reference && rolloutTokenKl('k3', { oldLogProbs: logProbs, referenceLogProbs });
    const metrics: Record<string, number> = {
      reward: mean(scores),
      reward_std: mean(groups.map((group) => sampleDeviation([...group]))),
      frac_reward_zero_std: mean(groups.map((group) => Number(hasEqualScores(group)))),
      entropy: needsOld ? tokenMean(statistics.entropies) : -tokenMean(logProbs),
      ...(kl && sequenceKls && { kl: tokenMean(kl), 'objective/kl': mean(sequenceKls) }),
      'completions/mean_length': mean(lengths),
      'completions/min_length': Math.min(...lengths),
      'completions/max_length': Math.max(...lengths),
      'completions/mean_terminated_length': ended.length === 0 ? 0 : mean(ended),
      'completions/clipped_ratio': 1 - ended.length / lengths.length,
      ...(difference && { 'generation/log_prob_difference': difference.largest }),
      ...(await watchedMetrics(parts, rollouts)),
    };
    const { repetition, distinct_2, novelty, ...text } = textMeasures(rollouts, wing.health.ngrams);
    const warnings = [
      difference ? difference.warning : undefined,
      equalScoresWarning(scores),
      sequenceKls && negativeKlWarning(sequenceKls, tokenRounding * mean(lengths)),
    ].filter((warning) => warning !== undefined);
    return {
      metrics: { ...metrics, repetition, distinct_2, novelty },
      observed: {
        ...{ ...text, repetition, distinct_2, novelty, 'objective/scores': metrics.reward },
        ...{ 'policy/entropy': metrics.entropy, 'objective/kl': metrics['objective/kl'] },
        'ensemble/spread': metrics['ensemble/spread'],
      },
      warnings,
    };
  }

  function report(
    step: number,
    results: readonly StepResult[],
    metrics: Record<string, number>,
    tokens: number,
  ): Update {
    wing.totals.tokensTrained += tokens;
    const isFaulty = results.some(({ isUpdated }) => !isUpdated);
    if (isFaulty) return { kind: 'skipped', reason: 'a loss or gradient was not finite', isFaulty, tokens };
    // Without a group that has something to teach nothing is updated.
    const isIdle = results.length === 0;
    const [low, high] = isIdle
      ? [0, 0]
      : ['clippedLow', 'clippedHigh'].map((name) => meanMeasure(results, name));
    return {
      kind: 'updated',
      tokens,
      event: {
        epoch: ((step + 1) * options.batchSize) / parts.prompts.length,
        loss: isIdle ? 0 : meanMeasure(results, 'objective'),
        gradientNorm: isIdle ? 0 : mean(results.map(({ gradientNorm }) => gradientNorm)),
        learningRate: learningRateAt(options, step, wing.totalSteps),
        metrics: {
          ...metrics,
          'clip_ratio/low_mean': low,
          'clip_ratio/high_mean': high,
          'clip_ratio/region_mean': low + high,
        },
      },
    };
  }

  return {
    model: policy,
    files: parts.files,
    totalSteps: wing.totalSteps,
    roles: () => rolesOf(parts),
    async update(step, record) {
      const experience = await collect(step);
      const { metrics, observed, warnings } = await describe(experience);
      for (const message of warnings) record({ type: 'warning', step: step + 1, message });
      const { rollouts, kl, firstScore } = experience;
      const outlook = await wing.health.check(step, rollouts.length, observed, record);
      wing.totals.alarms = wing.health.alarms;
      if (outlook.stop !== undefined) {
        const reason = `${outlook.stop}, at step ${step + 1}: ${await wing.health.goBack()}`;
        return { kind: 'stopped', reason, tokens: 0, metrics };
      }
      const results = await learn(step, experience);
      const [{ prompt, text, tokens }] = rollouts;
      const sample = { type: 'sample', step: step + 1, prompt: prompt.text ?? '', completion: text } as const;
      const episode = kl && { ids: [...tokens.ids], kl: [...kl[0]], score: firstScore };
      record({ ...sample, ...(episode && { episode }) });
      const trained = experience.miniBatches.flatMap(({ batches }) => batches.flatMap(({ rows }) => rows));
      return report(step, results, metrics, options.iterations * sum(trained.map(({ ids }) => ids.length)));
    },
    /** The limit holds for the last update too, which no rollouts have followed. */
    async conclude() {
      if (options.klBudget === undefined) return undefined;
      const { sequenceKls } = await collect(wing.totalSteps);
      const reason = wing.health.beyondLimit(mean(sequenceKls!));
      return reason && `${reason}, after the last update: ${await wing.health.goBack()}`;
    },
    state: () => saveState(stateful, { totals: wing.totals }),
    async restore(saved) {
      const { totals } = await restoreState<{ totals: Totals }>(stateful, saved);
      Object.assign(wing.totals, totals);
    },
    async close() {
      await wing.close();
      await trainer.close();
    },
  };
}

/** Completions of one prompt stand side by side. */
function groupsOf(values: Float64Array, groupSize: number): Float64Array[] {
  return Array.from({ length: values.length / groupSize }, (_, g) =>
    values.slice(g * groupSize, (g + 1) * groupSize),
  );
}
