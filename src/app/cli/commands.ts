// Every command of heed, in the order of --help. Heavy imports belong inside a command's `run`.

import { stages } from '../stages/stages.ts';
import type { Command } from './command.ts';
import { chat } from './commands/chat.ts';
import { doctor } from './commands/doctor.ts';
import { quickstart } from './commands/quickstart.ts';
import { report } from './commands/report.ts';
import { run } from './commands/run.ts';
import { tokenizerEncode } from './commands/tokenizer.ts';
import { stageCommand } from './stage-command.ts';

const { tokenizer, ...others } = stages;

export const commands: readonly Command[] = [
  quickstart,
  run,
  stageCommand(tokenizer),
  tokenizerEncode,
  ...Object.values(others).map((stage) => stageCommand(stage)),
  chat,
  doctor,
  report,
];
