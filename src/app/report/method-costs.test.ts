import { describe, expect, it } from 'vitest';
import { methodCosts } from './method-costs.ts';
import type { StageRole } from './roles.ts';

const stage = (name: string, seconds: number, generated: number, trained: number) => ({
  ...{ name, command: name.split('-')[0], status: 'done', seconds },
  ...{ tokens_generated: generated, tokens_trained: trained },
});

const methods = (...names: string[]): StageRole[] =>
  names.map((name) => ({ name, command: name.split('-')[0], role: 'method', needs: [] }));

describe('methodCosts', () => {
  it('sets the largest run of each command against the mean of these', () => {
    const stages = [stage('reject', 10, 300, 100), stage('dpo', 20, 0, 500), stage('ppo', 30, 300, 300)];
    const { reject, dpo, ppo } = methodCosts(
      [...stages, stage('ppo-short', 99, 99, 99)],
      methods('reject', 'dpo', 'ppo', 'ppo-short'),
    );
    expect([reject, dpo, ppo].map((cost) => [cost.tokens, cost.share_of_mean])).toEqual([
      [400, { seconds: 0.5, tokens: 0.8 }],
      [500, { seconds: 1, tokens: 1 }],
      [600, { seconds: 1.5, tokens: 1.2 }],
    ]);
  });

  it('sets all runs against each other where they are of one command', () => {
    const stages = [stage('dpo-gentle', 10, 0, 100), stage('dpo-steep', 10, 0, 300)];
    const costs = methodCosts(stages, methods('dpo-gentle', 'dpo-steep'));
    expect(Object.values(costs).map(({ share_of_mean }) => share_of_mean.tokens)).toEqual([0.5, 1.5]);
  });

  it('has nothing where no method was trained', () => {
    expect(methodCosts([stage('sft', 10, 0, 100)], [])).toEqual({});
  });
});
