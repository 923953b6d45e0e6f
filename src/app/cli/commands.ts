// Every command of heed, in the order of --help. Heavy imports belong inside a command's `run`.

import type { Command } from './command.ts';
import { chat } from './commands/chat.ts';
import { compare } from './commands/compare.ts';
import { doctor } from './commands/doctor.ts';
import { dpo } from './commands/dpo.ts';
import { evaluate } from './commands/eval.ts';
import { generate } from './commands/generate.ts';
import { kata } from './commands/kata.ts';
import { label } from './commands/label.ts';
import { ppo } from './commands/ppo.ts';
import { pretrain } from './commands/pretrain.ts';
import { quickstartCommand } from './commands/quickstart.ts';
import { reject } from './commands/reject.ts';
import { report } from './commands/report.ts';
import { reward } from './commands/reward.ts';
import { runCommand } from './commands/run.ts';
import { score } from './commands/score.ts';
import { sft } from './commands/sft.ts';
import { tokenizerEncode, tokenizerTrain } from './commands/tokenizer.ts';

/** What a recipe's stages may be. */
export const stageCommands: readonly Command[] = [
  tokenizerTrain,
  tokenizerEncode,
  kata,
  pretrain,
  sft,
  reward,
  reject,
  dpo,
  ppo,
  label,
  generate,
  chat,
  score,
  evaluate,
  compare,
  doctor,
];

export const commands: readonly Command[] = [
  quickstartCommand(stageCommands),
  runCommand(stageCommands),
  ...stageCommands,
  report,
];
