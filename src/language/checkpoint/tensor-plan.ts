// Which tensors a checkpoint's weight file must and may hold, by what names and in what shapes.
// A reward or value model adds a score head; an adapter holds only its own low-rank matrices, named as PEFT names them.

import { UserError } from '../../engine/errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { parameterSpecs } from '../model/parameters.ts';

export type CheckpointKind = 'base' | 'policy' | 'reward' | 'value' | 'adapter';
export const checkpointKinds: readonly CheckpointKind[] = ['base', 'policy', 'reward', 'value', 'adapter'];

/** A low-rank adapter (Hu et al. 2021): W + alpha/rank · B·A for every target. */
export interface AdapterShape {
  rank: number;
  alpha: number;
  /** Module names such as `model.layers.0.self_attn.q_proj` end in one of these, such as `q_proj`. */
  targets: string[];
}

export interface PlannedTensor {
  name: string;
  shape: readonly number[];
}

export interface TensorPlan {
  /** The weight file is `<stem>.safetensors`. */
  stem: 'model' | 'adapter_model';
  /** What stored names carry before the canonical ones. */
  storedPrefix: string;
  required: PlannedTensor[];
  optional: PlannedTensor[];
}

/** @throws UserError when an adapter's targets name no matrix of the model */
export function planTensors(config: ModelConfig, kind: CheckpointKind, adapter?: AdapterShape): TensorPlan {
  const head: PlannedTensor[] = [{ name: 'score.weight', shape: [1, config.hiddenSize] }];
  const headBias: PlannedTensor = { name: 'score.bias', shape: [1] };
  if (kind === 'adapter') {
    const required = adapterTensors(config, adapter);
    return {
      stem: 'adapter_model',
      storedPrefix: 'base_model.model.',
      required,
      optional: [...head, headBias],
    };
  }
  const specs: PlannedTensor[] = parameterSpecs(config);
  const plan: TensorPlan = { stem: 'model', storedPrefix: '', required: specs, optional: [] };
  if (kind === 'base' || kind === 'policy') return plan;
  const isOutput = ({ name }: PlannedTensor) => name === 'lm_head.weight';
  return {
    ...plan,
    required: [...specs.filter((spec) => !isOutput(spec)), ...head],
    optional: [...specs.filter(isOutput), headBias],
  };
}

function adapterTensors(config: ModelConfig, adapter: AdapterShape | undefined): PlannedTensor[] {
  if (!adapter) {
    throw new UserError({ where: 'adapter', expected: 'its rank, alpha and targets', found: 'nothing' });
  }
  const matrices = parameterSpecs(config).filter(
    ({ name, layer, role }) =>
      role === 'matrix' &&
      layer !== undefined &&
      adapter.targets.some((target) => name.endsWith(`.${target}.weight`)),
  );
  if (matrices.length === 0) {
    const found = adapter.targets.join(', ') || 'none';
    throw new UserError({ where: 'adapter', expected: `targets that ${config.family} has`, found });
  }
  return matrices.flatMap(({ name, shape }) => {
    const module = name.slice(0, -'.weight'.length);
    const [output, input] = config.family === 'gpt2' ? [shape[1], shape[0]] : shape;
    return [
      { name: `${module}.lora_A.weight`, shape: [adapter.rank, input] },
      { name: `${module}.lora_B.weight`, shape: [output, adapter.rank] },
    ];
  });
}
