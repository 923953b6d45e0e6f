import { describe, expect, it } from 'vitest';
import { FormatError, nearestWord, ShapeError, UserError } from './errors.ts';

describe('UserError', () => {
  it('reads where, expected, found and advice', () => {
    const error = new UserError({
      where: 'data.jsonl:3',
      expected: 'a string in "output"',
      found: 'a number',
      advice: '`heed data inspect`',
    });
    expect(error.message).toBe(
      'data.jsonl:3: expected a string in "output", got a number. Try `heed data inspect`.',
    );
  });

  it('ends without advice where there is none', () => {
    expect(new UserError({ where: 'x', expected: 'a', found: 'b' }).message).toBe('x: expected a, got b.');
  });

  it('keeps its parts and its cause', () => {
    const cause = new Error('disk');
    const mistake = { where: 'x', expected: 'a', found: 'b' };
    const error = new UserError(mistake, { cause });
    expect(error.mistake).toBe(mistake);
    expect(error.cause).toBe(cause);
  });

  it.each([FormatError, ShapeError])('is what every special mistake is, under its own name', (Special) => {
    const error = new Special({ where: 'x', expected: 'a', found: 'b' });
    expect(error).toBeInstanceOf(UserError);
    expect(String(error)).toBe(`${Special.name}: x: expected a, got b.`);
  });
});

describe('nearestWord', () => {
  const known = ['--max-steps', '--model', '--seed', '--resume'];

  it('finds the word that was meant', () => {
    expect(nearestWord('--max-step', known)).toBe('--max-steps');
    expect(nearestWord('--sede', known)).toBe('--seed');
    expect(nearestWord('--modle', known)).toBe('--model');
  });

  it('finds none where nothing is near', () => {
    expect(nearestWord('--temperature', known)).toBeUndefined();
    expect(nearestWord('', known)).toBeUndefined();
    expect(nearestWord('x', [])).toBeUndefined();
  });

  it('takes the first of equally near words', () => {
    expect(nearestWord('--lend', ['--send', '--lent'])).toBe('--send');
  });
});
