// The inputs of a whole model without a head, for tests that write their own graphs.

import type { ModelConfig } from '../config.ts';
import type { Parameters } from '../forward.ts';
import { weightInputs } from '../weights.ts';

export function baseInputs(config: ModelConfig): Parameters {
  return weightInputs({ config, parameters: new Map() });
}
