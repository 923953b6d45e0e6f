// adapter_config.json, as the PEFT library writes and reads it. What heed does not compute is refused by name.

import { FormatError } from '../../engine/errors.ts';
import { type Adapter, targetModules } from '../model/adapter.ts';
import type { ModelConfig } from '../model/config.ts';
import { Fields } from '../model/config-fields.ts';
import { families } from '../model/families/index.ts';
import { type CheckpointKind, hasScalarHead } from './tensor-plan.ts';

export const adapterConfigName = 'adapter_config.json';

/** Keys that change nothing of what a trained adapter computes, or that `parseAdapterConfig` reads. */
const readKeys: ReadonlySet<string> = new Set([
  ...['peft_type', 'task_type', 'peft_version', 'base_model_name_or_path', 'revision', 'auto_mapping'],
  ...['r', 'lora_alpha', 'lora_dropout', 'use_rslora', 'fan_in_fan_out', 'inference_mode', 'bias'],
  ...['target_modules', 'layers_to_transform', 'layers_pattern', 'modules_to_save', 'init_lora_weights'],
  ...['megatron_core', 'qalora_group_size', 'ensure_weight_tying'],
  // How the matrices were drawn: what `init_lora_weights` names.
  ...['eva_config', 'loftq_config', 'corda_config', 'lora_ga_config'],
]);
/** Initialisations after which the base is no longer the one that is named. */
const changesBase = /^(?:pissa|olora|corda|loftq|lora_ga)/;

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  (typeof value === 'object' && Object.keys(value).length === 0);

export function adapterConfigToJson(
  adapter: Adapter,
  { config, kind, base }: { config: ModelConfig; kind: CheckpointKind; base: string },
): Record<string, unknown> {
  return {
    peft_type: 'LORA',
    task_type: hasScalarHead(kind) ? 'SEQ_CLS' : 'CAUSAL_LM',
    base_model_name_or_path: base,
    r: adapter.rank,
    lora_alpha: adapter.alpha,
    lora_dropout: adapter.dropout,
    use_rslora: adapter.isRankStabilised,
    target_modules: shortTargets(config, adapter.modules),
    modules_to_save: hasScalarHead(kind) ? ['score'] : null,
    fan_in_fan_out: families[config.family].layout.isTransposed,
    bias: 'none',
    inference_mode: true,
  };
}

/** Names such as `q_proj` where they mean these modules and no others, else full names. */
function shortTargets(config: ModelConfig, modules: readonly string[]): string[] {
  const short = [...new Set(modules.map((module) => module.slice(module.lastIndexOf('.') + 1)))];
  return targetModules(config, short).length === modules.length ? short : [...modules];
}

/** What an adapter_config.json says before the base is known. */
export interface AdapterConfig {
  /** Where its base was, as written; null is absent. */
  base: string | undefined;
  kind: CheckpointKind;
  /** @throws FormatError or UserError where it does not fit a base of this configuration */
  adapter: (config: ModelConfig) => Adapter;
}

/** @throws FormatError for another kind of adapter, or an option of LoRA that heed does not compute */
export function parseAdapterConfig(json: unknown, where: string): AdapterConfig {
  const fields = new Fields(json, where);
  if (fields.get('peft_type') !== 'LORA')
    throw fields.fault('peft_type', '"LORA", the only adapter heed has');
  const task = fields.get('task_type') ?? 'CAUSAL_LM';
  if (task !== 'CAUSAL_LM' && task !== 'SEQ_CLS') throw fields.fault('task_type', '"CAUSAL_LM" or "SEQ_CLS"');
  const kind: CheckpointKind = task === 'SEQ_CLS' ? 'reward' : 'policy';
  for (const key of fields.keys()) {
    if (readKeys.has(key) || isEmpty(fields.get(key))) continue;
    throw fields.fault(key, 'none: heed does not compute this option of LoRA', 'an adapter merged by PEFT');
  }
  if ((fields.get('bias') ?? 'none') !== 'none') throw fields.fault('bias', '"none"');
  const initialisation = fields.get('init_lora_weights');
  if (typeof initialisation === 'string' && changesBase.test(initialisation)) {
    throw fields.fault(
      'init_lora_weights',
      'one that leaves the base as it was',
      'an adapter merged by PEFT',
    );
  }
  refuseOtherModules(fields, kind);
  return {
    base: fields.has('base_model_name_or_path') ? fields.string('base_model_name_or_path') : undefined,
    kind,
    adapter: (config) => ({
      rank: fields.integer('r', { min: 1, max: 65536 }),
      alpha: fields.number('lora_alpha', { min: 0, max: 1e9 }),
      isRankStabilised: fields.boolean('use_rslora', false),
      dropout: dropoutOf(fields),
      modules: modulesOf(fields, config),
    }),
  };
}

function dropoutOf(fields: Fields): number {
  const value = fields.get('lora_dropout') ?? 0;
  if (typeof value === 'number' && value >= 0 && value < 1) return value;
  throw fields.fault('lora_dropout', 'a number from 0 to below 1');
}

/** PEFT itself lists `classifier` and `score` for every sequence classifier. */
function refuseOtherModules(fields: Fields, kind: CheckpointKind): void {
  const saved = fields.get('modules_to_save') ?? [];
  const known = hasScalarHead(kind) ? ['score', 'classifier'] : [];
  if (Array.isArray(saved) && saved.every((name) => known.includes(name))) return;
  throw fields.fault('modules_to_save', hasScalarHead(kind) ? 'the head "score" alone' : 'none');
}

function modulesOf(fields: Fields, config: ModelConfig): string[] {
  const targets = fields.get('target_modules');
  const all = targetModules(config, ['all-linear']);
  const layers = fields.get('layers_to_transform');
  const isLayer = (module: string) =>
    layers === undefined || [layers].flat().includes(Number(/\.(\d+)\./.exec(module)?.[1]));
  const modules =
    typeof targets === 'string' ? matching(fields, targets, all) : listed(fields, targets, config);
  return modules.filter(isLayer);
}

function listed(fields: Fields, targets: unknown, config: ModelConfig): string[] {
  if (!Array.isArray(targets) || !targets.every((name) => typeof name === 'string')) {
    throw fields.fault('target_modules', 'a list of module names, or a pattern');
  }
  return targetModules(config, targets);
}

/** A text is `all-linear`, or a regular expression that must match a module's whole name. */
function matching(fields: Fields, pattern: string, modules: readonly string[]): string[] {
  if (pattern === 'all-linear') return [...modules];
  let expression: RegExp;
  try {
    expression = new RegExp(`^(?:${pattern})$`);
  } catch (cause) {
    throw new FormatError(
      { where: `${fields.where}: target_modules`, expected: 'a regular expression', found: pattern },
      { cause },
    );
  }
  const found = modules.filter((module) => expression.test(module));
  if (found.length > 0) return found;
  throw fields.fault('target_modules', 'a pattern that matches a module of the base');
}
