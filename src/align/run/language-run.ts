// The next-token objective on windows: what pretraining and fine-tuning share.

import { backendOf, type JobContext } from '../../engine/runtime/job.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import type { Fingerprint } from '../data/fingerprint.ts';
import type { Window } from '../data/packing.ts';
import type { RunEvent } from './events.ts';
import { GradientLearner, type StepSource, type TrainingOptions } from './gradient-learner.ts';
import type { RunFolder } from './run-folder.ts';
import { type RunResult, runTraining } from './training-run.ts';
import { windowMicroBatches } from './window-batches.ts';

/** What a language model learns from. */
export interface WindowSource {
  totalSteps: number;
  stepsPerEpoch: number;
  /** The windows of a step, a pure function of it. */
  windowsForStep: (step: number) => readonly Window[];
  /** Names the rows of a step, for messages. */
  describeStep: (step: number) => string;
  files: readonly Fingerprint[];
}

/** Trains `model` in place on windows; see `runTraining`. */
export async function trainLanguageModel(
  model: Model,
  windows: WindowSource,
  options: TrainingOptions,
  folder: RunFolder,
  context: JobContext<RunEvent>,
  command: string,
): Promise<RunResult> {
  const learner = new GradientLearner(
    await backendOf(context, options),
    model,
    windowStepSource(model, windows, options.microBatchTokens),
    options,
  );
  return runTraining(learner, options, folder, context, command);
}

/** Steps of the next-token objective on windows. */
export function windowStepSource(model: Model, source: WindowSource, microBatchTokens: number): StepSource {
  return {
    ...source,
    planStep(step) {
      const windows = source.windowsForStep(step);
      const describe = () => source.describeStep(step);
      return {
        microBatches: windowMicroBatches(model.config, windows, microBatchTokens, describe),
        tokens: windows.reduce((count, { segments }) => count + segments.filter((s) => s >= 0).length, 0),
      };
    },
    eventOf: ({ tokenAccuracy, entropy }) => ({ tokenAccuracy, entropy }),
  };
}
