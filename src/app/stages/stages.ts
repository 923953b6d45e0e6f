// Every stage, in the order of --help. A new one is a file beside this one and a line here.

import { compare } from './compare.ts';
import { dpo } from './dpo.ts';
import { evaluate } from './evaluate.ts';
import { generate } from './generate.ts';
import { grpo } from './grpo.ts';
import { kata } from './kata.ts';
import { kto } from './kto.ts';
import { label } from './label.ts';
import { merge } from './merge.ts';
import { ppo } from './ppo.ts';
import { pretrain } from './pretrain.ts';
import { reject } from './reject.ts';
import { reward } from './reward.ts';
import { rloo } from './rloo.ts';
import { score } from './score.ts';
import { sft } from './sft.ts';
import type { Stage } from './stage.ts';
import { tokenizer } from './tokenizer.ts';

export const stages = {
  tokenizer,
  kata,
  pretrain,
  sft,
  reward,
  reject,
  dpo,
  kto,
  ppo,
  grpo,
  rloo,
  merge,
  label,
  generate,
  score,
  evaluate,
  compare,
};

export const everyStage: readonly Stage[] = Object.values(stages);
