// Rejection sampling: sample several answers to each prompt, keep the best by the reward, fine-tune on them; again from
// the model that this made. Touvron et al. 2023 (arXiv:2307.09288), section 3.2.3; best of n after Nakano et al. 2021
// (arXiv:2112.09332).
// Departures: 1. the best of all rounds are kept, as that paper found necessary. 2. A round goes on from the newest
// weights, with a fresh optimiser and schedule. 3. Answers without an end, and prompts whose answers are all worth the
// same, are skipped.

import { UserError } from '../../engine/errors.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import { backendOf, type JobContext } from '../../engine/runtime/job.ts';
import { frozenBases, type Model } from '../../language/checkpoint/checkpoint.ts';
import type { NamedTensor } from '../../language/checkpoint/safetensors.ts';
import type { Fingerprint } from '../data/fingerprint.ts';
import type { Prompt } from '../data/prompts.ts';
import type { TokenRow } from '../data/token-row.ts';
import type { PromptTemplate } from '../data/tokenize.ts';
import { bestOfNKlBound } from '../objectives/kl.ts';
import { loadPromptedPolicy, type PromptedPolicy } from '../rollouts/prompted-policy.ts';
import { parseRewards } from '../rollouts/reward-specs.ts';
import { loadRewards, modelsIn, type RewardSpec, type Rewards, rewardRoles } from '../rollouts/rewards.ts';
import type { RunEvent } from '../run/events.ts';
import { GradientLearner, type TrainingOptions } from '../run/gradient-learner.ts';
import { windowStepSource } from '../run/language-run.ts';
import { openRun } from '../run/open-run.ts';
import type { RoleModel } from '../run/role-memory.ts';
import { type Learner, type RunResult, runTraining, type Update } from '../run/training-run.ts';
import { average, type Pick, pickAnswers, type RoundGain, roundGain, type Sample } from './best-of.ts';
import { RoundSamples } from './round-samples.ts';
import { demonstrationSource } from './sft.ts';

export interface RejectOptions extends TrainingOptions {
  model: string;
  /** Prompts. */
  data: string[];
  template: PromptTemplate;
  strict: boolean;
  /** Each a model's folder, FILE.js#NAME or kata:NAME, with an optional weight such as *0.5. */
  reward: string[];
  /** Answers to each prompt in a round (n). */
  samples: number;
  rounds: number;
  temperature: number;
  maxTokens: number;
  generationBatchSize: number;
  pick: Pick;
}

/** What a round sampled and chose. */
export interface Round extends RoundGain {
  /** From 1. */
  round: number;
  tokensGenerated: number;
  /** Share of the answers that came to their end. */
  finished: number;
  /** Prompts that left no choice, and answers that were learnt from, of this round or an earlier one. */
  dropped: number;
  chosen: number;
  /** Mean reward of those. */
  picked: number;
}

export interface RejectResult extends RunResult {
  rounds: Round[];
  /** Of the best of n of one round, nats. */
  klBound: number;
  tokensGenerated: number;
  tokensTrained: number;
}

/**
 * Trains a policy on its own best answers.
 * @param options.specs instead of what `reward` says
 * @throws UserError before any sampling when model, rewards or prompts cannot be used
 */
export async function reject(
  { specs, ...options }: RejectOptions & { specs?: RewardSpec[] },
  context: JobContext<RunEvent>,
): Promise<RejectResult> {
  const named = specs ?? parseRewards(options.reward);
  const run = openRun('reject', options, context);
  try {
    const backend = await backendOf(context, options);
    requireOneWorker(backend);
    const bases = frozenBases();
    const prompted = await loadPromptedPolicy(options, modelsIn(named), run.setAside, bases);
    const rewards = await loadRewards(named, backend, prompted.policy, { bases });
    try {
      const samples = await RoundSamples.open(options, prompted, rewards, backend, context.signal);
      const learner = new RejectLearner(options, prompted, samples, rewards, backend);
      const result = await runTraining(learner, options, run.folder, context, 'reject');
      const rounds = learner.rounds.map(({ figures }) => figures);
      return {
        ...{ ...result, rounds, klBound: bestOfNKlBound(options.samples) },
        tokensGenerated: rounds.reduce((sum, round) => sum + round.tokensGenerated, 0),
        tokensTrained: result.tokens,
      };
    } finally {
      await rewards.close();
    }
  } finally {
    run.close();
  }
}

/** Samples go to files that only grow, one writer each. */
function requireOneWorker({ workers: { size } }: Backend): void {
  if (size === 1) return;
  throw new UserError({ where: 'reject', expected: 'one worker', found: `${size}` });
}

/** A round and the updates that it takes. */
interface RoundState {
  figures: Round;
  start: number;
  steps: number;
}

/** Rounds of sampling, choosing and fine-tuning; the fine-tuning of a round is a learner of its own. */
class RejectLearner implements Learner {
  readonly model: Model;
  readonly files: readonly Fingerprint[];
  readonly rounds: RoundState[] = [];
  private readonly options: RejectOptions;
  private readonly prompted: PromptedPolicy;
  private readonly samples: RoundSamples;
  private readonly rewards: Rewards;
  private readonly backend: Backend;
  private tuning: GradientLearner | undefined;

  constructor(
    options: RejectOptions,
    prompted: PromptedPolicy,
    samples: RoundSamples,
    rewards: Rewards,
    backend: Backend,
  ) {
    this.rewards = rewards;
    this.options = options;
    this.prompted = prompted;
    this.samples = samples;
    this.backend = backend;
    [this.model, this.files] = [prompted.policy, prompted.files];
  }

  /** Rounds to come are taken to be as long as the last one, the first as if every prompt left a choice. */
  get totalSteps(): number {
    const { epochs, batchSize, rounds } = this.options;
    const all = Math.ceil((epochs * this.prompted.prompts.length) / batchSize);
    const likely = this.rounds.at(-1)?.steps ?? all;
    return this.stepsKnown + (rounds - this.rounds.length) * likely;
  }

  private get stepsKnown(): number {
    return this.rounds.reduce((sum, { steps }) => sum + steps, 0);
  }

  roles(): RoleModel[] {
    return [{ role: 'policy', model: this.model, isTrained: true }, ...rewardRoles(this.rewards)];
  }

  async update(step: number): Promise<Update> {
    if (step === this.stepsKnown) {
      await this.samples.complete(this.rounds.length);
      await this.beginTuning();
    }
    const { figures, start } = this.rounds.at(-1)!;
    const update = await this.tuning!.update(step - start);
    if (update.kind !== 'updated') return update;
    const epoch = (figures.round - 1) * this.options.epochs + update.event.epoch;
    const metrics: Record<string, number> = step === start ? metricsOf(figures) : { round: figures.round };
    return { ...update, event: { ...update.event, epoch, metrics } };
  }

  /** The choice among the samples of all rounds so far, and a fine-tuning on it from the weights as they are. */
  private async beginTuning(): Promise<void> {
    // The next one begins with the weights that this one made, wherever they lie.
    await this.tuning?.download();
    await this.tuning?.close();
    const { options, prompted, model } = this;
    const index = this.rounds.length;
    const samples = this.samples.of(index + 1);
    const { chosen, dropped } = pickAnswers(samples, options.pick, options.seed);
    const figures = describeRound(index + 1, samples[index], chosen, dropped);
    if (chosen.length === 0) throw nothingToChoose(figures);
    const rows = chosen.map(({ prompt, ids }) => trainedRow(prompted.prompts[prompt], ids));
    const tuned = { ...options, seed: options.seed + index };
    const demonstrations = demonstrationSource(rows, prompted.files, model, tuned);
    const source = windowStepSource(model, demonstrations, options.microBatchTokens);
    this.rounds.push({ figures, start: this.stepsKnown, steps: source.totalSteps });
    this.tuning = new GradientLearner(this.backend, model, source, tuned);
  }

  async state(): Promise<{ tensors: NamedTensor[]; rest: object }> {
    const { tensors = [], rest = {} } = (await this.tuning?.state()) ?? {};
    return { tensors, rest: { rounds: this.rounds.length, tuning: rest } };
  }

  async restore(saved: { model: Model; tensors: NamedTensor[]; rest: unknown }): Promise<void> {
    const { rounds, tuning } = saved.rest as { rounds: number; tuning: object };
    while (this.rounds.length < rounds) await this.beginTuning();
    await this.tuning?.restore({ ...saved, rest: tuning });
  }

  async close(): Promise<void> {
    await this.tuning?.close();
  }
}

function trainedRow({ ids: prompt, source }: Prompt, answer: readonly number[]): TokenRow {
  const ids = Int32Array.from([...prompt, ...answer]);
  const isTrained = Uint8Array.from(ids, (_, i) => Number(i >= prompt.length));
  return { ids, isTrained, source: source ?? { file: 'prompt', line: 0 } };
}

function describeRound(
  round: number,
  samples: readonly Sample[],
  chosen: readonly Sample[],
  dropped: number,
): Round {
  return {
    round,
    ...roundGain(samples),
    tokensGenerated: samples.reduce((sum, { ids }) => sum + ids.length, 0),
    finished: average(samples.map(({ hasEos }) => Number(hasEos))),
    dropped,
    chosen: chosen.length,
    picked: chosen.length === 0 ? 0 : average(chosen.map(({ reward }) => reward)),
  };
}

function metricsOf({ round, mean, median, max, gain, picked, finished, dropped, chosen }: Round) {
  return {
    ...{ round, 'objective/scores': mean, 'scores/median': median, 'scores/max': max, 'scores/gain': gain },
    ...{ 'scores/picked': picked, eos_rate: finished, 'prompts/dropped': dropped, 'prompts/chosen': chosen },
  };
}

function nothingToChoose({ round, finished, mean, max }: Round): UserError {
  const ended = `${(100 * finished).toFixed(0)}% of the answers came to an end`;
  return new UserError({
    where: `round ${round}`,
    expected: 'prompts with two finished answers of different rewards',
    found: `none (${ended}; the mean reward is ${mean}, that of each prompt's best ${max})`,
    advice: 'a larger --samples, --max-tokens or --temperature, or a model that was fine-tuned before',
  });
}
