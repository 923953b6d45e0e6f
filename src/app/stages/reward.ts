// A reward model, trained on comparisons.

import { z } from 'zod';
import type { reward as method, RewardResult } from '../../align/methods/reward.ts';
import { rewardLossKinds } from '../../align/methods/reward-objective.ts';
import { showInterval } from './interval-text.ts';
import { texts } from './options.ts';
import { defineStage, jobOf } from './stage.ts';
import { line, type Summary, table } from './summary.ts';
import { preferenceOptions, trainingSchema } from './training-options.ts';

export const reward = defineStage({
  name: 'reward',
  description: 'train a reward model on preferences or rankings',
  schema: trainingSchema({
    ...preferenceOptions,
    data: texts('input', 'JSONL of preferences (chosen, rejected) or rankings (ranked)'),
    evalData: texts('input', 'held-out preferences on which the finished model is measured').optional(),
    sftCompletions: texts(
      'input',
      'completions of the SFT model whose scores are normalised to mean 0 and deviation 1 (default: those of --data)',
    ).optional(),
    loss: z
      .enum(rewardLossKinds)
      .default('bradley-terry')
      .describe('loss of pairs, of all pairs of a ranking, or of whole rankings'),
    margin: z
      .number()
      .min(0)
      .default(0)
      .describe('bradley-terry: margin, multiplied by the strength of the preference'),
    centering: z
      .number()
      .min(0)
      .default(0)
      .describe('bradley-terry: coefficient of the penalty that centres scores at 0; 0.01 is usual'),
    learningRate: z.number().positive().default(3e-4).describe('peak learning rate'),
  }),
  job: jobOf<typeof method>(new URL('../../align/methods/reward.js', import.meta.url), 'reward'),
  models: [{ role: 'reward model', option: 'model', weights: 'trained' }],
  work: { textsPerRow: 2 },
  summary: ({ model, steps, data, loss, quality }) => [
    line(`${model}: ${steps} updates, ${data.kept} rows, loss ${loss.toFixed(4)}`),
    ...qualityOf(quality),
  ],
});

function qualityOf(quality: RewardResult['quality']): Summary {
  if (!quality?.accuracy) return [];
  const { accuracy, accuracy_by_strength = {}, calibration, length_correlation } = quality;
  const accuracies = [
    ['all', accuracy] as const,
    ...Object.entries(accuracy_by_strength).map(([strength, own]) => [`strength ${strength}`, own] as const),
    ['without length', quality.accuracy_without_length!] as const,
    ['by length alone', quality.accuracy_of_length!] as const,
  ];
  const length = length_correlation ? showInterval(length_correlation) : 'none';
  return [
    table(
      ['held-out pairs', 'accuracy'],
      accuracies.map(([name, interval]) => [name, showInterval(interval)]),
    ),
    line(`calibration error ${calibration!.ece.toFixed(3)}; correlation with length ${length}`),
  ];
}
