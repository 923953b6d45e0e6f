import { describe, expect, it } from 'vitest';
import { StopStringScanner } from './stop-strings.ts';

/** What a reader sees piece by piece, and the end. */
function scan(stopStrings: readonly string[], pieces: readonly string[]) {
  const scanner = new StopStringScanner(stopStrings);
  const shown = pieces.map((piece) => scanner.push(piece));
  return { shown, rest: scanner.end(), text: scanner.text, isStopped: scanner.isStopped };
}

describe('StopStringScanner', () => {
  it('finds a stop string across pieces and shows nothing of it', () => {
    expect(scan(['\n\nQ:'], ['yes.\n', '\n', 'Q: what'])).toEqual({
      shown: ['yes.', '', ''],
      rest: '',
      text: 'yes.',
      isStopped: true,
    });
  });

  it('shows what was held back once it cannot become a stop string', () => {
    expect(scan(['END'], ['the E', 'N', 'T', '. E'])).toEqual({
      shown: ['the ', '', 'ENT', '. '],
      rest: 'E',
      text: 'the ENT. E',
      isStopped: false,
    });
  });

  it('holds back from the earliest possible beginning: "aab" in "aaab"', () => {
    expect(scan(['aab'], ['a', 'a', 'a', 'b', 'c'])).toEqual({
      shown: ['', '', 'a', '', ''],
      rest: '',
      text: 'a',
      isStopped: true,
    });
  });

  it('cuts at the first of several stop strings', () => {
    expect(scan(['def', 'c'], ['abcdef']).text).toBe('ab');
  });

  it('ignores what comes after the stop', () => {
    expect(scan(['x'], ['axb', 'c'])).toEqual({ shown: ['a', ''], rest: '', text: 'a', isStopped: true });
  });
});
