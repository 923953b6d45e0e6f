// The options of commands that ask a finished model: which one, and where to compute.

import { z } from 'zod';
import { stageOptions } from './stage-options.ts';

export const modelOptions = {
  model: z.string().describe('folder of the model, or of the training run that made it'),
  device: stageOptions.device,
  threads: stageOptions.threads,
};
