// What other models say of a model's answers: the divergence from a reference, the score of a reward model.
// Both go by the whole-row pass over the sampled ids, so a model against itself diverges by exactly 0.

import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../../engine/errors.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import { loadModel, locateModel, type Model } from '../../language/checkpoint/checkpoint.ts';
import type { TokenRow } from '../data/token-row.ts';
import { type ScoringOptions, sequenceLogProbs, sequenceScores } from '../scoring/sequences.ts';
import { standardScores } from '../scoring/standard-scores.ts';

/**
 * log π − log π_ref of each answer, both at `options.temperature`, nats. Its mean over samples of π at that temperature
 * estimates KL(π‖π_ref) without bias; single answers may be below 0.
 * @param rows prompt and answer; `isTrained` is 1 on the answer
 * @throws UserError when the reference has another vocabulary or a shorter context
 */
export async function divergences(
  backend: Backend,
  model: Model,
  reference: string,
  rows: readonly TokenRow[],
  options: ScoringOptions,
): Promise<number[]> {
  const other = await loadJudge('reference', reference, model);
  requireContext(reference, other, rows);
  const own = await sequenceLogProbs(backend, model, rows, options);
  const theirs = await sequenceLogProbs(backend, other, rows, options);
  return Array.from(own, (logProb, i) => logProb - theirs[i]);
}

/**
 * The reward model's score of each row, at its last token, on the scale on which rewards are paid.
 * @throws UserError when the folder holds no reward model, or one of another vocabulary or with a shorter context
 */
export async function rewards(
  backend: Backend,
  model: Model,
  reward: string,
  rows: readonly TokenRow[],
  options: ScoringOptions,
): Promise<number[]> {
  const judge = await loadJudge('reward', reward, model);
  requireContext(reward, judge, rows);
  return standardScores(judge, await sequenceScores(backend, judge, rows, options));
}

/** Which models judge another's answers. */
const judgeKinds = { reference: ['base', 'policy'], reward: ['reward'] } as const;

/**
 * Refuses, before anything is generated, models that cannot judge this one's answers.
 * @throws UserError for another kind or vocabulary
 */
export async function checkJudges(
  paths: { [K in keyof typeof judgeKinds]?: string },
  model: Model,
): Promise<void> {
  for (const role of ['reference', 'reward'] as const) {
    const path = paths[role];
    if (path !== undefined) await loadJudge(role, path, model);
  }
}

async function loadJudge(role: keyof typeof judgeKinds, path: string, model: Model): Promise<Model> {
  const judge = await loadModel(await locateModel(path), { expectKind: judgeKinds[role] });
  if (judge.config.vocabularySize === model.config.vocabularySize && haveSameTokens(judge, model))
    return judge;
  const expected = 'the same tokens as the model that answers';
  throw new UserError({ where: path, expected, found: 'another tokenizer' });
}

function requireContext(path: string, { config }: Model, rows: readonly TokenRow[]): void {
  const longest = rows.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  const context = config.maxPositions;
  if (longest <= context) return;
  const expected = `a context of at least ${longest} tokens, as the longest answer has with its prompt`;
  throw new UserError({ where: path, expected, found: `${context}`, advice: 'a lower --max-tokens' });
}

/** By their tokenizer.json, where both have one. */
function haveSameTokens(a: Model, b: Model): boolean {
  const [tokensOfA, tokensOfB] = [vocabularyOf(a), vocabularyOf(b)];
  return tokensOfA === undefined || tokensOfB === undefined || isDeepStrictEqual(tokensOfA, tokensOfB);
}

function vocabularyOf({ tokenizerFiles }: Model): unknown {
  const file = tokenizerFiles?.['tokenizer.json'];
  if (file === undefined) return undefined;
  const json = file instanceof Uint8Array ? JSON.parse(new TextDecoder().decode(file)) : file;
  return [json.model?.vocab, json.added_tokens];
}
