import { describe, expect, it } from 'vitest';
import { RunEvents } from '../../align/run/events.ts';
import { showRun } from './show-run.ts';
import { Terminal, type TerminalOptions } from './terminal.ts';
import { visible } from './visible.ts';

/** A stream that remembers what was written. */
function memory(isTTY = false, columns = 80) {
  const stream = {
    isTTY,
    columns,
    text: '',
    write(text: string) {
      stream.text += text;
    },
  };
  return stream;
}

function open(options: Partial<TerminalOptions> & { isTTY?: boolean; columns?: number } = {}) {
  const [stdout, stderr] = [memory(options.isTTY, options.columns), memory(options.isTTY, options.columns)];
  const clock = { ms: 0 };
  const now = () => clock.ms;
  const terminal = new Terminal({ stdout, stderr, environment: {}, json: false, now, ...options });
  return { terminal, stdout, stderr, clock };
}

const step = (n: number, loss: number) =>
  ({
    type: 'step',
    step: n,
    epoch: 1,
    loss,
    tokens: 64 * n,
    tokensPerSecond: 640,
    gradientNorm: 1,
    learningRate: 0.001,
  }) as const;

describe('the terminal', () => {
  it('keeps stdout for the result with --json', () => {
    const { terminal, stdout, stderr } = open({ json: true });
    terminal.line('for people');
    terminal.result({ loss: 1.5 });
    expect(stdout.text).toBe('{"loss":1.5}\n');
    expect(stderr.text).toBe('for people\n');
  });

  it('prints no JSON unless asked', () => {
    const { terminal, stdout } = open();
    terminal.line('for people');
    terminal.result({ loss: 1.5 });
    expect(stdout.text).toBe('for people\n');
  });

  it.each([
    [{}, true, true],
    [{}, false, false],
    [{ NO_COLOR: '1' }, true, false],
    [{ NO_COLOR: '' }, true, true],
    [{ FORCE_COLOR: '1' }, false, true],
    [{ FORCE_COLOR: '0' }, true, false],
    [{ NO_COLOR: '1', FORCE_COLOR: '1' }, true, false],
    [{ TERM: 'dumb' }, true, false],
  ])('with %j on a terminal (%s) has colours: %s', (environment, isTTY, expected) => {
    const { terminal } = open({ environment, isTTY });
    expect(terminal.coloured('x', 'red') !== 'x').toBe(expected);
  });

  it('aligns a table by what the eye sees', () => {
    const { terminal, stdout } = open();
    const rows = [
      ['안녕', 7],
      ['hello', 120],
    ];
    terminal.table(['text', 'tokens'], rows);
    expect(stdout.text.split('\n')).toEqual(['text   tokens', '안녕        7', 'hello     120', '']);
  });
});

describe('untrusted text', () => {
  it.each([
    ['\x1b[2J\x1b]0;owned\x07', '\\x1b[2J\\x1b]0;owned\\x07'],
    ['user\u202egpj.exe', 'user\\u{202e}gpj.exe'],
    ['a\rb\x9bc', 'a\\x0db\\x9bc'],
    ['two\nlines\tand 한글 👩‍💻', 'two\nlines\tand 한글 👩‍💻'],
    ['half \ud83d', 'half \\u{d83d}'],
  ])('%j is shown without power over the terminal', (text, shown) => {
    expect(visible(text)).toBe(shown);
  });
});

describe('a run on the terminal', () => {
  it('is redrawn in place at most ten times a second', () => {
    const { terminal, stderr, clock } = open({ isTTY: true });
    const events = new RunEvents();
    events.subscribe(showRun(terminal));
    events.emit({ type: 'started', step: 0, command: 'sft', totalSteps: 1000, device: 'cpu' });
    for (let n = 1; n <= 1000; n++) {
      clock.ms += 1;
      events.emit(step(n, 2));
    }
    expect(stderr.text.split('\r').length - 1).toBe(10);
  });

  it('shows rate, time left, loss and learning rate', () => {
    const { terminal, stderr, clock } = open({ isTTY: true, columns: 200 });
    const show = showRun(terminal);
    show({ type: 'started', step: 0, command: 'sft', totalSteps: 400, device: 'cpu' });
    clock.ms = 10_000;
    show(step(100, 2.34567));
    expect(stderr.text).toContain(
      'sft ██████░░░░░░░░░░░░░░░░░░ 100/400 steps · 10 steps/s · 30 s left · loss 2.346 · lr 0.001 · 640 tokens/s',
    );
  });

  it('counts the rate of a resumed run from where it resumed', () => {
    const { terminal, stderr, clock } = open({ isTTY: true, columns: 200 });
    const show = showRun(terminal);
    show({ type: 'resumed', step: 300, totalSteps: 400, device: 'cpu' });
    clock.ms = 10_000;
    show(step(350, 2));
    expect(stderr.text).toContain('350/400 steps · 5 steps/s · 10 s left');
  });

  it('is a plain line every five seconds and one at the end where nobody watches', () => {
    const { terminal, stderr, clock } = open();
    const show = showRun(terminal);
    show({ type: 'started', step: 0, command: 'sft', totalSteps: 120, device: 'cpu' });
    for (let n = 1; n <= 120; n++) {
      clock.ms += 100;
      show(step(n, 2));
    }
    show({ type: 'finished', step: 120, tokens: 7680, seconds: 12, outcome: 'done' });
    const lines = stderr.text.split('\n');
    expect(lines.map((line) => line.split(' · ')[0])).toEqual([
      ...['sft: 120 steps on cpu', 'sft 50/120 steps', 'sft 100/120 steps', 'sft 120/120 steps', ''],
    ]);
    expect(stderr.text).not.toContain('\x1b');
    expect(lines[3]).toContain('in 12 s');
  });

  it('makes room for a sample, which cannot steer the terminal', () => {
    const { terminal, stderr } = open({ isTTY: true, environment: { NO_COLOR: '1' } });
    const show = showRun(terminal);
    show({ type: 'started', step: 0, command: 'sft', totalSteps: 10, device: 'cpu' });
    show(step(1, 2));
    show({ type: 'sample', step: 1, prompt: 'Hi', completion: '\x1b[8mhidden' });
    expect(stderr.text).toContain('\r\x1b[0J\\x1b[8mhidden\n');
  });

  it('never wraps: a line stops before the last column', () => {
    const { terminal, stderr } = open({ isTTY: true, columns: 40 });
    const show = showRun(terminal);
    show({ type: 'started', step: 0, command: 'sft', totalSteps: 10, device: 'cpu' });
    show(step(1, 2));
    expect(stderr.text.split('\r\x1b[0J').at(-1)!.length).toBe(39);
  });
});

describe('several works at once', () => {
  it('have a line each below what they say, by name', () => {
    const { terminal, stdout, stderr, clock } = open({ isTTY: true, environment: { NO_COLOR: '1' } });
    const [first, second] = ['reward', 'dpo'].map((name) => terminal.named(name));
    const line = first.progress({ label: 'reward', unit: 'steps', total: 4 });
    const other = second.progress({ label: 'reference', unit: 'tokens', total: 10 });
    line.update(1);
    clock.ms = 1000;
    other.update(5);
    const shown = () => stderr.text.split('\x1b[0J').at(-1)!;
    expect(shown().split('\n')).toEqual([
      expect.stringMatching(/^reward ██████░+ 1\/4 steps/),
      expect.stringMatching(/^dpo reference █{12}░{12} 5\/10 tokens/),
    ]);
    second.warn('short');
    expect(stderr.text).toContain('\r\x1b[1A\x1b[0Jdpo warning: short\n');
    line.finish();
    expect(shown()).toMatch(/^dpo reference/);
    second.piece('a ');
    terminal.line('between');
    second.line('b');
    expect(stdout.text).toBe('between\ndpo a b\n');
  });
});
