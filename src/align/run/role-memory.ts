// Bytes that the models of a run take, by role. Roles over one frozen base hold the same arrays, which count once.

import { type Weights, weightSpecs } from '../../language/model/weights.ts';

export interface RoleMemory {
  role: 'policy' | 'reference' | 'reward' | 'value';
  weightsBytes: number;
  /** AdamW's two moments of what is trained. */
  optimizerBytes: number;
  /** It has no weights of its own: all are another role's. */
  shared: boolean;
}

export interface RoleModel {
  role: RoleMemory['role'];
  model: Weights;
  isTrained: boolean;
}

/** @returns a row for each model, in order; an array counts for the first that holds it */
export function memoryOfRoles(models: readonly RoleModel[]): RoleMemory[] {
  const seen = new Set<Float32Array>();
  return models.map(({ role, model, isTrained }) => {
    const specs = weightSpecs(model);
    const bytesOf = (own: typeof specs) =>
      own.reduce((sum, { name }) => sum + model.parameters.get(name)!.byteLength, 0);
    const fresh = specs.filter(({ name }) => !seen.has(model.parameters.get(name)!));
    for (const { name } of fresh) seen.add(model.parameters.get(name)!);
    const trained = isTrained ? specs.filter((spec) => spec.isTrained) : [];
    return {
      role,
      weightsBytes: bytesOf(fresh),
      optimizerBytes: 2 * bytesOf(trained),
      shared: fresh.length === 0,
    };
  });
}
