import { describe, expect, it } from 'vitest';
import { commands } from './commands.ts';

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
