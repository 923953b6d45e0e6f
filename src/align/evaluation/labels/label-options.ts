// What heed label is asked, what it says meanwhile, and who the annotators are.

import type { Device } from '../../../engine/runtime/backend.ts';
import type { RowFault } from '../../data/read.ts';
import type { PromptTemplate } from '../../data/tokenize.ts';
import { type AnnotatorProfile, carefulAnnotator, usualAnnotator } from '../../worlds/kata/annotators.ts';
import type { Study } from './comparisons.ts';

export type AnnotatorName = 'usual' | 'careful';

export interface LabelOptions {
  model: string;
  data: string[];
  out: string;
  template: PromptTemplate;
  /** Completions per prompt, at least 2. */
  samples: number;
  /** Pairs of answers that are compared, per prompt. Default: all. */
  pairs?: number;
  annotator: AnnotatorName;
  /** People; below 2^16. A pair is judged by one of them, or by all. */
  annotators: number;
  /** Share of the pairs that all judge. */
  overlap: number;
  /** These go before the annotator's own. */
  flipRate?: number;
  noise?: number;
  laziness?: number;
  positionBias?: number;
  temperature: number;
  maxTokens: number;
  /** Prompt i is sampled with seed + i. Below 2^37. */
  seed: number;
  device: Device;
  threads: number;
  generationBatchSize: number;
  resume: boolean;
  /** Stop at the first row without a usable prompt. */
  strict: boolean;
}

export type LabelEvent =
  | { type: 'fault'; fault: RowFault }
  | { type: 'progress'; answers: number; total: number };

const profiles: Readonly<Record<AnnotatorName, AnnotatorProfile>> = {
  usual: usualAnnotator,
  careful: carefulAnnotator,
};

export function studyOf(options: LabelOptions): Study {
  const { seed, pairs, annotator: name, annotators: people, overlap } = options;
  const own = profiles[name];
  const profile: AnnotatorProfile = {
    noise: options.noise ?? own.noise,
    flipRate: options.flipRate ?? own.flipRate,
    positionBias: options.positionBias ?? own.positionBias,
    laziness: options.laziness ?? own.laziness,
    tieWidth: own.tieWidth,
  };
  return { seed, pairs, profile, name, people, overlap };
}
