// Whether the policy leaves the reference faster and faster, and will soon be too far: a parabola through the last
// measures of the KL.

import { UserError } from '../../engine/errors.ts';

/** Observations that the parabola is fitted to, and over which it is followed ahead. */
export const accelerationWindow = 8;

/** With five degrees of freedom, Student's t is above this in one of 200 draws (one-sided). */
const chanceErrors = 4;

/**
 * Least squares of k(x) = c₀ + c₁x + c₂(x² − m), x counted from the middle, in orthogonal polynomials.
 * @param klNats sequence KL at the last 8 observations, oldest first
 * @param budgetNats the KL that is too far
 * @returns the acceleration 2c₂, nats per observation squared, and the highest that is harmless: it does not lead
 *   past the budget within the next 8 observations, or may be chance, or adds less than a hundredth of the budget
 * @throws UserError unless there are 8 values
 */
export function klAcceleration(
  klNats: readonly number[],
  budgetNats: number,
): { value: number; high: number } {
  const n = accelerationWindow;
  if (klNats.length !== n) {
    throw new UserError({ where: 'KL acceleration', expected: `${n} values`, found: `${klNats.length}` });
  }
  const x = klNats.map((_, i) => i - (n - 1) / 2);
  const parabola = (at: number) => at * at - (n * n - 1) / 12;
  const p = x.map(parabola);
  const c0 = klNats.reduce((sum, k) => sum + k, 0) / n;
  const c1 = dot(klNats, x) / dot(x, x);
  const c2 = dot(klNats, p) / dot(p, p);
  const residuals = klNats.map((k, i) => k - c0 - c1 * x[i] - c2 * p[i]);
  const standardError = 2 * Math.sqrt(dot(residuals, residuals) / (n - 3) / dot(p, p));
  const last = x[n - 1];
  const now = c0 + c1 * last + c2 * parabola(last);
  const slope = c1 + 2 * c2 * last;
  const leadsPast = (2 * (budgetNats - now - slope * n)) / (n * n);
  const negligible = (2 * (budgetNats / 100)) / (n * n);
  return { value: 2 * c2, high: Math.max(leadsPast, chanceErrors * standardError, negligible) };
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}
