import { describe, expect, it } from 'vitest';
import { fromStored, toStored } from './stored-names.ts';

const step = {
  ...{ type: 'step', step: 3, gradientNorm: 0.5, tokensPerSecond: 90, learningRate: 1e-3 },
  metrics: { 'objective/kl': 1, tokensGenerated: 2, my_own: 3 },
};
const state = {
  tokens: 9,
  learner: { skippedInARow: 0, monitor: { klHistory: [1, 2], streaks: { eos_rate: { lastInsideStep: 4 } } } },
  rounds: [{ tokensGenerated: 5, stopped: null }],
};

describe('toStored', () => {
  it('gives our records’ keys in snake_case at every depth', () => {
    expect(toStored(state)).toEqual({
      tokens: 9,
      learner: {
        skipped_in_a_row: 0,
        monitor: { kl_history: [1, 2], streaks: { eos_rate: { last_inside_step: 4 } } },
      },
      rounds: [{ tokens_generated: 5, stopped: null }],
    });
  });

  it('leaves names that others give: metrics, options, stages, and any key that is not of the list', () => {
    expect(toStored(step)).toEqual({
      ...{ type: 'step', step: 3, gradient_norm: 0.5, tokens_per_second: 90, learning_rate: 1e-3 },
      metrics: { 'objective/kl': 1, tokensGenerated: 2, my_own: 3 },
    });
    const others: unknown = { 'max-steps': 3, myColumn: 'a', 'ppo-noKl': { rowsOfMine: 1 } };
    expect(toStored(others)).toEqual(others);
  });

  it('is undone by fromStored', () => {
    for (const record of [step, state]) expect(fromStored(toStored(record))).toEqual(record);
  });

  it('does not compile for a key that the list lacks', () => {
    // @ts-expect-error
    expect(toStored({ nested: [{ neverListed: 1 }] })).toEqual({ nested: [{ neverListed: 1 }] });
    // @ts-expect-error
    expect(toStored({ alsoNever: 1 })).toEqual({ alsoNever: 1 });
  });
});
