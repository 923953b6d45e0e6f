// Qwen2 and Qwen2.5: a Llama whose queries, keys and values have biases.

import { always } from './family.ts';
import { rotaryFamily } from './rotary-family.ts';

export const qwen2 = rotaryFamily({
  name: 'Qwen2',
  restrictions: [...always(false, 'mlp_bias', 'use_qk_norm', 'qk_norm'), ...always(true, 'attention_bias')],
  toJson: () => ({ use_sliding_window: false }),
  keyValueHeads: 32,
  hasQueryBias: true,
});
