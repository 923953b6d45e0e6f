// What the runner of recipes must know of a command. The registry of commands lies above this folder and is handed in.

import type { z } from 'zod';

export interface StageOption {
  /** In code, such as `maxSteps`. */
  name: string;
  /** In a recipe, such as `max-steps`. */
  word: string;
  isList: boolean;
  choices: readonly string[] | undefined;
  description: string;
  /** What a value must be, such as `an integer, at least 1`. */
  expected: string;
}

export interface StageCommand {
  name: string;
  /** Checks options by their name in code, and fills in defaults. */
  schema: z.ZodObject;
  options: readonly StageOption[];
  /** Part of a stage's key: raised when the same options come to give another result. */
  revision?: number;
}

export function hasOption(command: StageCommand, name: string): boolean {
  return command.options.some((option) => option.name === name);
}
