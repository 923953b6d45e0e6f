// Llama, and what is published in its shape, such as SmolLM. Touvron et al. 2023.

import { always, without } from './family.ts';
import { rotaryFamily } from './rotary-family.ts';

export const llama = rotaryFamily({
  name: 'Llama',
  restrictions: [...without('sliding_window'), ...always(false, 'use_qk_norm', 'qk_norm')],
  toJson: ({ bias }) => ({ attention_bias: bias.attentionOutput, mlp_bias: bias.mlp }),
  headsDivideWidth: true,
});
