// The options that pretraining and fine-tuning share, with the defaults that suit small models.

import { z } from 'zod';
import { optionWord } from '../../align/run/recipe.ts';
import { scheduleKinds } from '../../engine/optimizer/schedule.ts';
import { stageOptions } from './stage-options.ts';

export const trainingOptions = {
  ...stageOptions,
  epochs: z.number().positive().default(1).describe('passes over the data'),
  batchSize: z.int().min(1).default(8).describe('rows (or windows) an update'),
  microBatchTokens: z
    .int()
    .min(1)
    .default(2048)
    .describe('positions computed at once; less takes less memory'),
  learningRate: z.number().positive().default(5e-4).describe('peak learning rate'),
  schedule: z.enum(scheduleKinds).default('cosine').describe('how the learning rate falls after the warm-up'),
  warmupRatio: z.number().min(0).max(1).default(0.03).describe('share of the updates in which it rises'),
  weightDecay: z.number().min(0).default(0.01).describe('decoupled decay of matrices and embeddings'),
  beta1: z.number().min(0).lt(1).default(0.9).describe('AdamW: memory of the gradient'),
  beta2: z.number().min(0).lt(1).default(0.999).describe('AdamW: memory of its square'),
  epsilon: z.number().positive().default(1e-8).describe('AdamW: added to the root'),
  clipNorm: z.number().positive().default(1).describe('largest global norm of the gradient'),
  saveEvery: z.int().min(1).default(500).describe('updates between checkpoints; one is saved at the end too'),
  keepLast: z.int().min(1).default(2).describe('checkpoints that stay'),
  dtype: z.enum(['F32', 'F16', 'BF16']).default('F32').describe('how the trained model’s weights are stored'),
  patience: z.int().min(1).default(5).describe('stop after so many updates in a row that were not finite'),
};

/** The schema of a command that trains: these options among its own, and rates that leave something of the weights. */
export function trainingSchema<Shape extends Record<'learningRate' | 'weightDecay', z.ZodType<number>>>(
  shape: Shape,
) {
  return z.object(shape).superRefine((options, context) => refuseWipingDecay(options as Decaying, context));
}

interface Decaying {
  learningRate: number;
  /** Of PPO's critic. */
  valueLearningRate?: number;
  weightDecay: number;
}

/** At 1 an update would wipe what decays, beyond it flip the sign. No schedule exceeds its peak rate. */
function refuseWipingDecay(options: Decaying, context: z.RefinementCtx): void {
  for (const name of ['learningRate', 'valueLearningRate'] as const) {
    const rate = options[name] ?? 0;
    if (rate * options.weightDecay < 1) continue;
    const message = `--${optionWord(name)} × --weight-decay below 1, the share that an update takes off a weight`;
    context.addIssue({ code: 'custom', message, params: { found: `${rate} × ${options.weightDecay}` } });
  }
}
