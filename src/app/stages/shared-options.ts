// Options that several stages have in common, declared once so that they mean the same everywhere.

import { availableParallelism } from 'node:os';
import { z } from 'zod';
import type { PromptTemplate } from '../../align/data/tokenize.ts';
import { text, texts } from './options.ts';

/** A recipe written on a large machine is to run on a small one too; beyond it threads only cost memory. */
const mostThreads = Math.max(512, 4 * availableParallelism());

export const stageOptions = {
  model: text('model', 'folder of the model to start from'),
  data: texts('input', 'training data files'),
  out: text('output', 'output folder: new or empty, unless --resume'),
  seed: z.int().min(0).default(0).describe('random seed'),
  device: z
    .enum(['auto', 'cpu', 'webgpu', 'cuda'])
    .default('auto')
    .describe(
      'device; auto is the CPU for now: webgpu trains large batches faster but generates far more slowly',
    ),
  threads: z.int().min(1).max(mostThreads).optional().describe('CPU threads (default: all cores)'),
  resume: z.boolean().default(false).describe('continue the run in --out from its last checkpoint'),
  maxSteps: z
    .int()
    .min(1)
    .optional()
    .describe('stop after this many updates; the learning-rate schedule still spans all epochs'),
  strict: z.boolean().default(false).describe('stop at the first faulty record instead of skipping it'),
};

/** Of stages that use a finished model: which one, and where to compute. */
export const modelOptions = {
  model: text('model', 'folder of the model, or of the training run that made it'),
  device: stageOptions.device,
  threads: stageOptions.threads,
};

const templates = ['none', 'alpaca', 'chat'] as const satisfies readonly PromptTemplate[];

/** Of a plain prompt: the same in training as where completions are sampled. */
export const template = z
  .enum(templates)
  .default('none')
  .describe(
    'template of a plain prompt: none (as it is), alpaca (an instruction) or chat (a message of a user); rows with an instruction or messages are put in the manner of the model',
  );

export const generationOptions = {
  template,
  temperature: z.number().positive().default(1).describe('sampling temperature'),
  maxTokens: z.int().min(1).default(192).describe('maximum tokens per completion'),
  generationBatchSize: z
    .int()
    .min(1)
    .default(64)
    .describe('completions generated at once; a smaller number takes less memory'),
};

/** Of stages that do not train: 0 is greedy decoding. */
export const temperatureFromZero = z.number().min(0).default(1).describe('sampling temperature; 0 is greedy');

export const promptData = texts('input', 'JSONL of prompts: instruction, prompt, messages or prompt_ids');

export const rewardOption = texts(
  'reward',
  'reward: model folder, function (FILE.js#NAME or FILE.ts#NAME), or kata:readability|pass|gold; ' +
    'several are summed, and *0.5 after one is its weight',
);
