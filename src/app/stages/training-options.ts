// The options that all training has in common, with the defaults that suit small models, and those of preferences.

import { z } from 'zod';
import { optionWord } from '../../align/run/recipe.ts';
import { scheduleKinds } from '../../engine/optimizer/schedule.ts';
import { texts } from './options.ts';
import { stageOptions, template } from './shared-options.ts';

export const trainingOptions = {
  ...stageOptions,
  epochs: z.number().positive().default(1).describe('passes over the data'),
  batchSize: z.int().min(1).default(8).describe('rows (or windows) per update'),
  microBatchTokens: z
    .int()
    .min(1)
    .default(2048)
    .describe('positions computed at once; a smaller number takes less memory'),
  learningRate: z.number().positive().default(5e-4).describe('peak learning rate'),
  schedule: z.enum(scheduleKinds).default('cosine').describe('learning-rate decay after warm-up'),
  warmupRatio: z.number().min(0).max(1).default(0.03).describe('fraction of updates for warm-up'),
  weightDecay: z.number().min(0).default(0.01).describe('decoupled weight decay of matrices and embeddings'),
  beta1: z.number().min(0).lt(1).default(0.9).describe('AdamW β₁'),
  beta2: z.number().min(0).lt(1).default(0.999).describe('AdamW β₂'),
  epsilon: z.number().positive().default(1e-8).describe('AdamW ε'),
  clipNorm: z.number().positive().default(1).describe('maximum global gradient norm'),
  saveEvery: z
    .int()
    .min(1)
    .default(500)
    .describe('updates between checkpoints; the last update is always saved'),
  keepLast: z.int().min(1).default(2).describe('checkpoints to keep'),
  dtype: z.enum(['F32', 'F16', 'BF16']).default('F32').describe('storage type of the trained weights'),
  patience: z.int().min(1).default(5).describe('stop after this many consecutive non-finite updates'),
};

/** LoRA. */
export const adapterOptions = {
  loraRank: z
    .int()
    .min(1)
    .optional()
    .describe('rank r of a new LoRA adapter over the frozen model (default: train all weights)'),
  loraAlpha: z.number().positive().optional().describe('LoRA α; updates are scaled by α / r (default: 2r)'),
  loraDropout: z
    .number()
    .min(0)
    .lt(1)
    .optional()
    .describe('dropout on the inputs of the adapter (default: 0)'),
  loraTargets: texts(
    'words',
    'modules to adapt: all-linear, attention, mlp, or names such as q_proj (default: all-linear)',
  ).optional(),
  loraRankStabilised: z.boolean().optional().describe('scale LoRA updates by α / √r instead of α / r'),
};

/** How rows become tokens. */
export const rowOptions = {
  template,
  maxLength: z
    .int()
    .min(2)
    .optional()
    .describe("maximum tokens per row, prompt included (default: the model's context)"),
  truncation: z
    .enum(['drop', 'prompt-left', 'completion-right'])
    .default('drop')
    .describe('how to handle a longer row'),
};

export const sharePrompts = z
  .boolean()
  .default(false)
  .describe('compute a prompt once for the completions that share it; equal to rounding');

export const preferenceOptions = {
  ...trainingOptions,
  ...adapterOptions,
  batchSize: z.int().min(1).default(32).describe('pairs (or rankings) per update'),
  microBatchTokens: trainingOptions.microBatchTokens.default(4096),
  sharePrompts,
  ...rowOptions,
};

/** The schema of a stage that trains: these options among its own, and rates that leave something of the weights. */
export function trainingSchema<Shape extends Record<'learningRate' | 'weightDecay', z.ZodType<number>>>(
  shape: Shape,
) {
  return z.object(shape).superRefine((options, context) => refuseWipingDecay(options as Decaying, context));
}

interface Decaying {
  learningRate: number;
  /** Of PPO's value model. */
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
