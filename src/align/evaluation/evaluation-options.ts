// What heed eval is asked.

import type { Device } from '../../engine/runtime/backend.ts';
import type { PromptTemplate } from '../data/tokenize.ts';

/** Where answers can be judged by running them. */
export const worldNames = ['kata'] as const;
export type World = (typeof worldNames)[number];

export interface EvaluateOptions {
  model: string;
  data: string[];
  out: string;
  world?: World;
  /** Folder of a reward model. */
  reward?: string;
  /** Folder of the model from which the divergence is measured. */
  reference?: string;
  template: PromptTemplate;
  /** Requests are put as plain texts, and `continues` says which texts hold no answer. */
  continuation: boolean;
  temperature: number;
  maxTokens: number;
  /** The request at place i is answered with seed + i. */
  seed: number;
  device: Device;
  threads: number;
  /** Completions generated at once. */
  generationBatchSize: number;
  /** Positions a run of the reward and reference models. */
  batchTokens: number;
  resume: boolean;
  strict: boolean;
}
