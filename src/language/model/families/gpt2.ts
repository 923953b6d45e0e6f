// GPT-2: LayerNorm, learned positions, a plain MLP, biases everywhere. Radford et al. 2019.
// Its Conv1D stores weights as [in, out], and queries, keys and values come out of one of them.

import { always, type Family, limits, parseActivation, without } from './family.ts';

export const gpt2: Family = {
  architectures: {
    causal: 'GPT2LMHeadModel',
    classifier: 'GPT2ForSequenceClassification',
    bare: 'GPT2Model',
  },
  restrictions: [
    ...without('sliding_window', 'rope_theta', 'rope_scaling', 'rope_parameters'),
    ...always(false, 'use_qk_norm', 'qk_norm'),
  ],
  parse(fields) {
    const hiddenSize = fields.integer('n_embd', limits.width);
    const heads = fields.integer('n_head', limits.heads);
    if (hiddenSize % heads !== 0) throw fields.fault('n_head', `a divisor of n_embd = ${hiddenSize}`);
    return {
      ...gpt2.design,
      hiddenSize,
      layers: fields.integer('n_layer', limits.layers),
      heads,
      keyValueHeads: heads,
      headSize: hiddenSize / heads,
      intermediateSize: fields.integer('n_inner', limits.width, gpt2.intermediateSize(hiddenSize)),
      maxPositions: fields.integer('n_positions', limits.positions),
      norm: { kind: 'layer', epsilon: fields.number('layer_norm_epsilon', limits.epsilon, 1e-5) },
      mlp: { kind: 'plain', activation: parseActivation(fields, 'activation_function', 'gelu_new') },
    };
  },
  toJson: (config) => ({
    n_embd: config.hiddenSize,
    n_inner: config.intermediateSize,
    n_layer: config.layers,
    n_head: config.heads,
    n_positions: config.maxPositions,
    n_ctx: config.maxPositions,
    layer_norm_epsilon: config.norm.epsilon,
    activation_function: config.mlp.activation === 'gelu_tanh' ? 'gelu_new' : config.mlp.activation,
    attn_pdrop: 0,
    embd_pdrop: 0,
    resid_pdrop: 0,
  }),
  isTiedUnlessSaid: true,
  layout: {
    prefix: 'transformer.',
    bareNames: /^(?:wte|wpe|h|ln_f)\./,
    buffers: /(?:^|\.)h\.\d+\.attn\.(?:bias|masked_bias)$/,
    isTransposed: true,
    tokens: 'transformer.wte.weight',
    positions: 'transformer.wpe.weight',
    finalNorm: 'transformer.ln_f',
    layer: (layer) => `transformer.h.${layer}.`,
    attentionNorm: 'ln_1',
    queryKeyValue: ['attn.c_attn'],
    attentionOutput: 'attn.c_proj',
    mlpNorm: 'ln_2',
    mlp: { up: 'mlp.c_fc', down: 'mlp.c_proj' },
  },
  design: {
    norm: { kind: 'layer', epsilon: 1e-5 },
    positions: { kind: 'learned' },
    mlp: { kind: 'plain', activation: 'gelu_tanh' },
    bias: { queryKeyValue: true, attentionOutput: true, mlp: true },
    queryKeyNorm: false,
  },
  intermediateSize: (hiddenSize) => 4 * hiddenSize,
  hasGroupedQueries: false,
};
