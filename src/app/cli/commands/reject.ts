// heed reject: fine-tune a policy on the best of its own answers.

import { z } from 'zod';
import type { RejectOptions, RejectResult } from '../../../align/methods/reject.ts';
import type { RewardSpec } from '../../../align/rollouts/rewards.ts';
import type { RunEvent } from '../../../align/run/events.ts';
import { runJob } from '../../../engine/runtime/job.ts';
import { defineCommand } from '../command.ts';
import { parseRewards, rewardOptions } from '../reward-specs.ts';
import { showRun } from '../show-run.ts';
import { resolveComputing, templateOption } from '../stage-options.ts';
import type { Terminal } from '../terminal.ts';
import { trainingOptions, trainingSchema } from '../training-options.ts';

const picks = ['best', 'random'] as const satisfies readonly RejectOptions['pick'][];

export const reject = defineCommand({
  name: 'reject',
  description: 'rejection sampling: fine-tune a policy on the best of several answers of its own',
  options: trainingSchema({
    ...trainingOptions,
    data: z
      .array(z.string())
      .min(1)
      .describe('JSONL of prompts: instruction, prompt, messages or prompt_ids'),
    template: templateOption,
    ...rewardOptions,
    samples: z.int().min(2).default(4).describe('answers to each prompt in a round'),
    rounds: z.int().min(1).default(1).describe('rounds, each sampling from the newest model'),
    temperature: z.number().positive().default(1).describe('divides the logits'),
    maxTokens: z.int().min(1).default(192).describe('most tokens of an answer'),
    generationBatchSize: z.int().min(1).default(64).describe('answers computed at once'),
    pick: z.enum(picks).default('best').describe('`random` is the control: as many answers, chosen blindly'),
    epochs: z.number().positive().default(1).describe('passes over the chosen answers of a round'),
    batchSize: z.int().min(1).default(32).describe('answers an update'),
    microBatchTokens: trainingOptions.microBatchTokens.default(4096),
    learningRate: z.number().positive().default(3e-4).describe('peak learning rate of every round'),
  }),
  async run(options, terminal, signal) {
    const module = new URL('../../../align/methods/reject.js', import.meta.url).href;
    const payload: RejectOptions & { specs: RewardSpec[] } = {
      ...resolveComputing(options),
      specs: parseRewards(options.reward),
    };
    const job = { module, name: 'reject', payload };
    try {
      const result = await runJob<RunEvent, RejectResult>(job, { onEvent: showRun(terminal), signal });
      showResult(result, terminal);
      return result;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  },
});

function showResult({ model, steps, rounds, klBound, loss }: RejectResult, terminal: Terminal): void {
  terminal.table(
    ['round', 'mean reward', 'median', 'best', 'chosen', 'answers', 'prompts left out'],
    rounds.map(({ round, mean, median, max, picked, chosen, dropped }) => [
      `${round}`,
      ...[mean, median, max, picked].map((reward) => reward.toFixed(3)),
      ...[`${chosen}`, `${dropped}`],
    ]),
  );
  terminal.line(
    `${model}: ${steps} updates, loss ${loss.toFixed(4)}; a round's choice moves it by ${klBound.toFixed(3)} nats at most`,
  );
}
