import { describe, expect, it } from 'vitest';
import { parseArguments } from '../cli/parse.ts';
import { stageCommand } from '../cli/stage-command.ts';
import { dpo } from './dpo.ts';

const required = ['dpo', '--model', 'm', '--data', 'd', '--out', 'o'];
const parsed = (...words: string[]) =>
  parseArguments([...required, ...words], [stageCommand(dpo)], { version: '1', write: () => {} })!.options;

describe('heed dpo', () => {
  it.each([
    [
      ['--label-smoothing', '0.3'],
      '--label-smoothing: expected 0.1 with --loss dpo; it belongs to cdpo, robust, got 0.3.',
    ],
    [
      ['--loss', 'orpo', '--target-margin', '2'],
      '--target-margin: expected 1 with --loss orpo; it belongs to simpo, got 2.',
    ],
    [
      ['--loss', 'cdpo', '--target-margin', '0'],
      '--target-margin: expected 1 with --loss cdpo; it belongs to simpo, got 0.',
    ],
  ])('refuses %j, which the loss would not read', (words, message) => {
    expect(() => parsed(...words)).toThrow(message);
  });

  it('takes them where the loss reads them, and their usual values anywhere', () => {
    expect(parsed('--loss', 'robust', '--label-smoothing', '0.3')).toMatchObject({ labelSmoothing: 0.3 });
    expect(parsed('--loss', 'simpo', '--target-margin', '2')).toMatchObject({ targetMargin: 2 });
    const usual = { loss: 'ipo_sum', labelSmoothing: 0.1, targetMargin: 1 };
    expect(parsed('--loss', 'ipo_sum')).toMatchObject(usual);
    expect(parsed('--loss', 'ipo_sum', '--label-smoothing', '0.1')).toMatchObject(usual);
  });
});
