// Proximal policy optimisation with a KL penalty: the policy learns to raise a reward, and pays for every nat that it moves
// from the reference. Schulman et al. 2017 (arXiv:1707.06347); Ziegler et al. 2019 (arXiv:1909.08593); Ouyang et al.
// 2022 (arXiv:2203.02155), section 3.5. `PpoLearner.update` is one iteration, in the paper's order.
// Departures: 1. the value model has an optimiser of its own. 2. A mini-batch's completions stay together in every epoch.
// 3. Beyond a hard KL limit the last healthy weights return and the run ends. 4. A monitor watches for hacked rewards.

import { join } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import { multiply, total } from '../../engine/graph/build.ts';
import type { StepResult, UpdateStep } from '../../engine/optimizer/update-step.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import { backendOf, type JobContext } from '../../engine/runtime/job.ts';
import { type Model, saveModel } from '../../language/checkpoint/checkpoint.ts';
import type { NamedTensor } from '../../language/checkpoint/safetensors.ts';
import type { Fingerprint } from '../data/fingerprint.ts';
import {
  compareWithGeneration,
  equalScoresWarning,
  negativeKlWarning,
  requireUnitRatioAtStart,
  requireZeroKlAtStart,
} from '../monitor/invariants.ts';
import { explainedVariance, generalisedAdvantages, tokenRewards, whiten } from '../objectives/advantages.ts';
import { adaptKlCoefficient, type KlEstimator, rolloutTokenKl, sequenceKl } from '../objectives/kl.ts';
import { policyLoss, ratioVariance, valueLoss } from '../objectives/ppo.ts';
import type { Rollout } from '../rollouts/collect.ts';
import { mean, meanMeasure, sum, textMeasures, tokenMean } from '../rollouts/metrics.ts';
import {
  closeRewards,
  loadParticipants,
  type OnPolicy,
  type OnPolicyOptions,
  type Participants,
  type RewardSpecs,
  rewardSpecsOf,
  rolesOf,
  startRollouts,
} from '../rollouts/on-policy.ts';
import { scoreRollouts, watchedMetrics } from '../rollouts/scores.ts';
import { restoreState, saveState, type Totals } from '../rollouts/state.ts';
import { gatherStatistics, layOut, type MiniBatch, type Statistics } from '../rollouts/statistics.ts';
import { eachBatch, onEveryToken, passesOver, tokenMicroBatch } from '../rollouts/update.ts';
import type { RunEvent } from '../run/events.ts';
import { createTrainer, learningRateAt } from '../run/gradient-learner.ts';
import { openRun } from '../run/open-run.ts';
import type { RoleModel } from '../run/role-memory.ts';
import { type Learner, type RunResult, runTraining, type Update } from '../run/training-run.ts';
import { tokenStatistics, tokenValues } from '../scoring/heads.ts';
import { startingValueModel } from './value-model.ts';

export type { RewardSpecs } from '../rollouts/on-policy.ts';

export interface PpoOptions extends OnPolicyOptions {
  /** Value model initialisation; default the first reward model, else the policy with a head of zeros. */
  valueModel?: string;
  /** Completions of each prompt. */
  samples: number;
  /** Passes over a step's rollouts, in mini-batches of so many completions, each an update. */
  ppoEpochs: number;
  miniBatchSize: number;
  valueLearningRate: number;
  /** KL penalty coefficient β at the start. */
  beta: number;
  klEstimator: KlEstimator;
  /** Sequence KL that β is adapted to, nats; absent: β stays. */
  klTarget?: number;
  /** Episodes in which β could change by a fifth. */
  klHorizon: number;
  gamma: number;
  lambda: number;
  clipRange: number;
  valueClipRange: number;
  dualClip?: number;
  missingEos: 'replace' | 'subtract';
  whitenAdvantages: boolean;
  whitenRewards: boolean;
}

export interface PpoResult extends RunResult, Totals {}

/**
 * Trains a policy by PPO, and saves its value model in the run's folder value-model.
 * @throws UserError before any training when models, rewards or prompts cannot be used; the signal's reason when it
 * aborts before the first step
 */
export async function ppo(
  { specs: given, ...options }: PpoOptions & { specs?: RewardSpecs },
  context: JobContext<RunEvent>,
): Promise<PpoResult> {
  const specs = given ?? rewardSpecsOf(options);
  const run = openRun('ppo', options, context);
  try {
    requireMeaning(options);
    const backend = await backendOf(context, options);
    const parents = options.valueModel === undefined ? [] : [options.valueModel];
    const loading = { usesReference: true, backend, onFault: run.setAside, parents };
    const parts = await loadParticipants(options, specs, loading);
    try {
      const valueModel = await startingValueModel(options, specs, parts);
      const starting = { samples: options.samples, hasEntropies: true, backend, signal: context.signal };
      const wing = await startRollouts(options, parts, starting);
      const learner = new PpoLearner(options, parts, valueModel, wing, backend);
      const result = await runTraining(learner, options, run.folder, context, 'ppo');
      return { ...result, ...wing.totals };
    } finally {
      await closeRewards(parts);
    }
  } finally {
    run.close();
  }
}

function requireMeaning({ beta, klTarget, onAlarm, missingEos, missingEosScore = 0 }: PpoOptions): void {
  const refuse = (where: string, expected: string, found: number) => {
    throw new UserError({ where, expected, found: `${found}` });
  };
  if (beta === 0 && klTarget !== undefined) {
    refuse('--beta', 'above 0 with --kl-target, which multiplies it', beta);
  }
  if (beta === 0 && onAlarm === 'raise-beta') {
    refuse('--beta', 'above 0 with --on-alarm raise-beta, which doubles it', beta);
  }
  if (missingEos === 'subtract' && missingEosScore < 0) {
    refuse('--missing-eos-score', 'a penalty of 0 or more with --missing-eos subtract', missingEosScore);
  }
}

interface Estimates {
  advantages: Float64Array[];
  returns: Float64Array[];
}

class PpoLearner implements Learner {
  readonly model: Model;
  readonly totalSteps: number;
  readonly files: readonly Fingerprint[];
  private readonly options: PpoOptions;
  private readonly parts: Participants;
  private readonly valueModel: Model;
  private readonly wing: OnPolicy;
  private readonly trainers: { policy: UpdateStep; value: UpdateStep };
  private readonly isFirstWorker: boolean;
  private beta: number;

  constructor(options: PpoOptions, parts: Participants, valueModel: Model, wing: OnPolicy, backend: Backend) {
    [this.options, this.parts, this.valueModel, this.wing] = [options, parts, valueModel, wing];
    [this.model, this.files, this.totalSteps] = [parts.policy, parts.files, wing.totalSteps];
    this.beta = options.beta;
    this.isFirstWorker = backend.workers.rank === 0;
    this.trainers = {
      policy: createTrainer(backend, parts.policy, options),
      value: createTrainer(backend, valueModel, options),
    };
  }

  roles(): RoleModel[] {
    const { valueModel, parts } = this;
    return [...rolesOf(parts), { role: 'value', model: valueModel, isTrained: true }];
  }

  async update(step: number, record: (event: RunEvent) => void): Promise<Update> {
    const { options, parts, wing } = this;
    const rollouts = await wing.rollouts(step);
    const scores = await scoreRollouts(parts.rewards, rollouts, options);
    const { miniBatches, statistics } = await this.statisticsOf(rollouts);
    const kl = rolloutTokenKl(options.klEstimator, statistics);
    if (step === 0 && parts.isOwnReference) requireZeroKlAtStart(kl, wing.toleranceNats);
    const estimates = this.estimate(scores, kl, statistics);
    const { metrics, warnings } = await this.describe(rollouts, scores, kl, statistics, estimates);
    for (const message of warnings) record({ type: 'warning', step: step + 1, message });
    const outlook = await wing.health.check(step, rollouts.length, metrics, record);
    wing.totals.alarms = wing.health.alarms;
    if (outlook.stop !== undefined) {
      const reason = `${outlook.stop}, at step ${step + 1}: ${await wing.health.goBack()}`;
      return { kind: 'stopped', reason, tokens: 0, metrics };
    }
    const results = await this.learn(step, miniBatches, statistics, estimates);
    const { beta } = this;
    this.beta = this.adaptedBeta(metrics['objective/kl'], rollouts.length) * outlook.betaFactor;
    const [{ prompt, text, tokens }] = rollouts;
    const episode = { ids: [...tokens.ids], kl: [...kl[0]], score: scores[0] };
    record({ type: 'sample', step: step + 1, prompt: prompt.text ?? '', completion: text, episode });
    return this.report(step, rollouts, results, { ...metrics, beta });
  }

  /** log π_old, log π_ref and V of every action, in the very batches that will be trained on. */
  private async statisticsOf(
    rollouts: readonly Rollout[],
  ): Promise<{ miniBatches: MiniBatch[]; statistics: Statistics }> {
    const { parts, options, valueModel, wing } = this;
    const { policy, reference } = parts;
    const rows = rollouts.map(({ tokens }) => tokens);
    const miniBatches = layOut(rows, policy, options);
    const models = { policy, reference, valueModel };
    return {
      miniBatches,
      statistics: await gatherStatistics(wing.passes, miniBatches, models, options.temperature),
    };
  }

  /** r_t = −β·kl_t, the score on the last token; from them advantages and returns. */
  private estimate(scores: Float64Array, klPerToken: Float64Array[], { values }: Statistics): Estimates {
    const { whitenRewards, whitenAdvantages } = this.options;
    const penalised = tokenRewards({ klPerToken, scores }, this.beta);
    const rewards = whitenRewards ? whiten(penalised, { keepMean: true }) : penalised;
    const { advantages, returns } = generalisedAdvantages({ rewards, values }, this.options);
    return { advantages: whitenAdvantages ? whiten(advantages) : advantages, returns };
  }

  /** The clipped objective and the value model's error, an update of each for every mini-batch. */
  private async learn(
    step: number,
    miniBatches: readonly MiniBatch[],
    statistics: Statistics,
    estimates: Estimates,
  ): Promise<{ policy: StepResult[]; value: StepResult[] }> {
    const { options, totalSteps, trainers, wing } = this;
    const results: { policy: StepResult[]; value: StepResult[] } = { policy: [], value: [] };
    const share = learningRateAt({ ...options, learningRate: 1 }, step, totalSteps);
    const passes = { seed: options.seed, step, passes: options.ppoEpochs };
    for (const miniBatch of passesOver(miniBatches, passes)) {
      const { policy, value } = this.lossesOf(miniBatch, statistics, estimates);
      const updated = await trainers.policy.step(policy, share * options.learningRate);
      const { approximateKl, ratioSquaredDeviation } = updated.measures;
      if (results.policy.length === 0) {
        requireUnitRatioAtStart(step, { approximateKl, ratioSquaredDeviation }, wing.toleranceNats);
      }
      results.policy.push(updated);
      results.value.push(await trainers.value.step(value, share * options.valueLearningRate));
    }
    return results;
  }

  /** Means run over all of the mini-batch's tokens. */
  private lossesOf(
    miniBatch: MiniBatch,
    { oldLogProbs, values }: Statistics,
    { advantages, returns }: Estimates,
  ) {
    const { options, model } = this;
    const { config } = model;
    const weight = 1 / miniBatch.tokens;
    const policy = eachBatch(miniBatch, (batch, own) => {
      const old = own(oldLogProbs);
      const weights = onEveryToken(
        old.map(() => weight),
        old,
      );
      const numbers = { oldLogProbs: old, advantages: own(advantages), weights };
      return tokenMicroBatch(batch, numbers, (parameters, given) => {
        const { logProbs, entropy } = tokenStatistics(config, parameters, batch, options.temperature);
        const { loss, measures } = policyLoss({ newLogProbs: logProbs, ...given }, options);
        return { loss, measures: { ...measures, entropy: total(multiply(entropy, given.weights)) } };
      });
    });
    const value = eachBatch(miniBatch, (batch, own) => {
      const old = own(values);
      const weights = onEveryToken(
        old.map(() => weight),
        old,
      );
      const numbers = { oldValues: old, returns: own(returns), weights };
      return tokenMicroBatch(batch, numbers, (parameters, given) =>
        valueLoss({ newValues: tokenValues(config, parameters, batch), ...given }, options),
      );
    });
    return { policy, value };
  }

  /** β, fixed or adapted to the target KL. */
  private adaptedBeta(klNats: number, episodes: number): number {
    const { klTarget: targetNats, klHorizon: horizon } = this.options;
    if (targetNats === undefined) return this.beta;
    return adaptKlCoefficient(this.beta, { klNats, episodes }, { targetNats, horizon });
  }

  private async describe(
    rollouts: readonly Rollout[],
    scores: Float64Array,
    kl: Float64Array[],
    statistics: Statistics,
    { returns }: Estimates,
  ): Promise<{ metrics: Record<string, number>; warnings: string[] }> {
    const { values, entropies, oldLogProbs } = statistics;
    const sequenceKls = sequenceKl(rolloutTokenKl('k1', statistics));
    const difference = compareWithGeneration({
      generationLogProbs: rollouts.map(({ generationLogProbs }) => generationLogProbs),
      trainingLogProbs: oldLogProbs,
    });
    const penalties = Float64Array.from(kl, (row) => -this.beta * sum(row));
    const variance = explainedVariance(values, returns);
    const warnings = [
      difference.warning,
      equalScoresWarning(scores),
      negativeKlWarning(
        sequenceKls,
        this.wing.toleranceNats * mean(rollouts.map(({ actions }) => actions.length)),
      ),
    ];
    return {
      metrics: {
        'objective/kl': mean(sequenceKls),
        'objective/scores': mean(scores),
        'objective/non_score_reward': mean(penalties),
        'objective/rlhf_reward': mean(scores) + mean(penalties),
        'objective/entropy': mean(entropies.map((row) => sum(row))),
        'policy/entropy': tokenMean(entropies),
        'val/num_eos_tokens': rollouts.filter(({ hasEos }) => hasEos).length,
        // NaN, which JSON does not have, where all returns are equal.
        ...(Number.isFinite(variance) && { 'val/explained_variance': variance }),
        'generation/log_prob_difference': difference.largest,
        ...textMeasures(rollouts, this.wing.health.ngrams),
        ...(await watchedMetrics(this.parts, rollouts)),
      },
      warnings: warnings.filter((warning) => warning !== undefined),
    };
  }

  private report(
    step: number,
    rollouts: readonly Rollout[],
    { policy, value }: { policy: StepResult[]; value: StepResult[] },
    metrics: Record<string, number>,
  ): Update {
    const { options, parts, totalSteps, wing } = this;
    const tokens = options.ppoEpochs * sum(rollouts.map(({ tokens: { ids } }) => ids.length));
    wing.totals.tokensTrained += tokens;
    const isFaulty = [...policy, ...value].some(({ isUpdated }) => !isUpdated);
    if (isFaulty) return { kind: 'skipped', reason: 'a loss or gradient was not finite', isFaulty, tokens };
    const loss = mean(policy.map((result) => result.loss));
    const ratio = meanMeasure(policy, 'ratioMean');
    return {
      kind: 'updated',
      tokens,
      event: {
        epoch: ((step + 1) * options.batchSize) / parts.prompts.length,
        loss,
        gradientNorm: mean(policy.map(({ gradientNorm }) => gradientNorm)),
        learningRate: learningRateAt(options, step, totalSteps),
        metrics: {
          ...metrics,
          'policy/approxkl': meanMeasure(policy, 'approximateKl'),
          'policy/clipfrac': meanMeasure(policy, 'clipFraction'),
          'loss/policy': loss,
          'loss/value': mean(value.map((result) => result.loss)),
          'val/clipfrac': meanMeasure(value, 'clipFraction'),
          'val/ratio': ratio,
          'val/ratio_var': ratioVariance(ratio, meanMeasure(policy, 'ratioSquaredDeviation')),
          'gradient_norm/value': mean(value.map(({ gradientNorm }) => gradientNorm)),
        },
      },
    };
  }

  /** The limit holds for the last update too, which no rollouts have followed. */
  async conclude(): Promise<string | undefined> {
    const { options, parts, valueModel, wing } = this;
    const { tokenizerFiles, lineage } = parts.policy;
    await this.trainers.value.download();
    if (this.isFirstWorker) {
      const saved = { ...valueModel, tokenizerFiles, lineage };
      await saveModel(join(options.out, 'value-model'), saved, { dtype: options.dtype });
    }
    if (options.klBudget === undefined) return undefined;
    const { statistics } = await this.statisticsOf(await wing.rollouts(this.totalSteps));
    const reason = wing.health.beyondLimit(mean(sequenceKl(rolloutTokenKl('k1', statistics))));
    return reason && `${reason}, after the last update: ${await wing.health.goBack()}`;
  }

  private stateful() {
    const { model, valueModel, trainers, wing } = this;
    return {
      health: wing.health,
      trained: {
        policy: { model, trainer: trainers.policy },
        value: { model: valueModel, trainer: trainers.value },
      },
    };
  }

  async state(): Promise<{ tensors: NamedTensor[]; rest: object }> {
    return await saveState(this.stateful(), { beta: this.beta, totals: this.wing.totals });
  }

  async restore(saved: { model: Model; tensors: NamedTensor[]; rest: unknown }): Promise<void> {
    const own = await restoreState<{ beta: number; totals: Totals }>(this.stateful(), saved);
    const { beta, totals } = own;
    this.beta = beta;
    Object.assign(this.wing.totals, totals);
  }

  async close(): Promise<void> {
    await this.wing.close();
    await this.trainers.policy.close();
    await this.trainers.value.close();
  }
}
