// The reward of a completion, from any mixture of reward models and functions: one scorer for every method that samples.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { UserError } from '../../engine/errors.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import type { FrozenBases } from '../../language/checkpoint/checkpoint.ts';
import { requireSameTokens, type TokenModel } from '../../language/checkpoint/compatibility.ts';
import { openWeights } from '../../language/checkpoint/open-model.ts';
import type { Weights } from '../../language/model/weights.ts';
import type { TokenRow } from '../data/token-row.ts';
import type { RoleModel } from '../run/role-memory.ts';
import { TokenPasses } from '../scoring/heads.ts';
import { sequenceScores } from '../scoring/sequences.ts';
import { standardScores } from '../scoring/standard-scores.ts';
import { importModule } from './import-module.ts';

/** A reward model's folder, or a function that a module exports. Default weight: 1. */
export type RewardSpec = { weight?: number } & ({ model: string } | { module: string; name: string });

/** Paths of the reward models among them. */
export function modelsIn(specs: readonly RewardSpec[]): string[] {
  return specs.flatMap((spec) => ('model' in spec ? [spec.model] : []));
}

export interface RewardedAnswer {
  prompt: string;
  /** The answer's text, without the token that ends it. */
  completion: string;
  /** The prompt's own row of the data, for functions that need more than text. */
  row: Record<string, unknown>;
  /** Prompt and answer; a reward model reads its score at the last of them. */
  tokens: TokenRow;
}

/**
 * What a module gives: a number for each completion, in their order. A function `close` that it exports besides is called
 * at the end of the run.
 */
export type RewardFunction = (
  answers: readonly Omit<RewardedAnswer, 'tokens'>[],
) => ArrayLike<number> | Promise<ArrayLike<number>>;

/** One of the rewards, without its weight. */
export interface RewardMember {
  name: string;
  weight: number;
  /** A model's score is (raw − mean) / deviation where it has rewardStatistics. */
  score(answers: readonly RewardedAnswer[]): Promise<Float64Array>;
  close(): Promise<void>;
  /** Where it is one. */
  model?: Weights;
}

export interface Rewards {
  members: readonly RewardMember[];
  /** Σ weight · member, in the order of the answers; zeros where there is no reward. @throws UserError naming a prompt whose reward is not finite */
  score(answers: readonly RewardedAnswer[]): Promise<Float64Array>;
  close(): Promise<void>;
}

/** Positions a run of a reward model. */
const batchTokens = 4096;

export interface RewardScoring {
  /** Of the models that are open, whose arrays a reward model may share. */
  bases?: FrozenBases;
  /** Reward models compute a prompt once for the completions that share it. */
  sharePrompts?: boolean;
  /** Reward models by path, for several rewards that name the same: it scores a completion once. */
  models?: Map<string, Scorer>;
}

/**
 * @param policy whose completions are scored; a reward model must have its tokens. Not compared where absent
 * @throws UserError when one of them cannot be used
 */
export async function loadRewards(
  specs: readonly RewardSpec[],
  backend: Backend,
  policy?: TokenModel,
  scoring: RewardScoring = {},
): Promise<Rewards> {
  const members: RewardMember[] = [];
  const close = async () => {
    for (const member of members) await member.close();
  };
  try {
    for (const spec of specs) members.push(await loadMember(spec, backend, policy, scoring));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    members,
    async score(answers) {
      const sum = new Float64Array(answers.length);
      for (const member of members) {
        const own = await member.score(answers);
        for (let i = 0; i < sum.length; i++) sum[i] += member.weight * own[i];
      }
      return sum;
    },
    close,
  };
}

/** The reward models among rewards, for the account of memory. */
export function rewardRoles({ members }: Rewards): RoleModel[] {
  return members.flatMap(({ model }) =>
    model ? [{ role: 'reward' as const, model, isTrained: false }] : [],
  );
}

async function loadMember(
  spec: RewardSpec,
  backend: Backend,
  policy: TokenModel | undefined,
  scoring: RewardScoring,
): Promise<RewardMember> {
  const { weight = 1 } = spec;
  const scorer =
    'model' in spec
      ? await scorerOfModel(spec.model, backend, policy, scoring)
      : await scorerOfFunction(spec);
  const name = 'model' in spec ? spec.model : spec.name;
  return {
    name,
    weight,
    async score(answers) {
      if (answers.length === 0) return new Float64Array(0);
      const values = await scorer.score(answers);
      requireFinite(name, answers, values);
      return Float64Array.from(values);
    },
    close: scorer.close,
    ...(scorer.model && { model: scorer.model }),
  };
}

export interface Scorer {
  score: (answers: readonly RewardedAnswer[]) => Promise<ArrayLike<number>>;
  close: () => Promise<void>;
  model?: Weights;
}

async function scorerOfModel(
  path: string,
  backend: Backend,
  policy: TokenModel | undefined,
  { bases, sharePrompts, models }: RewardScoring,
): Promise<Scorer> {
  const opened = models?.get(resolve(path));
  if (opened) return opened;
  const { model } = await openWeights(path, { expectKind: ['reward'], bases, isFrozen: true });
  if (policy) requireSameTokens(path, model, policy);
  const passes = new TokenPasses(backend);
  const known = new WeakMap<TokenRow, number>();
  const scorer: Scorer = {
    async score(answers) {
      const rows = answers.map(({ tokens }) => tokens).filter((row) => !known.has(row));
      const scores = await sequenceScores(backend, model, rows, { batchTokens, sharePrompts, passes });
      standardScores(model, scores).forEach((score, i) => void known.set(rows[i], score));
      return answers.map(({ tokens }) => known.get(tokens)!);
    },
    model,
    close: () => passes.release(),
  };
  models?.set(resolve(path), scorer);
  return scorer;
}

async function scorerOfFunction({ module, name }: { module: string; name: string }): Promise<Scorer> {
  const { call, close } = await importFunction(module, name);
  return {
    async score(answers) {
      const values = await called(call, name, answers);
      if (values?.length === answers.length) return values;
      throw new UserError({
        where: `reward ${name}`,
        expected: `${answers.length} numbers, one for each answer`,
        found: values?.length === undefined ? String(values) : `${values.length}`,
      });
    },
    close,
  };
}

async function importFunction(
  module: string,
  name: string,
): Promise<{ call: RewardFunction; close: () => Promise<void> }> {
  const url = module.startsWith('file:') ? module : pathToFileURL(resolve(module)).href;
  const fault = (found: string, cause?: unknown) =>
    new UserError(
      { where: `reward ${module}#${name}`, expected: 'a module that exports this function', found },
      { cause },
    );
  let exported: Record<string, unknown>;
  try {
    exported = await importModule(url);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw fault((cause as Error).message, cause);
  }
  const value = exported[name];
  if (typeof value === 'function') {
    return {
      call: value as RewardFunction,
      async close() {
        if (typeof exported.close === 'function') await exported.close();
      },
    };
  }
  const others = Object.keys(exported).filter((key) => typeof exported[key] === 'function');
  throw fault(`one that exports ${others.join(', ') || 'no function'}`);
}

async function called(
  call: RewardFunction,
  name: string,
  answers: readonly RewardedAnswer[],
): Promise<ArrayLike<number>> {
  try {
    return await call(answers);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const found =
      cause instanceof Error ? String(cause.stack).split('\n').slice(0, 2).join('') : String(cause);
    throw new UserError({ where: `reward ${name}`, expected: 'numbers', found }, { cause });
  }
}

function requireFinite(name: string, answers: readonly RewardedAnswer[], values: ArrayLike<number>): void {
  const wrong = answers.findIndex((_, i) => !Number.isFinite(values[i]));
  if (wrong < 0) return;
  const { prompt, completion } = answers[wrong];
  throw new UserError({
    where: `reward ${name} of the prompt ${JSON.stringify(prompt.slice(-120))}`,
    expected: 'a finite number',
    found: `${values[wrong]} for the answer ${JSON.stringify(completion.slice(0, 80))}`,
  });
}
