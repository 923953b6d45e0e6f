// What other models say of a model's answers: the divergence from a reference, the score of a reward model.
// Both go by the whole-row pass over the sampled ids, so a model against itself diverges by exactly 0.

import type { Backend } from '../../engine/runtime/backend.ts';
import type { FrozenBases, Model } from '../../language/checkpoint/checkpoint.ts';
import { requireContext, requireSameTokens } from '../../language/checkpoint/compatibility.ts';
import { openWeights } from '../../language/checkpoint/open-model.ts';
import type { TokenRow } from '../data/token-row.ts';
import { type ScoringOptions, sequenceLogProbs, sequenceScores } from '../scoring/sequences.ts';
import { standardScores } from '../scoring/standard-scores.ts';

/**
 * log π − log π_ref of each answer, both at `options.temperature`, nats. Its mean over samples of π at that temperature
 * estimates KL(π‖π_ref) without bias; single answers may be below 0.
 * @param rows prompt and answer; `isTrained` is 1 on the answer
 * @throws UserError when the reference has other tokens or a shorter context
 */
export async function divergences(
  backend: Backend,
  model: Model,
  reference: string,
  bases: FrozenBases,
  rows: readonly TokenRow[],
  options: ScoringOptions,
): Promise<number[]> {
  const other = await loadJudge('reference', reference, model, bases);
  requireRoom(reference, other, rows);
  const own = await sequenceLogProbs(backend, model, rows, options);
  const theirs = await sequenceLogProbs(backend, other, rows, options);
  return Array.from(own, (logProb, i) => logProb - theirs[i]);
}

/**
 * The reward model's score of each row, at its last token, on the scale on which rewards are paid.
 * @throws UserError when the folder holds no reward model, or one of other tokens or with a shorter context
 */
export async function rewards(
  backend: Backend,
  model: Model,
  reward: string,
  bases: FrozenBases,
  rows: readonly TokenRow[],
  options: ScoringOptions,
): Promise<number[]> {
  const judge = await loadJudge('reward', reward, model, bases);
  requireRoom(reward, judge, rows);
  return standardScores(judge, await sequenceScores(backend, judge, rows, options));
}

/** Which models judge another's answers. */
const judgeKinds = { reference: ['base', 'policy'], reward: ['reward'] } as const;

/**
 * Refuses, before anything is generated, models that cannot judge this one's answers.
 * @throws UserError for another kind or other tokens
 */
export async function checkJudges(
  paths: { [K in keyof typeof judgeKinds]?: string },
  model: Model,
  bases: FrozenBases,
): Promise<void> {
  for (const role of ['reference', 'reward'] as const) {
    const path = paths[role];
    if (path !== undefined) await loadJudge(role, path, model, bases);
  }
}

/** A whole reward model is not kept: it is needed last, alone. */
async function loadJudge(
  role: keyof typeof judgeKinds,
  path: string,
  model: Model,
  bases: FrozenBases,
): Promise<Model> {
  const { model: judge } = await openWeights(path, {
    expectKind: judgeKinds[role],
    bases,
    isFrozen: role === 'reference',
  });
  requireSameTokens(path, judge, model);
  return judge;
}

function requireRoom(path: string, { config }: Model, rows: readonly TokenRow[]): void {
  requireContext(
    path,
    config,
    rows.reduce((most, { ids }) => Math.max(most, ids.length), 0),
  );
}
