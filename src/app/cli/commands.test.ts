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
