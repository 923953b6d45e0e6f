import { describe, expect, it } from 'vitest';
import { methodCosts } from './method-costs.ts';

const stage = (name: string, seconds: number, generated: number, trained: number) => ({
  ...{ name, command: name, status: 'done', seconds },
  ...{ tokens_generated: generated, tokens_trained: trained },
});

describe('methodCosts', () => {
  it('sets each method’s own tokens and time against the mean of the three', () => {
    const stages = [stage('reject', 10, 300, 100), stage('dpo', 20, 0, 500), stage('ppo', 30, 300, 300)];
    const { reject, dpo, ppo } = methodCosts([...stages, stage('ppo-no-kl', 99, 999, 999)]);
    expect([reject, dpo, ppo].map((cost) => [cost!.tokens, cost!.share_of_mean])).toEqual([
      [400, { seconds: 0.5, tokens: 0.8 }],
      [500, { seconds: 1, tokens: 1 }],
      [600, { seconds: 1.5, tokens: 1.2 }],
    ]);
  });

  it('has nothing where no method was trained', () => {
    expect(methodCosts([stage('sft', 10, 0, 100)])).toEqual({});
  });
});
