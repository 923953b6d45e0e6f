import { describe, expect, it } from 'vitest';
import { FormatError } from '../../engine/errors.ts';
import { type Adapter, targetModules } from '../model/adapter.ts';
import { tinyConfigs } from '../model/testing/tiny-models.ts';
import { adapterConfigToJson, parseAdapterConfig } from './peft.ts';

const config = tinyConfigs.llama;
const lora = { peft_type: 'LORA', task_type: 'CAUSAL_LM', r: 4, lora_alpha: 8, target_modules: ['q_proj'] };
const parsed = (more: object) => parseAdapterConfig({ ...lora, ...more }, 'adapter_config.json');
const modulesOf = (more: object) => parsed(more).adapter(config).modules;

describe('adapter_config.json', () => {
  it.each([
    [['q_proj'], ['model.layers.0.self_attn.q_proj', 'model.layers.1.self_attn.q_proj']],
    [['model.layers.1.mlp.up_proj'], ['model.layers.1.mlp.up_proj']],
    [String.raw`.*\.1\..*(?:gate|up)_proj`, ['model.layers.1.mlp.gate_proj', 'model.layers.1.mlp.up_proj']],
  ])('means by target_modules %j what PEFT means', (target_modules, modules) => {
    expect(modulesOf({ target_modules })).toEqual(modules);
  });

  it('means every linear layer but the output head by all-linear, and some layers by layers_to_transform', () => {
    expect(modulesOf({ target_modules: 'all-linear' })).toEqual(targetModules(config, ['all-linear']));
    expect(modulesOf({ target_modules: 'all-linear' })).toHaveLength(14);
    expect(modulesOf({ layers_to_transform: [1] })).toEqual(['model.layers.1.self_attn.q_proj']);
  });

  it.each([
    ['peft_type', { peft_type: 'IA3' }],
    ['task_type', { task_type: 'SEQ_2_SEQ_LM' }],
    ['use_dora', { use_dora: true }],
    ['rank_pattern', { rank_pattern: { q_proj: 8 } }],
    ['alpha_pattern', { alpha_pattern: { q_proj: 8 } }],
    ['exclude_modules', { exclude_modules: ['q_proj'] }],
    ['arrow_config', { arrow_config: { top_k: 2 } }],
    ['trainable_token_indices', { trainable_token_indices: [1] }],
    ['bias', { bias: 'all' }],
    ['init_lora_weights', { init_lora_weights: 'pissa_niter_4' }],
    ['modules_to_save', { modules_to_save: ['embed_tokens'] }],
    ['an_option_of_tomorrow', { an_option_of_tomorrow: 1 }],
  ])('is refused by the name of what heed does not compute: %s', (name, more) => {
    expect(() => parsed(more)).toThrow(FormatError);
    expect(() => parsed(more)).toThrow(`adapter_config.json: ${name}`);
  });

  it.each([
    ['r', { r: 0 }],
    ['lora_dropout', { lora_dropout: 1 }],
    ['target_modules', { target_modules: ['c_attn'] }],
    ['target_modules', { target_modules: '(' }],
  ])('is refused over a base that it does not fit: %s', (_, more) => {
    expect(() => parsed(more).adapter(config)).toThrow();
  });

  it('comes back as it was written, by names that mean the same modules', () => {
    const adapters: Adapter[] = [['attention'], ['mlp'], ['model.layers.1.mlp.up_proj', 'q_proj']].map(
      (targets) => ({
        ...{ rank: 4, alpha: 6, isRankStabilised: true, dropout: 0.1 },
        modules: targetModules(config, targets),
      }),
    );
    for (const adapter of adapters) {
      for (const kind of ['policy', 'reward'] as const) {
        const back = parseAdapterConfig(
          adapterConfigToJson(adapter, { config, kind, base: 'base' }),
          'a.json',
        );
        expect([back.kind, back.base, back.adapter(config)]).toEqual([kind, 'base', adapter]);
      }
    }
  });
});
