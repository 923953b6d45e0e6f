// heed dpo: learn from preferences directly.

import { z } from 'zod';
import type { DpoResult } from '../../../align/methods/dpo.ts';
import { type PreferenceLossKind, preferenceLossKinds } from '../../../align/objectives/preference.ts';
import type { RunEvent } from '../../../align/run/events.ts';
import { UserError } from '../../../engine/errors.ts';
import { runJob } from '../../../engine/runtime/job.ts';
import { defineCommand } from '../command.ts';
import { preferenceOptions } from '../preference-options.ts';
import { showRun } from '../show-run.ts';
import { resolveComputing } from '../stage-options.ts';
import { trainingSchema } from '../training-options.ts';

type DpoLossKind = PreferenceLossKind | 'kto';
const dpoLossKinds: readonly DpoLossKind[] = [...preferenceLossKinds, 'kto'];

/** Numbers that only some equations hold. */
const equationOptions: Record<
  'labelSmoothing' | 'targetMargin' | 'desirableWeight' | 'undesirableWeight',
  { usual: number; readBy: readonly DpoLossKind[] }
> = {
  labelSmoothing: { usual: 0.1, readBy: ['cdpo', 'robust'] },
  targetMargin: { usual: 1, readBy: ['simpo'] },
  desirableWeight: { usual: 1, readBy: ['kto'] },
  undesirableWeight: { usual: 1, readBy: ['kto'] },
};

type EquationOptions = { loss: DpoLossKind } & { [Name in keyof typeof equationOptions]?: number };
const equationNames = Object.keys(equationOptions) as (keyof typeof equationOptions)[];

/** The usual value is no mistake: a run's own recipe says it too. */
function refuseWhatIsNotRead(options: EquationOptions, context: z.RefinementCtx): void {
  for (const name of equationNames) {
    const { usual, readBy } = equationOptions[name];
    if ((options[name] ?? usual) === usual || readBy.includes(options.loss)) continue;
    const message = `${usual} with --loss ${options.loss}; it belongs to ${readBy.join(', ')}`;
    context.addIssue({ code: 'custom', path: [name], message });
  }
}

/** What KTO reads of them. */
function ktoOptions<Options extends EquationOptions & { beta?: number; likelihoodWeight: number }>(
  options: Options,
) {
  const { loss, labelSmoothing, targetMargin, likelihoodWeight, ...rest } = options;
  if (likelihoodWeight !== 0) {
    const expected = '0 with --loss kto, which reads single completions';
    throw new UserError({ where: '--likelihood-weight', expected, found: `${likelihoodWeight}` });
  }
  const { beta = 0.1, desirableWeight = 1, undesirableWeight = 1 } = options;
  return { ...rest, beta, desirableWeight, undesirableWeight };
}

export const dpo = defineCommand({
  name: 'dpo',
  description: 'fine-tune a policy on preferences, without a reward model: DPO and its relatives',
  options: trainingSchema({
    ...preferenceOptions,
    data: z
      .array(z.string())
      .min(1)
      .describe(
        'JSONL of preferences: prompt, chosen, rejected, or their ids; for kto also prompt, completion, label',
      ),
    reference: z.string().optional().describe('model to stay near; the policy as it begins unless given'),
    loss: z.enum(dpoLossKinds).default('dpo').describe('the equation'),
    beta: z
      .number()
      .positive()
      .optional()
      .describe('strength of the pull to the reference; 2 for simpo and 0.1 for the others unless given'),
    labelSmoothing: z
      .number()
      .min(0)
      .lt(0.5)
      .default(equationOptions.labelSmoothing.usual)
      .describe('cdpo, robust: share of pairs thought to be the wrong way round'),
    targetMargin: z
      .number()
      .default(equationOptions.targetMargin.usual)
      .describe('simpo: margin that is asked for'),
    desirableWeight: z
      .number()
      .positive()
      .optional()
      .describe('kto: weight of the good answers; 1 unless given'),
    undesirableWeight: z
      .number()
      .positive()
      .optional()
      .describe('kto: weight of the bad answers; 1 unless given'),
    likelihoodWeight: z
      .number()
      .min(0)
      .default(0)
      .describe('weight of the negative log-likelihood of the chosen answers, added to the loss'),
    learningRate: z.number().positive().default(1e-4).describe('peak learning rate'),
  }).superRefine(refuseWhatIsNotRead),
  async run(options, terminal, signal) {
    const name = options.loss === 'kto' ? 'kto' : 'dpo';
    const module = new URL(`../../../align/methods/${name}.js`, import.meta.url).href;
    const payload = resolveComputing(options.loss === 'kto' ? ktoOptions(options) : options);
    const job = { module, name, payload };
    try {
      const result = await runJob<RunEvent, DpoResult>(job, { onEvent: showRun(terminal), signal });
      const { model, steps, data, loss } = result;
      const rows = options.loss === 'kto' ? 'rows' : 'pairs';
      terminal.line(`${model}: ${steps} updates, ${data.kept} ${rows}, loss ${loss.toFixed(4)}`);
      return result;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  },
});
