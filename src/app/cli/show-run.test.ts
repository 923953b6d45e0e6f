import { expect, it } from 'vitest';
import { showRun } from './show-run.ts';
import { Terminal } from './terminal.ts';

it('an alarm is shown with its step, and cannot steer the terminal', () => {
  let text = '';
  const stream = { isTTY: false, columns: 80, write: (part: string) => (text += part) };
  const terminal = new Terminal({
    stdout: stream,
    stderr: stream,
    environment: {},
    json: false,
    now: () => 0,
  });
  showRun(terminal)({
    type: 'alarm',
    step: 40,
    signals: [],
    message: 'length 10.2\x1b[2J (usually 31 … 88)',
  });
  expect(text).toBe('warning: alarm at step 40: length 10.2\\x1b[2J (usually 31 … 88)\n');
});
