import { describe, expect, it } from 'vitest';
import { textKinds } from '../recipe/stage-inputs.ts';
import { optionSpecs } from './command.ts';
import { commands, stageCommands } from './commands.ts';

describe("a stage's options", () => {
  const texts = stageCommands.flatMap(({ name: command, options }) =>
    optionSpecs(options)
      .filter(({ kind, choices }) => kind === 'string' && !choices)
      .map(({ name }) => ({ command, name })),
  );

  it('that take any text are known to name something to read, or not to', () => {
    expect(texts.filter(({ name }) => !Object.hasOwn(textKinds, name))).toEqual([]);
  });

  it('are all that is known', () => {
    const names = texts.map(({ name }) => name);
    expect(Object.keys(textKinds).filter((name) => !names.includes(name))).toEqual([]);
  });
});

describe('every command that computes', () => {
  const bounded = commands.filter(({ options }) => 'threads' in options.shape);

  it.each(bounded.map(({ name, options }) => [name, options] as const))(
    'starts no more threads than a machine could use: %s',
    (_, options) => {
      const { error } = options.safeParse({ threads: 100_000 });
      expect(error?.issues).toContainEqual(expect.objectContaining({ code: 'too_big', path: ['threads'] }));
    },
  );
});

describe('every command that trains', () => {
  const training = commands.filter(({ options }) => 'weightDecay' in options.shape);
  const needed = { model: 'm', data: ['d'], out: 'o', reward: ['r'] };
  const issuesOf = (options: (typeof training)[number]['options'], given: object) =>
    options.safeParse({ ...needed, ...given }).error?.issues;

  it.each(training.map(({ name, options }) => [name, options] as const))(
    'refuses rates that leave no weight: %s',
    (_, options) => {
      const wiping = { learningRate: 10, weightDecay: 0.1 };
      expect(issuesOf(options, { ...wiping, weightDecay: 0.09 })).toBeUndefined();
      expect(issuesOf(options, wiping)).toMatchObject([{ code: 'custom', params: { found: '10 × 0.1' } }]);
      for (const beta of ['beta1', 'beta2']) {
        expect(issuesOf(options, { [beta]: 0.9999 })).toBeUndefined();
        expect(issuesOf(options, { [beta]: 1 })).toMatchObject([{ code: 'too_big', path: [beta] }]);
      }
    },
  );

  it.each(training.map(({ name, options }) => [name, options] as const))(
    'saves on the way unasked, so that a crash costs minutes: %s',
    (name, options) => {
      expect(options.parse(needed)).toMatchObject({ saveEvery: name === 'ppo' ? 20 : 500 });
    },
  );

  it('judges the rate of the critic too', () => {
    const { options } = commands.find(({ name }) => name === 'ppo')!;
    expect(issuesOf(options, { valueLearningRate: 20, weightDecay: 0.1 })).toMatchObject([
      { message: expect.stringMatching(/^--value-learning-rate × --weight-decay below 1/) },
    ]);
  });
});
