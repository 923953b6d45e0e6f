// Whether a PPO run is still sound: the hacking monitor, which knows the reference's own answers, and the hard KL
// budget. It keeps the last weights at which nothing was wrong, where something may go back to them.

import { Random } from '../../engine/random.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import { Generator } from '../../language/generation/generate.ts';
import { limitsFor } from '../data/packing.ts';
import { type ReferenceNgrams, referenceNgrams } from '../monitor/answer-measures.ts';
import {
  type Alarm,
  createHackingMonitor,
  type HackingMonitor,
  type HackingMonitorState,
  restoreHackingMonitor,
} from '../monitor/hacking.ts';
import type { ReferenceAnswer } from '../monitor/signals.ts';
import type { RunEvent } from '../run/events.ts';
import { collectRollouts, rolloutSeed } from '../run/rollouts.ts';
import type { TokenPasses } from '../scoring/heads.ts';
import { byRow, tokenBatches } from '../scoring/layout.ts';
import { mean, sum } from './ppo-metrics.ts';
import type { PpoOptions } from './ppo-options.ts';
import { ensembleSpreads, paidScores } from './ppo-scores.ts';
import type { PpoParts } from './ppo-setup.ts';

/** Answers of the reference that the monitor learns from, and the step whose seeds they are drawn by. */
const referenceAnswers = 192;
const referenceStep = 2 ** 20 - 1;

/** What is to become of the run. */
interface Verdict {
  /** Present: the run ends, for this reason, with the last healthy weights where there are any. */
  stop?: string;
  /** β is multiplied by it. */
  betaFactor: number;
}

export class Health {
  readonly ngrams: ReferenceNgrams;
  /** In the answers that the monitor learnt from. */
  readonly tokensGenerated: number;
  alarms = 0;
  /** By parameter; undefined before the first healthy step, and where nothing can go back. */
  healthy: Map<string, Float32Array> | undefined;
  /** Updates that they have had. */
  private healthyStep = 0;
  private readonly options: PpoOptions;
  private readonly policy: Model;
  /** On which the policy is trained. */
  private readonly backend: Backend;
  private monitor: HackingMonitor;

  private constructor(
    options: PpoOptions,
    policy: Model,
    backend: Backend,
    answers: readonly ReferenceAnswer[],
  ) {
    [this.options, this.policy, this.backend] = [options, policy, backend];
    this.ngrams = referenceNgrams(answers);
    this.tokensGenerated = sum(answers.map(({ ids }) => ids.length));
    const { onAlarm: action, klBudget, samples: answersPerPrompt } = options;
    this.monitor = createHackingMonitor(answers, { action, klBudget, answersPerPrompt });
  }

  /**
   * Samples the reference: the same answers at every start, so that a resumed run needs none kept.
   * @throws the signal's reason when it aborts
   */
  static async learn(
    options: PpoOptions,
    parts: PpoParts,
    backend: Backend,
    passes: TokenPasses,
    signal: AbortSignal,
  ): Promise<Health> {
    const { policy, reference, tokenizer, prompts } = parts;
    const { stopIds } = tokenizer;
    const order = new Random(options.seed, 'rollouts').permutation(prompts.length, referenceStep);
    const count = Math.ceil(referenceAnswers / options.samples);
    const chosen = Array.from({ length: count }, (_, i) => prompts[order[i % prompts.length]]);
    const seeds = chosen.map((_, i) => rolloutSeed(options.seed, referenceStep, i));
    const generator = new Generator(backend, reference, {
      batchSize: options.generationBatchSize,
      tokenizer: tokenizer.tokenizer,
    });
    const rollouts = await collectRollouts(generator, chosen, seeds, { ...options, stopIds }, signal);
    await generator.close();
    const scores = await paidScores(parts.rewards, rollouts, options);
    const spreads = await ensembleSpreads(parts.ensemble, rollouts);
    const entropies: Float64Array[] = [];
    const rows = rollouts.map(({ tokens }) => tokens);
    for (const batch of tokenBatches(rows, limitsFor(policy.config, options.microBatchTokens))) {
      signal.throwIfAborted();
      const { entropy } = await passes.logProbs(batch, reference, options.temperature);
      entropies.push(...byRow(batch, entropy));
    }
    const answers = rollouts.map(({ actions: ids, hasEos }, i): ReferenceAnswer => {
      const ensembleSpread = spreads?.[i];
      return { ids, hasEos, entropy: mean(entropies[i]), score: scores[i], ensembleSpread };
    });
    return new Health(options, policy, backend, answers);
  }

  /** Looks at a step's rollouts before anything is learnt from them. */
  async judge(
    step: number,
    answers: number,
    measures: Record<string, number>,
    record: (event: RunEvent) => void,
  ): Promise<Verdict> {
    const stop = this.beyondBudget(measures['objective/kl']);
    if (stop !== undefined) return { stop, betaFactor: 1 };
    const { alarm, signals } = this.monitor.observe({ step, answers, measures });
    const isDoubtful = this.options.onAlarm === 'rollback' && signals.some(({ isOutside }) => isOutside);
    if (!isDoubtful) await this.keepWeights(step);
    return alarm ? this.answer(step, alarm, record) : { betaFactor: 1 };
  }

  /** What to say of a KL in nats that is beyond the budget, if there is one. */
  beyondBudget(kl: number): string | undefined {
    const { klBudget } = this.options;
    if (klBudget === undefined || kl <= klBudget) return undefined;
    return `the KL of ${kl.toFixed(2)} nats an answer is beyond the budget of ${klBudget}`;
  }

  /** Puts the last healthy weights back, if any were kept, and says which those are. */
  async goBack(policy: Model): Promise<string> {
    if (!this.healthy) return 'the weights stay as they are';
    for (const [name, values] of this.healthy) policy.parameters.get(name)!.set(values);
    await this.backend.upload([...policy.parameters.values()]);
    return `back to the weights after ${this.healthyStep} steps`;
  }

  state(): { monitor: HackingMonitorState; alarms: number; healthyStep: number } {
    return { monitor: this.monitor.state(), alarms: this.alarms, healthyStep: this.healthyStep };
  }

  restore(
    { monitor, alarms, healthyStep }: ReturnType<Health['state']>,
    healthy: Map<string, Float32Array>,
  ): void {
    this.monitor = restoreHackingMonitor(monitor);
    [this.alarms, this.healthyStep] = [alarms, healthyStep];
    if (healthy.size > 0) this.healthy = healthy;
  }

  private answer(
    step: number,
    { message, signals, response }: Alarm,
    record: (event: RunEvent) => void,
  ): Verdict {
    this.alarms += 1;
    record({ type: 'alarm', step: step + 1, signals, message });
    if (response.kind === 'raise-beta') return { betaFactor: response.factor };
    if (response.kind === 'warn') return { betaFactor: 1 };
    if (response.kind === 'stop') this.healthy = undefined;
    return { stop: message, betaFactor: 1 };
  }

  private async keepWeights(step: number): Promise<void> {
    if (this.options.klBudget === undefined && this.options.onAlarm !== 'rollback') return;
    await this.backend.download([...this.policy.parameters.values()]);
    this.healthy ??= new Map(
      [...this.policy.parameters].map(([name, values]) => [name, new Float32Array(values.length)]),
    );
    for (const [name, values] of this.policy.parameters) this.healthy.get(name)!.set(values);
    this.healthyStep = step;
  }
}
