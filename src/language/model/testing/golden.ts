// Where the reference values from PyTorch lie, and how near to them is near enough (their README's tolerances).

import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect } from 'vitest';

export const goldenFolder = resolve(process.env.HEED_GOLDEN ?? '../shared/golden');
export const hasGolden = existsSync(join(goldenFolder, 'models.json'));
export const families = ['llama', 'llama_untied', 'qwen2', 'qwen3', 'gpt2'] as const;

// biome-ignore lint/suspicious/noExplicitAny: the files' shapes are described in their README
export function readGolden(name: string): any {
  return JSON.parse(readFileSync(join(goldenFolder, name), 'utf8'));
}

/** |a − b| ≤ tolerance · max(1, |b|). */
export function expectLoss(found: number, expected: number, tolerance: number): void {
  expect(Math.abs(found - expected)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(expected)));
}

/** Every entry within `tolerance` of the largest expected one. */
export function expectNear(found: ArrayLike<number>, expected: readonly number[], tolerance: number): void {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expect(found.length).toBe(expected.length);
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(found[i] - value)), 0);
  expect(worst).toBeLessThanOrEqual(tolerance * largest);
}

interface GoldenGradient {
  norm: number;
  first: number[];
  sum: number;
}

/** Norm within `norm` relative; first entries within `entry` of that norm; a sum that is not near zero as the norm. */
export function expectGradient(
  found: ArrayLike<number>,
  expected: GoldenGradient,
  tolerance: { norm: number; entry: number },
): void {
  const values = Array.from(found);
  const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  expect(Math.abs(norm - expected.norm)).toBeLessThanOrEqual(tolerance.norm * expected.norm);
  expected.first.forEach((value, i) => {
    expect(Math.abs(values[i] - value)).toBeLessThanOrEqual(tolerance.entry * expected.norm);
  });
  if (Math.abs(expected.sum) < 0.1 * expected.norm) return;
  const total = values.reduce((sum, value) => sum + value, 0);
  expect(Math.abs(total - expected.sum)).toBeLessThanOrEqual(
    tolerance.norm * expected.norm * Math.sqrt(values.length),
  );
}
