// Qwen3: a Llama that normalises each head of queries and keys.

import { always } from './family.ts';
import { rotaryFamily } from './rotary-family.ts';

export const qwen3 = rotaryFamily({
  name: 'Qwen3',
  restrictions: always(false, 'mlp_bias'),
  toJson: ({ bias }) => ({ attention_bias: bias.attentionOutput, use_sliding_window: false }),
  keyValueHeads: 32,
  headSize: 128,
  queryKeyNorm: true,
});
