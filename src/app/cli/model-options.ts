// The options of commands that ask a finished model: which one, and where to compute.

import { availableParallelism } from 'node:os';
import { z } from 'zod';
import type { Device } from '../../engine/runtime/backend.ts';
import { stageOptions } from './stage-options.ts';

export const modelOptions = {
  model: z.string().describe('folder of the model, or of the training run that made it'),
  device: stageOptions.device,
  threads: stageOptions.threads,
};

type Parsed = z.output<z.ZodObject<typeof modelOptions>>;

/** Resolves what depends on the machine; `auto` is the CPU, as in training. */
export function resolveComputing<T extends Parsed>(
  options: T,
): Omit<T, 'device' | 'threads'> & { device: Device; threads: number } {
  const { device, threads = availableParallelism() } = options;
  return { ...options, device: device === 'auto' ? 'cpu' : device, threads };
}
