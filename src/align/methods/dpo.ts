// Direct preference optimisation: learn from pairs of completions without a reward model, because the policy's own
// log-ratio to a reference is one. Rafailov et al. 2023 (arXiv:2305.18290); the relatives are in objectives/preference.ts.
// Departure: the reference's log-probabilities are computed once, before training.

import { UserError } from '../../engine/errors.ts';
import { cast, input, less, multiply, slice, total } from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import { joined } from '../../engine/runtime/backend.ts';
import type { JobContext } from '../../engine/runtime/job.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import { loadPreferenceRows } from '../data/load.ts';
import type { TokenRow } from '../data/token-row.ts';
import {
  type ChosenAndRejected,
  type PreferenceLossKind,
  type PreferenceLossOptions,
  preferenceLoss,
  preferenceLosses,
} from '../objectives/preference.ts';
import type { RunEvent } from '../run/events.ts';
import type { ModelBatch } from '../run/gradient-learner.ts';
import { completionLogProbs } from '../scoring/heads.ts';
import { type CompletionBatch, completionFeed, groupFeed } from '../scoring/layout.ts';
import {
  type CompletionRow,
  type PreferenceRunOptions,
  type PreferenceRunResult,
  trainOnPreferences,
  type WholeStep,
} from './preference-run.ts';

export interface DpoOptions extends PreferenceRunOptions {
  loss: PreferenceLossKind;
  /** > 0; default what the field starts from in this kind of loss. */
  beta?: number;
  labelSmoothing: number;
  targetMargin: number;
  likelihoodWeight: number;
}

export type DpoResult = PreferenceRunResult;

/** Trains a policy on preferences. @throws UserError before any training when models or data cannot be used */
export async function dpo(options: DpoOptions, context: JobContext<RunEvent>): Promise<DpoResult> {
  const { loss, reference, beta = preferenceLosses[loss].defaultBeta } = options;
  const { usesReference } = preferenceLosses[loss];
  if (!usesReference && reference !== undefined) {
    const expected = `none with --loss ${loss}, which uses no reference`;
    throw new UserError({ where: '--reference', expected, found: reference });
  }
  const objective: DpoObjective = { ...options, beta };
  const method = {
    ...{ name: 'dpo', usesReference, load: loadPreferenceRows, lossAtReference: lossAtReference(objective) },
    start:
      (_: unknown, { config }: { config: ModelConfig }) =>
      () =>
      (batch: CompletionBatch<CompletionRow>, whole: WholeStep) =>
        pairMicroBatch(config, batch, objective, whole),
    metrics: (measures: Record<string, number>) => measures,
  };
  return trainOnPreferences(options, method, context);
}

export interface DpoObjective extends Required<PreferenceLossOptions> {
  loss: PreferenceLossKind;
}

/** The loss where policy and reference are the same model; absent for losses without a reference. */
export function lossAtReference({ loss, beta, likelihoodWeight }: DpoObjective): number | undefined {
  if (likelihoodWeight !== 0) return undefined;
  const losses: Partial<Record<PreferenceLossKind, number>> = {
    ...{ dpo: Math.LN2, cdpo: Math.LN2, robust: Math.LN2, hinge: 1 },
    ...{ ipo_sum: (1 / (2 * beta)) ** 2, ipo_mean: (1 / (2 * beta)) ** 2 },
  };
  return losses[loss];
}

/** Summed log-probabilities of the pairs, the loss, and the measures that people watch: parts of the step's means. */
export function pairMicroBatch(
  config: ModelConfig,
  batch: CompletionBatch<CompletionRow>,
  { loss: kind, ...options }: DpoObjective,
  whole: WholeStep,
): ModelBatch {
  const head = completionLogProbs(batch);
  const { B } = batch.shape;
  return {
    key: head.key,
    graph(parameters) {
      const policy = split(head.graph(config, parameters), B);
      const reference = preferenceLosses[kind].usesReference
        ? split(input('reference', [2 * B]), B)
        : undefined;
      const tokenCounts = split(input('tokenCounts', [2 * B]), B);
      const { loss, rewards, margin } = preferenceLoss(kind, { policy, reference, tokenCounts }, options);
      return {
        loss: weighted(loss),
        measures: {
          'rewards/chosen': weighted(rewards.chosen),
          'rewards/rejected': weighted(rewards.rejected),
          'rewards/margins': weighted(margin),
          'rewards/accuracies': weighted(cast(less(0, margin), 'float')),
          'logps/chosen': weighted(policy.chosen),
          'logps/rejected': weighted(policy.rejected),
        },
      };
    },
    rows: head.rows,
    feeds: () =>
      joined(head.feeds(), {
        reference: completionFeed(batch, ({ reference }, k) => reference?.[k] ?? 0),
        tokenCounts: completionFeed(batch, ({ completions }, k) => countTargets(completions[k]), 1),
        weights: groupFeed(batch, () => 1 / whole.rows.length),
      }),
    describe: whole.describe,
  };
}

/** The first token has no past and is never a target. */
function countTargets({ isTrained }: TokenRow): number {
  return isTrained.reduce((count, flag, i) => count + (i > 0 ? flag : 0), 0);
}

function split(both: Tensor, B: number): ChosenAndRejected {
  return { chosen: slice(both, 0, 0, B), rejected: slice(both, 0, B, 2 * B) };
}

/** Σ weight · value: a micro-batch's part of the mean over the step's pairs. */
function weighted(values: Tensor): Tensor {
  return total(multiply(values, input('weights', values.shape)));
}
