// Rotary position tables with the scalings that published models use.

import { constant } from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import type { ModelConfig, RotaryScaling } from './config.ts';

/** cos and sin of every angle, [positions, headSize/2] each; undefined for a model without rotary positions. */
export function rotaryTables(
  config: ModelConfig,
  positions: number,
): { cosine: Tensor; sine: Tensor } | undefined {
  if (config.positions.kind !== 'rotary') return undefined;
  const { theta, scaling } = config.positions;
  const frequencies = rotaryFrequencies(theta, config.headSize, scaling);
  const factor = scaling.kind === 'yarn' ? scaling.attentionFactor : 1;
  const table = (f: (angle: number) => number): Tensor => {
    const values = Array.from({ length: positions }, (_, position) =>
      frequencies.map((frequency) => factor * f(position * frequency)),
    );
    return constant(values.flat(), [positions, frequencies.length]);
  };
  return { cosine: table(Math.cos), sine: table(Math.sin) };
}

/** Angle per position of each pair of dimensions, in radians. */
function rotaryFrequencies(theta: number, headSize: number, scaling: RotaryScaling): number[] {
  const plain = Array.from({ length: headSize / 2 }, (_, i) => theta ** ((-2 * i) / headSize));
  switch (scaling.kind) {
    case 'default':
      return plain;
    case 'linear':
      return plain.map((frequency) => frequency / scaling.factor);
    case 'llama3':
      return plain.map((frequency) => llama3Frequency(frequency, scaling));
    case 'yarn':
      return yarnFrequencies(plain, theta, headSize, scaling);
  }
}

/** Long wavelengths are divided by the factor, short ones kept, and those between blended. */
function llama3Frequency(frequency: number, scaling: RotaryScaling & { kind: 'llama3' }): number {
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalMaxPositions } = scaling;
  const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
  if (turns < lowFrequencyFactor) return frequency / factor;
  if (turns > highFrequencyFactor) return frequency;
  const kept = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
  return (1 - kept) * (frequency / factor) + kept * frequency;
}

/** Peng et al. 2023 (arXiv:2309.00071), section 3.2: interpolate slow dimensions, keep fast ones, a ramp between. */
function yarnFrequencies(
  plain: readonly number[],
  theta: number,
  headSize: number,
  { factor, originalMaxPositions, betaFast, betaSlow }: RotaryScaling & { kind: 'yarn' },
): number[] {
  const dimensionOf = (turns: number) =>
    (headSize * Math.log(originalMaxPositions / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const low = Math.max(Math.floor(dimensionOf(betaFast)), 0);
  const high = Math.min(Math.ceil(dimensionOf(betaSlow)), headSize - 1);
  return plain.map((frequency, i) => {
    const ramp = Math.min(Math.max((i - low) / Math.max(high - low, 0.001), 0), 1);
    return frequency * (1 - ramp) + (frequency / factor) * ramp;
  });
}
