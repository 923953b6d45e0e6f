// Direct preference optimisation and its relatives.

import { z } from 'zod';
import type { dpo as method } from '../../align/methods/dpo.ts';
import { type PreferenceLossKind, preferenceLossKinds } from '../../align/objectives/preference.ts';
import { text, texts } from './options.ts';
import { defineStage, jobOf } from './stage.ts';
import { line } from './summary.ts';
import { preferenceOptions, trainingSchema } from './training-options.ts';

/** Options that only some losses read. */
const lossOptions: Record<
  'labelSmoothing' | 'targetMargin',
  { usual: number; readBy: readonly PreferenceLossKind[] }
> = {
  labelSmoothing: { usual: 0.1, readBy: ['cdpo', 'robust'] },
  targetMargin: { usual: 1, readBy: ['simpo'] },
};

type LossOptions = { loss: PreferenceLossKind } & { [Name in keyof typeof lossOptions]?: number };
const lossOptionNames = Object.keys(lossOptions) as (keyof typeof lossOptions)[];

/** The usual value is no mistake: a run's own recipe says it too. */
function refuseWhatIsNotRead(options: LossOptions, context: z.RefinementCtx): void {
  for (const name of lossOptionNames) {
    const { usual, readBy } = lossOptions[name];
    if ((options[name] ?? usual) === usual || readBy.includes(options.loss)) continue;
    const message = `${usual} with --loss ${options.loss}; it belongs to ${readBy.join(', ')}`;
    context.addIssue({ code: 'custom', path: [name], message });
  }
}

export const dpo = defineStage({
  name: 'dpo',
  description: 'train a policy on preferences without a reward model: DPO and its relatives',
  schema: trainingSchema({
    ...preferenceOptions,
    data: texts('input', 'JSONL of preferences: prompt, chosen, rejected, or their ids'),
    reference: text('model', 'reference model (default: the policy at the start)').optional(),
    loss: z.enum(preferenceLossKinds).default('dpo').describe('loss'),
    beta: z
      .number()
      .positive()
      .optional()
      .describe('coefficient β of the implicit KL penalty (default: 2 for simpo, 0.1 for the others)'),
    labelSmoothing: z
      .number()
      .min(0)
      .lt(0.5)
      .default(lossOptions.labelSmoothing.usual)
      .describe('cdpo, robust: assumed fraction of flipped labels'),
    targetMargin: z
      .number()
      .default(lossOptions.targetMargin.usual)
      .describe('simpo: target reward margin γ'),
    likelihoodWeight: z
      .number()
      .min(0)
      .default(0)
      .describe('weight of the negative log-likelihood of chosen completions, added to the loss'),
    learningRate: z.number().positive().default(1e-4).describe('peak learning rate'),
  }).superRefine(refuseWhatIsNotRead),
  job: jobOf<typeof method>(new URL('../../align/methods/dpo.js', import.meta.url), 'dpo'),
  models: [
    { role: 'policy', option: 'model', weights: 'trained' },
    // Its log-probabilities are computed once, before the policy's weights change.
    { role: 'reference', option: 'reference', weights: 'shared', passes: 1, isAlways: true },
  ],
  work: { textsPerRow: 2 },
  summary: ({ model, steps, data, loss }) => [
    line(`${model}: ${steps} updates, ${data.kept} pairs, loss ${loss.toFixed(4)}`),
  ],
});
