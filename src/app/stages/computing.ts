// Which device and how many threads a job gets: what depends on the machine is resolved here, in one place.

import { availableParallelism } from 'node:os';
import type { z } from 'zod';
import type { Device } from '../../engine/runtime/backend.ts';
import type { stageOptions } from './shared-options.ts';

type Computing = z.output<z.ZodObject<Pick<typeof stageOptions, 'device' | 'threads'>>>;

/**
 * `auto` is the CPU: on a GPU every token that is generated, and every step that is trained, moves the weights there
 * first (measured in docs/engine.md).
 */
export function resolveComputing<T extends Computing>(
  options: T,
): Omit<T, 'device' | 'threads'> & { device: Device; threads: number } {
  const { device, threads = availableParallelism() } = options;
  return { ...options, device: device === 'auto' ? 'cpu' : device, threads };
}
