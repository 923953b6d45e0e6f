// The options that every training stage has in common, said once so that they mean the same everywhere.

import { availableParallelism } from 'node:os';
import { z } from 'zod';
import type { Device } from '../../engine/runtime/backend.ts';

/** A recipe written on a large machine is to run on a small one too; beyond it threads only cost memory. */
const mostThreads = Math.max(512, 4 * availableParallelism());

export const stageOptions = {
  model: z.string().describe('folder of the model to start from'),
  data: z.array(z.string()).min(1).describe('files to learn from'),
  out: z.string().describe('folder of the run; new or empty, unless --resume'),
  seed: z.int().min(0).default(0).describe('where all random numbers start'),
  device: z
    .enum(['auto', 'cpu', 'webgpu', 'cuda'])
    .default('auto')
    .describe(
      'where to compute; auto is the CPU for now: webgpu trains larger batches faster, but generates far slower',
    ),
  threads: z.int().min(1).max(mostThreads).optional().describe('CPU threads; all cores unless given'),
  resume: z.boolean().default(false).describe('continue the run in --out from its last checkpoint'),
  maxSteps: z
    .int()
    .min(1)
    .optional()
    .describe('stop after so many updates; the schedule still spans the epochs'),
  strict: z.boolean().default(false).describe('stop at the first faulty record instead of leaving it out'),
};

export const templateOption = z
  .enum(['none', 'alpaca', 'chat'])
  .default('alpaca')
  .describe('how a plain prompt is put to the model; rows with an instruction bring their own');

type Computing = z.output<z.ZodObject<Pick<typeof stageOptions, 'device' | 'threads'>>>;

/**
 * Resolves what depends on the machine. `auto` is the CPU: on a GPU every token that is generated, and every step that
 * is trained, moves the weights there first (measured in docs/engine.md).
 */
export function resolveComputing<T extends Computing>(
  options: T,
): Omit<T, 'device' | 'threads'> & { device: Device; threads: number } {
  const { device, threads = availableParallelism() } = options;
  return { ...options, device: device === 'auto' ? 'cpu' : device, threads };
}
