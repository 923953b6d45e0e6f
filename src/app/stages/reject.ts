// Rejection sampling: fine-tuning on the best of a policy's own completions.

import { z } from 'zod';
import type { reject as method, RejectOptions } from '../../align/methods/reject.ts';
import { generationOptions, promptData, rewardOption } from './shared-options.ts';
import { defineStage, jobOf } from './stage.ts';
import { line, table } from './summary.ts';
import { adapterOptions, trainingOptions, trainingSchema } from './training-options.ts';

const picks = ['best', 'random'] as const satisfies readonly RejectOptions['pick'][];

export const reject = defineStage({
  name: 'reject',
  description: 'rejection sampling: fine-tune a policy on the best of several completions of its own',
  schema: trainingSchema({
    ...trainingOptions,
    ...adapterOptions,
    ...generationOptions,
    data: promptData,
    reward: rewardOption,
    samples: z.int().min(2).default(4).describe('completions per prompt and round'),
    rounds: z.int().min(1).default(1).describe('rounds, each sampling from the newest model'),
    pick: z
      .enum(picks)
      .default('best')
      .describe('random is the control: as many completions, drawn at random'),
    epochs: z.number().positive().default(1).describe('passes over the chosen completions of a round'),
    batchSize: z.int().min(1).default(32).describe('completions per update'),
    microBatchTokens: trainingOptions.microBatchTokens.default(4096),
    learningRate: z.number().positive().default(3e-4).describe('peak learning rate of every round'),
  }),
  job: jobOf<typeof method>(new URL('../../align/methods/reject.js', import.meta.url), 'reject'),
  models: [
    { role: 'policy', option: 'model', weights: 'trained' },
    { role: 'reward model', option: 'reward', weights: 'frozen', passes: 1 },
  ],
  work: { generates: 'once', completions: ({ samples }) => samples },
  summary: ({ model, steps, rounds, klBound, loss }) => [
    table(
      ['round', 'mean reward', 'median', 'best', 'chosen', 'completions', 'prompts skipped'],
      rounds.map(({ round, mean, median, max, picked, chosen, dropped }) => [
        `${round}`,
        ...[mean, median, max, picked].map((reward) => reward.toFixed(3)),
        ...[`${chosen}`, `${dropped}`],
      ]),
    ),
    line(
      `${model}: ${steps} updates, loss ${loss.toFixed(4)}; best-of-n KL bound per round ${klBound.toFixed(3)} nats`,
    ),
  ],
});
