// The program: parse, run, print, exit. The only place that ends the process.
// Exit codes: 0 done, 1 the user's mistake, 2 a bug in heed, 130 or 143 stopped by a signal.

import { constants } from 'node:os';
import { recipeText } from '../../align/run/recipe.ts';
import { UserError } from '../../engine/errors.ts';
import { heedVersion } from '../version.ts';
import { commands } from './commands.ts';
import { type Invocation, parseArguments } from './parse.ts';
import { Terminal } from './terminal.ts';

/** Runs `heed` with the words after it, and exits. */
export async function main(words: string[]): Promise<void> {
  const isJson = untilDashes(words).includes('--json');
  const { stdout, stderr } = process;
  const terminal = new Terminal({ stdout, stderr, environment: process.env, json: isJson });
  const stop = new AbortController();
  stopOnSignals(stop, terminal);
  surviveClosedPipes(stop);
  process.on('uncaughtException', (error) => exit(reportBug(terminal, error)));
  exit(await perform(words, terminal, stop.signal));
}

async function perform(words: string[], terminal: Terminal, signal: AbortSignal): Promise<number> {
  try {
    const output = { version: heedVersion(), write: (text: string) => process.stdout.write(text) };
    const invocation = parseArguments(words, commands, output);
    if (invocation?.isDryRun) terminal.result(await showPlan(invocation, terminal));
    else if (invocation) {
      terminal.result(await invocation.command.run(invocation.options, terminal, signal));
    }
    return signal.aborted ? exitCodeOf(signal) : 0;
  } catch (error) {
    if (signal.aborted && error === signal.reason) return exitCodeOf(signal);
    if (error instanceof UserError) return reportMistake(terminal, error);
    return reportBug(terminal, error);
  }
}

async function showPlan({ command, options }: Invocation, terminal: Terminal): Promise<object> {
  if (command.plan) return command.plan.show(options, terminal);
  terminal.line(recipeText({ command: command.name, options }).trimEnd());
  return { command: command.name, options };
}

function reportMistake(terminal: Terminal, error: UserError): number {
  terminal.error(error.message);
  terminal.result({ error: error.mistake });
  return 1;
}

function reportBug(terminal: Terminal, error: unknown): number {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  terminal.error(`internal error: please report this bug\n${stack}`);
  terminal.result({ error: { bug: error instanceof Error ? error.message : String(error) } });
  return 2;
}

class Stopped extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('stopped');
    this.exitCode = exitCode;
  }
}

function exitCodeOf({ reason }: AbortSignal): number {
  return reason instanceof Stopped ? reason.exitCode : 0;
}

/** A signal that came to the whole process group, some wrappers such as npx pass on once more. */
const echoMs = 500;

/** The first signal asks the command to save and stop; the second ends at once. */
function stopOnSignals(stop: AbortController, terminal: Terminal): void {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  let firstAt = Number.NEGATIVE_INFINITY;
  for (const name of signals) {
    process.on(name, () => {
      const code = 128 + constants.signals[name];
      if (performance.now() - firstAt < echoMs) return;
      if (stop.signal.aborted) process.exit(code);
      firstAt = performance.now();
      terminal.note('stopping after this step; interrupt again to exit at once');
      stop.abort(new Stopped(code));
    });
  }
}

/** A reader that leaves (`| head`) stops the work quietly; a closed stderr stops nothing. */
function surviveClosedPipes(stop: AbortController): void {
  const ignoring = (act: () => void) => (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    act();
  };
  process.stdout.on(
    'error',
    ignoring(() => stop.abort(new Stopped(0))),
  );
  process.stderr.on(
    'error',
    ignoring(() => {}),
  );
}

/** Waits for pipes to drain first: on Windows they are written later. */
function exit(code: number): void {
  process.exitCode = code;
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
}

function untilDashes(words: string[]): string[] {
  const dashes = words.indexOf('--');
  return dashes < 0 ? words : words.slice(0, dashes);
}
