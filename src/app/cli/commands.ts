// Every command of heed, in the order of --help. Heavy imports belong inside a command's `run`.

import type { Command } from './command.ts';
import { doctor } from './commands/doctor.ts';
import { tokenizerEncode, tokenizerTrain } from './commands/tokenizer.ts';

export const commands: readonly Command[] = [tokenizerTrain, tokenizerEncode, doctor];
