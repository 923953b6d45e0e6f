// What must hold while reinforcement learning runs, or its numbers mean nothing. A breach that makes further training
// worthless throws; one that only weakens it comes back as a warning. Most faults ever reported of such systems
// (masks off by one, other temperatures, dropout, stale weights) break one of the first three.

import { UserError } from '../../engine/errors.ts';
import type { Device } from '../../engine/runtime/backend.ts';
import { type Rows, requireSameRows } from '../objectives/requirements.ts';

interface TokenPlace {
  row: number;
  token: number;
}

/** Between two graphs, in float32, by rounding alone: of one token. */
export const roundingNats = 1e-4;

/**
 * How far log-probabilities of one token by one model may differ between two graphs, nats. The CPU's kernels compute a
 * value alike in every graph; a device's kernels are fused and tiled by what stands around it.
 */
export const graphToleranceNats = (device: Device): number => (device === 'cpu' ? 0 : roundingNats);

/**
 * Before the first update the policy is the reference: their difference is 0, on the CPU exactly.
 * @param klPerToken estimates (any estimator) at step 0, nats
 * @param toleranceNats see `graphToleranceNats`
 * @throws UserError naming the first token at which it is not 0; ShapeError unless the rows agree
 */
export function requireZeroKlAtStart(klPerToken: Rows, toleranceNats = 0): void {
  const place = findToken(klPerToken, (kl) => !(Math.abs(kl) <= toleranceNats));
  if (!place) return;
  throw new UserError({
    where: `step 0: KL to the reference, completion ${place.row}, token ${place.token}`,
    expected: `${exactly(0, toleranceNats)}, because policy and reference are still the same model`,
    found: `${klPerToken[place.row][place.token]} nats`,
    advice:
      'the model that training starts from as the reference, and one temperature, mask and padding for both',
  });
}

/**
 * In the first mini-batch of a rollout batch nothing has been updated: every ratio is 1, on the CPU exactly.
 * @param measures of `policyLoss`, of that mini-batch: ½(log π − log π_old)² and (ρ − 1)², means over tokens
 * @param toleranceNats see `graphToleranceNats`
 * @throws UserError unless both are 0, or come of differences within the tolerance
 */
export function requireUnitRatioAtStart(
  step: number,
  measures: { approximateKl: number; ratioSquaredDeviation: number },
  toleranceNats = 0,
): void {
  const { approximateKl, ratioSquaredDeviation } = measures;
  if (Math.sqrt(2 * approximateKl) <= toleranceNats && Math.sqrt(ratioSquaredDeviation) <= toleranceNats)
    return;
  throw new UserError({
    where: `step ${step}: probability ratios of the first mini-batch`,
    expected: `${exactly(1, toleranceNats)}, because nothing has been updated since the rollouts were scored`,
    found: `(ρ − 1)² = ${ratioSquaredDeviation}, ½(log π − log π_old)² = ${approximateKl} on average`,
    advice: 'old log-probabilities recomputed by the training graph with the same weights, rows and padding',
  });
}

export interface GenerationDifference {
  /** Nats per token. */
  largest: number;
  mean: number;
  /** Where the largest is. */
  place: TokenPlace;
  warning?: string;
}

/**
 * The generator's log-probabilities against the training graph's, of the same tokens. A difference means that the
 * rollouts were drawn from another distribution than the one that is trained (int8 rollouts always have one).
 * @returns the difference, with a warning beyond 1e-4 nats per token
 * @throws ShapeError unless the rows agree; UserError when a difference is not a number, or no token counts
 */
export function compareWithGeneration(rows: {
  generationLogProbs: Rows;
  trainingLogProbs: Rows;
}): GenerationDifference {
  const { generationLogProbs, trainingLogProbs } = rows;
  requireSameRows('generation', { generationLogProbs, trainingLogProbs });
  const differences = generationLogProbs.map((row, b) =>
    Float64Array.from(row, (logProb, t) => Math.abs(logProb - trainingLogProbs[b][t])),
  );
  const unknown = findToken(differences, Number.isNaN);
  if (unknown) {
    const { row, token } = unknown;
    const found = `${generationLogProbs[row][token]} and ${trainingLogProbs[row][token]}`;
    const where = `log-probabilities of generation and training, completion ${row}, token ${token}`;
    throw new UserError({ where, expected: 'two numbers', found });
  }
  return summarise(differences);
}

function summarise(differences: Rows): GenerationDifference {
  let [largest, sum, count] = [-1, 0, 0];
  let place: TokenPlace = { row: 0, token: 0 };
  forEachToken(differences, (difference, at) => {
    if (difference > largest) [largest, place] = [difference, at];
    sum += difference;
    count++;
  });
  if (count === 0) {
    throw new UserError({ where: 'generation', expected: 'at least one token', found: 'none' });
  }
  const result = { largest, mean: sum / count, place };
  if (largest <= roundingNats) return result;
  const warning =
    `generation and training disagree by ${largest.toExponential(1)} nats on a token (completion ${place.row}, token ` +
    `${place.token}; mean ${result.mean.toExponential(1)}; expected at most 1e-4): the rollouts come from another ` +
    'distribution than the one that is trained';
  return { ...result, warning };
}

/** @throws UserError naming each value that is NaN or infinite; absent ones are passed over */
export function requireFinite(where: string, values: Readonly<Record<string, number | undefined>>): void {
  const wrong = Object.entries(values).filter(([, value]) => value !== undefined && !Number.isFinite(value));
  if (wrong.length === 0) return;
  throw new UserError({
    where,
    expected: 'finite numbers',
    found: wrong.map(([name, value]) => `${name} = ${value}`).join(', '),
    advice: 'a lower learning rate, or --resume from the last checkpoint with one',
  });
}

/** A warning when all scores of a batch are one number: whatever is trained on them learns nothing from them. */
export function equalScoresWarning(scores: ArrayLike<number>): string | undefined {
  if (scores.length < 2 || Array.from(scores).some((score) => score !== scores[0])) return undefined;
  return `all ${scores.length} completions have the score ${scores[0]}: this update learns nothing from the reward`;
}

/** Standard errors below 0 that chance does not explain. */
const chanceErrors = 3;

/**
 * A KL is never negative; the mean of its estimates may be by chance only, where the completions were drawn from the
 * very distribution that scored them. Beyond that, something else was sampled (top-k, another temperature).
 * @param sequenceKls Σ(log π − log π_ref) of each completion, nats
 * @param toleranceNats that rounding explains, of a completion: 0 where both come of one graph
 */
export function negativeKlWarning(sequenceKls: ArrayLike<number>, toleranceNats = 0): string | undefined {
  const values = Array.from(sequenceKls);
  const mean = values.reduce((sum, kl) => sum + kl, 0) / values.length;
  const variance = values.reduce((sum, kl) => sum + (kl - mean) ** 2, 0) / (values.length - 1);
  const standardError = Math.sqrt(variance / values.length);
  if (values.length < 2 || mean >= -Math.max(chanceErrors * standardError, toleranceNats)) return undefined;
  return (
    `the KL to the reference is ${mean.toPrecision(3)} ± ${standardError.toPrecision(2)} nats, below 0: the ` +
    'completions were not sampled from the distribution that scored them (top-k, top-p or another temperature?)'
  );
}

const exactly = (value: number, tolerance: number): string =>
  tolerance === 0 ? `exactly ${value}` : `${value} to ${tolerance}`;

function findToken(rows: Rows, test: (value: number) => boolean): TokenPlace | undefined {
  let found: TokenPlace | undefined;
  forEachToken(rows, (value, place) => {
    if (!found && test(value)) found = place;
  });
  return found;
}

function forEachToken(rows: Rows, visit: (value: number, place: TokenPlace) => void): void {
  rows.forEach((values, row) => {
    for (let token = 0; token < values.length; token++) visit(values[token], { row, token });
  });
}
