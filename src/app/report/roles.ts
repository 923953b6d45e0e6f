// What each stage of a pipeline is there for, found by its command and by what its options refer to, never by its name.

import type { PipelineStage } from '../recipe/pipeline-file.ts';
import { namesReferredTo } from '../recipe/references.ts';

export type Role = 'base' | 'sft' | 'method' | 'reward' | 'labels' | 'evaluation' | 'data' | 'other';

export interface StageRole {
  /** The stage's, or the recipe's for a model that it brings along. */
  name: string;
  /** Absent for a model that the recipe brings along. */
  command?: string;
  role: Role;
  /** Stages and models that it reads. */
  needs: string[];
  /** The model that it trains on from, or evaluates. */
  from?: string;
  /** Of a policy: the model whose answers its own are compared with. */
  against?: string;
  /** Of a method: it pays nothing for its distance from the reference. */
  has_no_kl_penalty?: true;
  /** Of a method with a choice of losses. */
  loss?: string;
}

/** Every other command that takes a model is a method: a way of learning that this file need not know. */
const roles: Readonly<Record<string, Role>> = {
  ...{ kata: 'data', pretrain: 'base', sft: 'sft', reward: 'reward', label: 'labels', eval: 'evaluation' },
  ...{ generate: 'other', chat: 'other', score: 'other', compare: 'other', doctor: 'other' },
};

/** In the order of the recipe, the models that it brings along first. */
export function rolesOf(stages: readonly PipelineStage[]): StageRole[] {
  const own = stages.map(roleOf);
  const names = new Set(own.map(({ name }) => name));
  const brought = new Set(own.flatMap(({ from }) => (from === undefined || names.has(from) ? [] : [from])));
  const all = [...[...brought].map((name): StageRole => ({ name, role: 'base', needs: [] })), ...own];
  return all.map((each) => ({ ...each, ...withDefined({ against: startOf(each, all) }) }));
}

function roleOf({ name, command, options }: PipelineStage): StageRole {
  const from = namesReferredTo(options.model)[0];
  return {
    ...{ name, command, role: roles[command] ?? (options.model === undefined ? 'other' : 'method') },
    needs: namesReferredTo(Object.values(options).flat()),
    ...withDefined({ from, loss: options.loss as string | undefined }),
    ...(options.beta === 0 && { has_no_kl_penalty: true as const }),
  };
}

/** A policy is one of these. */
const policyRoles: readonly Role[] = ['base', 'sft', 'method'];

export function policiesOf(stages: readonly StageRole[]): StageRole[] {
  return stages.filter(({ role }) => policyRoles.includes(role));
}

export function methodsOf(stages: readonly StageRole[]): StageRole[] {
  return stages.filter(({ role }) => role === 'method');
}

/** The model that most methods started from; without methods, the last that was fine-tuned. */
export function mainStart(stages: readonly StageRole[]): string | undefined {
  const starts = methodsOf(stages).flatMap((method) => originOf(method, stages) ?? []);
  const count = (name: string) => starts.filter((start) => start === name).length;
  const [most] = [...new Set(starts)].sort((a, b) => count(b) - count(a));
  return most ?? stages.findLast(({ role }) => role === 'sft')?.name;
}

function startOf(stage: StageRole, stages: readonly StageRole[]): string | undefined {
  if (!policyRoles.includes(stage.role)) return undefined;
  const start = stage.role === 'method' ? originOf(stage, stages) : mainStart(stages);
  return start === stage.name ? undefined : start;
}

/** The model before the first of the methods that lead to this one. */
function originOf({ from }: StageRole, stages: readonly StageRole[]): string | undefined {
  const before = stages.find(({ name }) => name === from);
  return before?.role === 'method' ? originOf(before, stages) : from;
}

function withDefined<T extends object>(record: T): Partial<T> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as Partial<T>;
}
