// A command is data: its name, a schema of its options, and what it does. Flags, --help, the keys of --config
// and every refusal are derived from the schema, so that they cannot disagree.

import type { z } from 'zod';
import type { Terminal } from './terminal.ts';

export interface Command<Schema extends z.ZodObject = z.ZodObject> {
  /** As typed after `heed`: `sft`, `tokenizer train`. */
  name: string;
  /** One line for --help. */
  description: string;
  /**
   * Options by camel-case name, each with `.describe()`: strings, numbers, booleans, enums and arrays of these.
   * `maxSteps` is `--max-steps` on the command line and `max-steps` in YAML.
   */
  options: Schema;
  /** An option whose value may stand alone: `heed run recipe.yaml`. */
  positional?: string;
  /** What --dry-run shows and --json prints, where that is more than the options. */
  plan?: {
    /** Completes `--dry-run` in --help: `print …, and stop`. */
    shows: string;
    show(options: z.output<Schema>, terminal: Terminal): Promise<object>;
  };
  /**
   * @param signal aborts at the first SIGINT or SIGTERM: save and return, or throw its reason
   * @returns what --json prints
   */
  run(options: z.output<Schema>, terminal: Terminal, signal: AbortSignal): Promise<object>;
}

/** Gives `run` the types of `options`. */
export function defineCommand<Schema extends z.ZodObject>(command: Command<Schema>): Command {
  return command;
}
