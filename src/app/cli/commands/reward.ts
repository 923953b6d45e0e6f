// heed reward: a model that scores answers the way people compared them.

import { z } from 'zod';
import type { RewardResult } from '../../../align/methods/reward.ts';
import { rewardLossKinds } from '../../../align/methods/reward-objective.ts';
import type { RunEvent } from '../../../align/run/events.ts';
import { runJob } from '../../../engine/runtime/job.ts';
import { defineCommand } from '../command.ts';
import { showInterval } from '../interval-text.ts';
import { preferenceOptions } from '../preference-options.ts';
import { showRun } from '../show-run.ts';
import { resolveComputing } from '../stage-options.ts';
import type { Terminal } from '../terminal.ts';
import { trainingSchema } from '../training-options.ts';

const files = () => z.array(z.string()).min(1).optional();

export const reward = defineCommand({
  name: 'reward',
  description: 'train a reward model on preferences or rankings',
  options: trainingSchema({
    ...preferenceOptions,
    data: z.array(z.string()).min(1).describe('JSONL of preferences (chosen, rejected) or rankings (ranked)'),
    evalData: files().describe('held-out preferences, to measure the finished model on'),
    sftAnswers: files().describe(
      'answers of the SFT model, whose mean score is 0 and deviation 1; the training answers unless given',
    ),
    loss: z
      .enum(rewardLossKinds)
      .default('bradley-terry')
      .describe('of pairs, of all pairs of a ranking, or of a ranking as a whole'),
    margin: z
      .number()
      .min(0)
      .default(0)
      .describe('bradley-terry: margin that is asked for, times the strength of the preference'),
    centering: z
      .number()
      .min(0)
      .default(0)
      .describe('bradley-terry: weight of what holds scores near 0; 0.01 is usual'),
    learningRate: z.number().positive().default(3e-4).describe('peak learning rate'),
  }),
  async run(options, terminal, signal) {
    const module = new URL('../../../align/methods/reward.js', import.meta.url).href;
    const job = { module, name: 'reward', payload: resolveComputing(options) };
    try {
      const result = await runJob<RunEvent, RewardResult>(job, { onEvent: showRun(terminal), signal });
      showResult(result, terminal);
      return result;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  },
});

function showResult({ model, steps, data, loss, quality }: RewardResult, terminal: Terminal): void {
  terminal.line(`${model}: ${steps} updates, ${data.kept} rows, loss ${loss.toFixed(4)}`);
  if (!quality?.accuracy) return;
  const { accuracy, accuracy_by_strength = {}, calibration, length_correlation } = quality;
  terminal.table(
    ['held-out pairs', 'agreement'],
    [
      ['all', showInterval(accuracy)],
      ...Object.entries(accuracy_by_strength).map(([strength, own]) => [
        `strength ${strength}`,
        showInterval(own),
      ]),
      ['without length', showInterval(quality.accuracy_without_length!)],
      ['by length alone', showInterval(quality.accuracy_of_length!)],
    ],
  );
  const length = length_correlation ? showInterval(length_correlation) : 'none';
  terminal.line(`calibration error ${calibration!.ece.toFixed(3)}; correlation with length ${length}`);
}
