// Proximal policy optimisation with a leash: the policy learns to please a reward, and pays for every nat that it moves
// from the reference. Schulman et al. 2017 (arXiv:1707.06347); Ziegler et al. 2019 (arXiv:1909.08593); Ouyang et al.
// 2022 (arXiv:2203.02155), section 3.5. `PpoLearner.update` is one iteration, in the paper's order.
// Departures: 1. the critic has an optimiser of its own. 2. A mini-batch's answers stay together in every epoch.
// 3. Beyond a hard KL budget the last healthy weights return and the run ends. 4. A monitor watches for hacked rewards.

import { Random } from '../../engine/random.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import type { JobContext } from '../../engine/runtime/job.ts';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import type { NamedTensor } from '../../language/checkpoint/safetensors.ts';
import { Generator } from '../../language/generation/generate.ts';
import { type BatchOrder, createBatchOrder } from '../data/batches.ts';
import type { Fingerprint } from '../data/fingerprint.ts';
import { limitsFor } from '../data/packing.ts';
import {
  compareWithGeneration,
  equalScoresWarning,
  negativeKlWarning,
  requireUnitRatioAtStart,
  requireZeroKlAtStart,
} from '../monitor/invariants.ts';
import { generalisedAdvantages, tokenRewards, whiten } from '../objectives/advantages.ts';
import { adaptKlCoefficient, rolloutTokenKl, sequenceKl } from '../objectives/kl.ts';
import type { RunEvent } from '../run/events.ts';
import { createTrainer, learningRateAt } from '../run/gradient-learner.ts';
import { openRun } from '../run/open-run.ts';
import { collectRollouts, type Rollout, rolloutSeed } from '../run/rollouts.ts';
import type { StepResult, Trainer } from '../run/trainer.ts';
import { type Learner, runTraining, type Update } from '../run/training-run.ts';
import { byRow, TokenPasses, tokenBatches } from '../scoring/token-batches.ts';
import { type Estimated, type Judged, updateBatches } from './ppo-graphs.ts';
import { Health } from './ppo-health.ts';
import { mean, rolloutMetrics, sum, updateMetrics } from './ppo-metrics.ts';
import type { PpoOptions, PpoResult, RewardSpecs } from './ppo-options.ts';
import { paidScores, unpaidMeasures } from './ppo-scores.ts';
import { assemble, type PpoParts, rewardSpecs } from './ppo-setup.ts';
import { PpoState, type Totals } from './ppo-state.ts';

export type { PpoOptions, PpoResult, RewardSpecs } from './ppo-options.ts';

/**
 * Trains a policy by PPO.
 * @param options.specs instead of what `reward`, `watch` and `ensemble` say
 * @throws UserError before any training when models, rewards or prompts cannot be used; the signal's reason when it
 * aborts before the first step
 */
export async function ppo(
  { specs, ...options }: PpoOptions & { specs?: RewardSpecs },
  context: JobContext<RunEvent>,
): Promise<PpoResult> {
  const rewarding = specs ?? rewardSpecs(options);
  const run = openRun('ppo', options, context);
  try {
    const backend = await openBackend(options);
    const parts = await assemble(options, rewarding, backend, run.setAside);
    const learner = await PpoLearner.create(options, parts, backend, context.signal);
    const result = await runTraining(learner, options, run.folder, context, 'ppo');
    await parts.rewards.close();
    await parts.watched.close();
    await parts.ensemble.close();
    return { ...result, ...learner.totals };
  } finally {
    run.close();
  }
}

class PpoLearner implements Learner {
  readonly model: Model;
  readonly totalSteps: number;
  readonly files: readonly Fingerprint[];
  readonly totals: Totals = { tokensGenerated: 0, tokensTrained: 0, alarms: 0 };
  private readonly options: PpoOptions;
  private readonly parts: PpoParts;
  private readonly signal: AbortSignal;
  private readonly order: BatchOrder;
  private readonly generator: Generator;
  private readonly passes: TokenPasses;
  private readonly trainers: { policy: Trainer; critic: Trainer };
  private readonly health: Health;
  private readonly kept: PpoState;
  private beta: number;

  static async create(options: PpoOptions, parts: PpoParts, backend: Backend, signal: AbortSignal) {
    const passes = new TokenPasses(backend, parts.policy.config);
    const health = await Health.learn(options, parts, backend, passes, signal);
    return new PpoLearner(options, parts, backend, signal, passes, health);
  }

  private constructor(
    options: PpoOptions,
    parts: PpoParts,
    backend: Backend,
    signal: AbortSignal,
    passes: TokenPasses,
    health: Health,
  ) {
    [this.options, this.parts, this.signal] = [options, parts, signal];
    [this.passes, this.health] = [passes, health];
    const { policy, critic, prompts, files, tokenizer } = parts;
    [this.model, this.files, this.beta] = [policy, files, options.beta];
    const { seed, batchSize, epochs, generationBatchSize } = options;
    this.order = createBatchOrder({ seed, batchSize, count: prompts.length });
    this.totalSteps = this.order.stepsForEpochs(epochs);
    const generation = { batchSize: generationBatchSize, tokenizer: tokenizer.tokenizer };
    this.generator = Generator.create(backend, policy.config, policy.parameters, generation);
    this.trainers = {
      policy: createTrainer(backend, policy, options),
      critic: createTrainer(backend, critic, options),
    };
    this.kept = new PpoState(parts, this.trainers, health);
    this.totals.tokensGenerated = health.tokensGenerated;
  }

  async update(step: number, record: (event: RunEvent) => void): Promise<Update> {
    const rollouts = await this.act(step);
    const scores = await paidScores(this.parts.rewards, rollouts, this.options);
    const judged = await this.judge(rollouts);
    const kl = rolloutTokenKl(this.options.klEstimator, judged);
    if (step === 0 && this.parts.isOwnReference) requireZeroKlAtStart(kl, judged.isResponseToken);
    const estimated = this.estimate(scores, kl, judged);
    const { metrics, warnings } = await this.describe(rollouts, scores, kl, judged, estimated);
    for (const message of warnings) record({ type: 'warning', step: step + 1, message });
    const verdict = this.health.judge(step, rollouts.length, metrics, record);
    this.totals.alarms = this.health.alarms;
    if (verdict.stop !== undefined) return this.stop(step, verdict.stop, metrics);
    const learnt = await this.learn(step, judged, estimated);
    const { beta } = this;
    this.beta = this.adapt(metrics['objective/kl'], rollouts.length) * verdict.betaFactor;
    const [{ prompt, text, tokens }] = rollouts;
    const episode = { ids: [...tokens.ids], kl: [...kl[0]], score: scores[0] };
    record({ type: 'sample', step: step + 1, prompt: prompt.text ?? '', completion: text, episode });
    return this.tell(step, rollouts, learnt, { ...metrics, beta });
  }

  /** Answers of the policy as it is now. */
  private async act(step: number): Promise<Rollout[]> {
    const { options, parts, signal } = this;
    const indices = this.order.rowsForStep(step);
    const prompts = indices.map((index) => parts.prompts[index]);
    const seeds = indices.map((_, i) => rolloutSeed(options.seed, step, i));
    const sampling = { ...options, stopIds: parts.tokenizer.stopIds };
    const rollouts = await collectRollouts(this.generator, prompts, seeds, sampling, signal);
    this.totals.tokensGenerated += sum(rollouts.map(({ actions }) => actions.length));
    return rollouts;
  }

  /** log π_old, log π_ref and V of every action, in the very batches that will be trained on. */
  private async judge(rollouts: readonly Rollout[]): Promise<Judged> {
    const { passes, parts, options } = this;
    const judged: Judged = {
      ...{ miniBatches: [], oldLogProbs: [], referenceLogProbs: [], entropies: [], values: [] },
      isResponseToken: rollouts.map(({ actions }) => new Uint8Array(actions.length).fill(1)),
    };
    for (let from = 0; from < rollouts.length; from += options.miniBatchSize) {
      const rows = rollouts.slice(from, from + options.miniBatchSize).map(({ tokens }) => tokens);
      const batches = tokenBatches(rows, limitsFor(parts.policy.config, options.microBatchTokens));
      judged.miniBatches.push({ from, batches, tokens: sum(batches.map(({ count }) => count)) });
      for (const batch of batches) {
        const old = await passes.logProbs(batch, parts.policy.parameters, options.temperature);
        const reference = await passes.logProbs(batch, parts.reference, options.temperature);
        judged.oldLogProbs.push(...byRow(batch, old.logProbs));
        judged.entropies.push(...byRow(batch, old.entropy));
        judged.referenceLogProbs.push(...byRow(batch, reference.logProbs));
        judged.values.push(...byRow(batch, await passes.values(batch, parts.critic.parameters)));
      }
    }
    return judged;
  }

  /** r_t = −β·kl_t, the score on the last token; from them advantages and returns. */
  private estimate(scores: Float64Array, klPerToken: Float64Array[], judged: Judged): Estimated {
    const { whitenRewards, whitenAdvantages } = this.options;
    const { isResponseToken, values } = judged;
    const paid = tokenRewards({ klPerToken, scores, isResponseToken }, this.beta);
    const rewards = whitenRewards ? whiten(paid, isResponseToken, { keepMean: true }) : paid;
    const { advantages, returns } = generalisedAdvantages({ rewards, values, isResponseToken }, this.options);
    return { advantages: whitenAdvantages ? whiten(advantages, isResponseToken) : advantages, returns };
  }

  /** The clipped objective and the critic's error, an update of each for every mini-batch. */
  private async learn(step: number, judged: Judged, estimated: Estimated) {
    const { options, totalSteps, trainers } = this;
    const learnt: { policy: StepResult[]; critic: StepResult[] } = { policy: [], critic: [] };
    const random = new Random(options.seed, 'rollouts');
    const share = learningRateAt({ ...options, learningRate: 1 }, step, totalSteps);
    for (let epoch = 0; epoch < options.ppoEpochs; epoch++) {
      const order = random.permutation(judged.miniBatches.length, step * options.ppoEpochs + epoch);
      for (const index of order) {
        const own = updateBatches(
          this.model.config,
          judged.miniBatches[index],
          { ...judged, ...estimated },
          options,
        );
        const policy = await trainers.policy.step(own.policy, share * options.learningRate);
        const { approximateKl, ratioSquaredDeviation } = policy.measures;
        if (learnt.policy.length === 0)
          requireUnitRatioAtStart(step, { approximateKl, ratioSquaredDeviation });
        learnt.policy.push(policy);
        learnt.critic.push(await trainers.critic.step(own.critic, share * options.valueLearningRate));
      }
    }
    return learnt;
  }

  /** β, held where it is or adapted to the KL that is wanted. */
  private adapt(klNats: number, episodes: number): number {
    const { klTarget: targetNats, klHorizon: horizon } = this.options;
    if (targetNats === undefined) return this.beta;
    return adaptKlCoefficient(this.beta, { klNats, episodes }, { targetNats, horizon });
  }

  private async describe(
    rollouts: readonly Rollout[],
    scores: Float64Array,
    kl: Float64Array[],
    judged: Judged,
    { returns }: Estimated,
  ) {
    const { isResponseToken, values, entropies } = judged;
    const sequenceKls = sequenceKl(rolloutTokenKl('k1', judged), isResponseToken);
    const difference = compareWithGeneration({
      generationLogProbs: rollouts.map(({ generationLogProbs }) => generationLogProbs),
      trainingLogProbs: judged.oldLogProbs,
      isResponseToken,
    });
    const numbers = {
      ...{ scores, sequenceKls, entropies, values, returns, isResponseToken },
      penalties: Float64Array.from(kl, (row) => -this.beta * sum(row)),
      generationDifference: difference.largest,
    };
    const warnings = [difference.warning, equalScoresWarning(scores), negativeKlWarning(sequenceKls)];
    return {
      metrics: {
        ...rolloutMetrics(rollouts, numbers, this.health.ngrams),
        ...(await unpaidMeasures(this.parts, rollouts)),
      },
      warnings: warnings.filter((warning) => warning !== undefined),
    };
  }

  private tell(
    step: number,
    rollouts: readonly Rollout[],
    { policy, critic }: { policy: StepResult[]; critic: StepResult[] },
    metrics: Record<string, number>,
  ): Update {
    const tokens = this.options.ppoEpochs * sum(rollouts.map(({ tokens: { ids } }) => ids.length));
    this.totals.tokensTrained += tokens;
    const isFaulty = [...policy, ...critic].some(({ isUpdated }) => !isUpdated);
    if (isFaulty) return { kind: 'skipped', reason: 'a loss or gradient was not finite', isFaulty, tokens };
    const updates = updateMetrics(policy, critic);
    return {
      kind: 'updated',
      tokens,
      event: {
        epoch: ((step + 1) * this.options.batchSize) / this.parts.prompts.length,
        loss: updates['loss/policy'],
        gradientNorm: mean(policy.map(({ gradientNorm }) => gradientNorm)),
        learningRate: learningRateAt(this.options, step, this.totalSteps),
        metrics: { ...metrics, ...updates },
      },
    };
  }

  /** The run ends with the last healthy weights. */
  private stop(step: number, reason: string, metrics: Record<string, number>): Update {
    const told = `${reason}, at step ${step + 1}: ${this.health.goBack(this.model)}`;
    return { kind: 'stopped', reason: told, tokens: 0, metrics };
  }

  /** The budget holds for the last update too, which no rollouts have followed. */
  async conclude(): Promise<string | undefined> {
    if (this.options.klBudget === undefined) return undefined;
    const judged = await this.judge(await this.act(this.totalSteps));
    const kl = mean(sequenceKl(rolloutTokenKl('k1', judged), judged.isResponseToken));
    const reason = this.health.beyondBudget(kl);
    return reason && `${reason}, after the last update: ${this.health.goBack(this.model)}`;
  }

  state(): { tensors: NamedTensor[]; rest: object } {
    return this.kept.save({ beta: this.beta, totals: this.totals });
  }

  restore(saved: { model: Model; tensors: NamedTensor[]; rest: unknown }): void {
    const { beta, totals } = this.kept.load(saved);
    this.beta = beta;
    Object.assign(this.totals, totals);
  }

  async close(): Promise<void> {
    await this.generator.close();
    await this.passes.release();
    await this.trainers.policy.close();
    await this.trainers.critic.close();
  }
}
