// LoRA: a frozen matrix W of a model becomes W + s·B·A, with A [r, in] and B [out, r] trained. Hu et al. 2021
// (arXiv:2106.09685), section 4; rank-stabilised scaling after Kalajdzievski 2023 (arXiv:2312.03732), Eq. 9.
// Names and layouts are PEFT's, so that an adapter's tensors are stored as they are.

import { UserError } from '../../engine/errors.ts';
import { Random } from '../../engine/random.ts';
import type { ModelConfig } from './config.ts';
import { type LinearLayer, linearLayers, type ParameterSpec } from './parameters.ts';

export interface Adapter {
  /** r */
  rank: number;
  /** s is alpha / rank, or alpha / √rank when rank-stabilised. */
  alpha: number;
  isRankStabilised: boolean;
  /** Share of the inputs of A that training drops; not applied anywhere else. */
  dropout: number;
  /** Full names of the adapted modules, such as `model.layers.0.self_attn.q_proj`. */
  modules: readonly string[];
}

export const scalingOf = ({ alpha, rank, isRankStabilised }: Adapter): number =>
  alpha / (isRankStabilised ? Math.sqrt(rank) : rank);

export const adapterNames = (module: string) => ({
  A: `${module}.lora_A.weight`,
  B: `${module}.lora_B.weight`,
});

/** The matrices of an adapter, in the order of the modules in the model. @throws UserError for a module that it lacks */
export function adapterSpecs(config: ModelConfig, { modules, rank }: Adapter): ParameterSpec[] {
  const linear = linearModules(config);
  const unknown = modules.find((module) => !linear.has(module));
  if (unknown !== undefined) {
    throw new UserError({
      where: 'adapter',
      expected: `modules that a ${config.family} model of ${config.layers} layers has`,
      found: unknown,
    });
  }
  return [...linear]
    .filter(([module]) => modules.includes(module))
    .flatMap(([module, { input, output, layer }]): ParameterSpec[] => {
      const { A, B } = adapterNames(module);
      return [
        { name: A, shape: [rank, input], role: 'matrix', layer },
        { name: B, shape: [output, rank], role: 'matrix', layer },
      ];
    });
}

/** Linear layers inside the blocks, by full name: what PEFT's `all-linear` means, without the output head. */
function linearModules(config: ModelConfig): Map<string, LinearLayer & { layer: number }> {
  const layers = Array.from({ length: config.layers }, (_, layer) =>
    linearLayers(config, layer).map((module) => [module.name, { ...module, layer }] as const),
  );
  return new Map(layers.flat());
}

/** What `--lora-targets` may say besides module names: PEFT's `all-linear`, and the parts that every family has. */
const targetRoles: Readonly<Record<string, (module: LinearLayer) => boolean>> = {
  'all-linear': () => true,
  attention: ({ part }) => part === 'attention',
  mlp: ({ part }) => part === 'mlp',
};

/**
 * Full names of the modules that targets mean, as PEFT matches them: a role, a full name, or the end of one after a dot.
 * @throws UserError for a target that matches nothing
 */
export function targetModules(config: ModelConfig, targets: readonly string[]): string[] {
  const modules = [...linearModules(config).values()];
  const matches = (target: string) =>
    targetRoles[target] ?? (({ name }: LinearLayer) => name === target || name.endsWith(`.${target}`));
  const unmatched = targets.find((target) => !modules.some(matches(target)));
  if (unmatched !== undefined || targets.length === 0) {
    const names = new Set(modules.map(({ name }) => name.slice(name.lastIndexOf('.') + 1)));
    throw new UserError({
      where: '--lora-targets',
      expected: `${Object.keys(targetRoles).join(', ')}, or modules that a ${config.family} model has: ${[...names].join(', ')}`,
      found: unmatched ?? 'none',
    });
  }
  return modules
    .filter((module) => targets.some((target) => matches(target)(module)))
    .map(({ name }) => name);
}

/**
 * A fresh adapter, which changes nothing yet: A uniform within ±1/√in (PEFT's Kaiming initialisation with a = √5), B zero.
 * @param seed of the `adapter` stream; A of the i-th module takes step i
 */
export function initialAdapter(
  config: ModelConfig,
  adapter: Adapter,
  seed: number,
): Map<string, Float32Array> {
  const random = new Random(seed, 'adapter');
  return new Map(
    adapterSpecs(config, adapter).map(({ name, shape: [rows, columns] }, index) => {
      const values = new Float32Array(rows * columns);
      if (name.endsWith('.lora_A.weight')) {
        const bound = 1 / Math.sqrt(columns);
        for (let i = 0; i < values.length; i++) values[i] = bound * (2 * random.uniform(index, i) - 1);
      }
      return [name, values];
    }),
  );
}
