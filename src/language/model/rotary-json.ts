// The rotary part of config.json. Its keys stood at the top level (rope_theta, rope_scaling) until Transformers 5
// gathered them in rope_parameters; a file with both must say the same twice.

import { isDeepStrictEqual } from 'node:util';
import type { ModelConfig, RotaryScaling } from './config.ts';
import type { Fields } from './config-fields.ts';

type Rotary = Omit<Extract<ModelConfig['positions'], { kind: 'rotary' }>, 'kind'>;

const anyPositive = { min: 0, max: 1e12 };
const contextLengths = { min: 1, max: 2 ** 27 };

const scalingKeys: Record<RotaryScaling['kind'], readonly string[]> = {
  default: [],
  linear: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
  yarn: [
    'factor',
    'original_max_position_embeddings',
    'beta_fast',
    'beta_slow',
    'attention_factor',
    'mscale',
    'mscale_all_dim',
    'truncate',
  ],
};
const commonKeys = ['rope_type', 'type', 'rope_theta', 'partial_rotary_factor'];

/**
 * @param fields       the whole config.json
 * @param maxPositions max_position_embeddings, the default of YaRN's and Llama 3's original length
 * @throws FormatError for an unknown type, an unknown key, or two spellings that disagree
 */
export function parseRotary(fields: Fields, maxPositions: number): Rotary {
  const theta = fields.number('rope_theta', anyPositive, 10_000);
  const originalPositions = parseOriginalPositions(fields);
  const spellings = ['rope_parameters', 'rope_scaling']
    .map((key) => fields.object(key))
    .filter((object) => object !== undefined);
  const [first, second] = spellings.map((object) => {
    const lengths = { maxPositions, original: originalPositions ?? parseOriginalPositions(object) };
    return parseSpelling(object, theta, lengths);
  });
  if (second && !isDeepStrictEqual(first, second)) {
    throw fields.fault('rope_scaling', 'the same as rope_parameters');
  }
  if (first && fields.has('rope_theta') && first.theta !== theta) {
    throw fields.fault('rope_theta', `the ${first.theta} of rope_parameters`);
  }
  return first ?? { theta, scaling: { kind: 'default' } };
}

/** At the top level, where Phi-3 has it, it goes before the one beside the factor, as in Transformers. */
function parseOriginalPositions(fields: Fields): number | undefined {
  const key = 'original_max_position_embeddings';
  return fields.has(key) ? fields.integer(key, contextLengths) : undefined;
}

interface ContextLengths {
  maxPositions: number;
  /** Before it was scaled up; unsaid, the same. */
  original?: number;
}

function parseSpelling(fields: Fields, theta: number, lengths: ContextLengths): Rotary {
  const kind = parseKind(fields);
  const known = [...commonKeys, ...scalingKeys[kind]];
  for (const key of fields.keys()) {
    if (!known.includes(key)) throw fields.fault(key, `only the keys of ${kind} rotary: ${known.join(', ')}`);
  }
  if (fields.number('partial_rotary_factor', anyPositive, 1) !== 1) {
    throw fields.fault('partial_rotary_factor', '1, all that heed supports');
  }
  return {
    theta: fields.number('rope_theta', anyPositive, theta),
    scaling: parseScaling(fields, kind, lengths),
  };
}

function parseKind(fields: Fields): RotaryScaling['kind'] {
  const key = fields.has('rope_type') ? 'rope_type' : 'type';
  const name = fields.string(key, 'default');
  if (fields.string('type', name) !== name) throw fields.fault('type', `the ${name} of rope_type`);
  if (Object.hasOwn(scalingKeys, name)) return name as RotaryScaling['kind'];
  throw fields.fault(key, `one of ${Object.keys(scalingKeys).join(', ')}`);
}

function parseScaling(fields: Fields, kind: RotaryScaling['kind'], lengths: ContextLengths): RotaryScaling {
  switch (kind) {
    case 'default':
      return { kind };
    case 'linear':
      return { kind, factor: fields.number('factor', anyPositive) };
    case 'llama3':
      return parseLlama3(fields, lengths);
    case 'yarn':
      return parseYarn(fields, lengths);
  }
}

function parseLlama3(
  fields: Fields,
  { maxPositions, original = maxPositions }: ContextLengths,
): RotaryScaling {
  const lowFrequencyFactor = fields.number('low_freq_factor', anyPositive);
  const highFrequencyFactor = fields.number('high_freq_factor', anyPositive);
  if (highFrequencyFactor <= lowFrequencyFactor) {
    throw fields.fault('high_freq_factor', `more than low_freq_factor = ${lowFrequencyFactor}`);
  }
  return {
    kind: 'llama3',
    factor: fields.number('factor', anyPositive),
    lowFrequencyFactor,
    highFrequencyFactor,
    originalMaxPositions: original,
  };
}

function parseYarn(fields: Fields, { maxPositions, original = maxPositions }: ContextLengths): RotaryScaling {
  if (!fields.boolean('truncate', true)) throw fields.fault('truncate', 'true, all that heed supports');
  const factor = fields.number('factor', anyPositive, maxPositions / original);
  const betaFast = fields.number('beta_fast', anyPositive, 32);
  const betaSlow = fields.number('beta_slow', anyPositive, 1);
  if (betaFast < betaSlow) throw fields.fault('beta_fast', `at least beta_slow = ${betaSlow}`);
  return {
    kind: 'yarn',
    factor,
    originalMaxPositions: original,
    betaFast,
    betaSlow,
    attentionFactor: fields.number('attention_factor', anyPositive, yarnAttentionFactor(fields, factor)),
  };
}

/** Peng et al. 2023 (arXiv:2309.00071), Eq. 22: 0.1·ln s + 1; a ratio of two where DeepSeek's mscale keys are given. */
function yarnAttentionFactor(fields: Fields, factor: number): number {
  const scaled = (weight: number) => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  if (!fields.get('mscale') || !fields.get('mscale_all_dim')) return scaled(1);
  return scaled(fields.number('mscale', anyPositive)) / scaled(fields.number('mscale_all_dim', anyPositive));
}

/** Both spellings of the rotary part. */
export function rotaryToJson({ theta, scaling }: Rotary): Record<string, unknown> {
  const parameters = scalingToJson(scaling);
  return {
    rope_theta: theta,
    rope_scaling: scaling.kind === 'default' ? null : parameters,
    rope_parameters: { rope_theta: theta, ...parameters },
  };
}

function scalingToJson(scaling: RotaryScaling): Record<string, unknown> {
  switch (scaling.kind) {
    case 'default':
      return { rope_type: 'default' };
    case 'linear':
      return { rope_type: 'linear', factor: scaling.factor };
    case 'llama3':
      return {
        rope_type: 'llama3',
        factor: scaling.factor,
        low_freq_factor: scaling.lowFrequencyFactor,
        high_freq_factor: scaling.highFrequencyFactor,
        original_max_position_embeddings: scaling.originalMaxPositions,
      };
    case 'yarn':
      return {
        rope_type: 'yarn',
        factor: scaling.factor,
        original_max_position_embeddings: scaling.originalMaxPositions,
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        attention_factor: scaling.attentionFactor,
      };
  }
}
