// Which tensors a checkpoint's weight file must and may hold, by what names and in what shapes. A reward or value model
// has a score head; a model with an adapter stores the adapter and the head alone, named as PEFT names them.

import { type Adapter, adapterSpecs } from '../model/adapter.ts';
import type { ModelConfig } from '../model/config.ts';
import { parameterSpecs } from '../model/parameters.ts';
import { headBias, headWeight } from '../model/scalar-head.ts';

/** What a model is for. */
export type CheckpointKind = 'base' | 'policy' | 'reward' | 'value';
export const checkpointKinds: readonly CheckpointKind[] = ['base', 'policy', 'reward', 'value'];

export const hasScalarHead = (kind: CheckpointKind): boolean => kind === 'reward' || kind === 'value';

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

/** @throws UserError when an adapter names a module that the model lacks */
export function planTensors(config: ModelConfig, kind: CheckpointKind, adapter?: Adapter): TensorPlan {
  const head: PlannedTensor[] = hasScalarHead(kind)
    ? [{ name: headWeight, shape: [1, config.hiddenSize] }]
    : [];
  const optionalHead: PlannedTensor[] = hasScalarHead(kind) ? [{ name: headBias, shape: [1] }] : [];
  if (adapter) {
    const required = [...adapterSpecs(config, adapter), ...head];
    return { stem: 'adapter_model', storedPrefix: 'base_model.model.', required, optional: optionalHead };
  }
  const isReplaced = ({ name }: PlannedTensor) => hasScalarHead(kind) && name === 'lm_head.weight';
  const specs: PlannedTensor[] = parameterSpecs(config);
  return {
    stem: 'model',
    storedPrefix: '',
    required: [...specs.filter((spec) => !isReplaced(spec)), ...head],
    optional: [...specs.filter(isReplaced), ...optionalHead],
  };
}
