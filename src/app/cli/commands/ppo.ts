// heed ppo: reinforcement learning from a reward, on a leash.

import { z } from 'zod';
import type { PpoResult } from '../../../align/methods/ppo.ts';
import { alarmActions } from '../../../align/monitor/hacking.ts';
import { klEstimators } from '../../../align/objectives/kl.ts';
import type { RunEvent } from '../../../align/run/events.ts';
import { runJob } from '../../../engine/runtime/job.ts';
import { defineCommand } from '../command.ts';
import { parseRewards, rewardOptions } from '../reward-specs.ts';
import { showRun } from '../show-run.ts';
import { resolveComputing, templateOption } from '../stage-options.ts';
import { trainingOptions, trainingSchema } from '../training-options.ts';

const positive = z.number().positive();
const share = z.number().min(0).max(1);

export const ppo = defineCommand({
  name: 'ppo',
  description: 'improve a policy by its reward, held near the reference: proximal policy optimisation',
  options: trainingSchema({
    ...trainingOptions,
    data: z.array(z.string()).min(1).describe('JSONL of prompts to answer'),
    template: templateOption,
    reference: z.string().optional().describe('model to stay near; the policy as it begins unless given'),
    ...rewardOptions,
    watch: z.array(z.string()).default([]).describe('rewards that are told and never learnt from'),
    ensemble: z
      .array(z.string())
      .refine(({ length }) => length !== 1, 'expected two reward models or more, or none')
      .default([])
      .describe('reward models trained on the same labels, whose disagreement the monitor sees'),
    valueModel: z
      .string()
      .optional()
      .describe('what the critic begins as; the first reward model unless given'),
    epochs: positive.default(1).describe('passes over the prompts'),
    batchSize: z.int().min(1).default(64).describe('prompts a step'),
    samples: z.int().min(1).default(1).describe('answers to each prompt'),
    maxTokens: z.int().min(1).default(128).describe('most tokens of an answer'),
    temperature: positive.default(1).describe('of sampling, and of all log-probabilities'),
    generationBatchSize: z.int().min(1).default(64).describe('answers computed at once'),
    ppoEpochs: z.int().min(1).default(1).describe('passes over a step’s answers'),
    miniBatchSize: z.int().min(1).default(16).describe('answers an update'),
    microBatchTokens: trainingOptions.microBatchTokens.default(4096),
    // A step samples its answers anew, and takes as long as many updates elsewhere.
    saveEvery: trainingOptions.saveEvery.default(20),
    learningRate: positive.default(1e-4).describe('peak learning rate of the policy'),
    valueLearningRate: positive.default(1e-4).describe('peak learning rate of the critic'),
    schedule: trainingOptions.schedule.default('linear'),
    warmupRatio: trainingOptions.warmupRatio.default(0),
    weightDecay: trainingOptions.weightDecay.default(0),
    epsilon: trainingOptions.epsilon.default(1e-5),
    beta: z.number().min(0).default(0.1).describe('price of a nat of KL to the reference'),
    klEstimator: z.enum(klEstimators).default('k1').describe('of the KL that is paid for'),
    klTarget: positive
      .optional()
      .describe('nats an answer that beta is adapted to; a fixed beta unless given'),
    klHorizon: positive.default(2000).describe('answers in which beta could change by a fifth'),
    klBudget: positive.optional().describe('nats an answer beyond which the run goes back and ends'),
    gamma: share.default(1).describe('discount of later rewards'),
    lambda: share.default(0.95).describe('of generalised advantage estimation'),
    clipRange: positive.default(0.2).describe('how far a probability ratio may go from 1'),
    valueClipRange: positive.default(0.2).describe('how far a value may go from what it was'),
    dualClip: z.number().gt(1).optional().describe('bound of the loss of bad answers; 3 is usual'),
    missingEos: z
      .enum(['replace', 'subtract'])
      .default('replace')
      .describe('what an answer without an end gets: a fixed score, or its own less a penalty'),
    missingEosScore: z.number().optional().describe('that score, or that penalty; -1, or 1 unless given'),
    rewardClip: positive.optional().describe('scores are cut to plus or minus this'),
    whitenAdvantages: z.boolean().default(true).describe('bring advantages to mean 0 and deviation 1'),
    whitenRewards: z.boolean().default(false).describe('bring rewards to deviation 1'),
    onAlarm: z.enum(alarmActions).default('warn').describe('what happens when the reward looks hacked'),
  }),
  async run(options, terminal, signal) {
    const module = new URL('../../../align/methods/ppo.js', import.meta.url).href;
    const payload = {
      ...resolveComputing(options),
      specs: {
        reward: parseRewards(options.reward),
        watch: parseRewards(options.watch),
        ensemble: options.ensemble.map((model) => ({ model })),
      },
    };
    const job = { module, name: 'ppo', payload };
    const result = await runJob<RunEvent, PpoResult>(job, { onEvent: showRun(terminal), signal });
    const { model, steps, tokensGenerated, alarms } = result;
    terminal.line(`${model}: ${steps} steps, ${tokensGenerated} tokens generated, ${alarms} alarms`);
    return result;
  },
});
