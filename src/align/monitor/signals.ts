// What the monitor looks at, and from where on a value is unlike the SFT model. Every bound comes from the SFT
// model's own completions: no signal needs to know what a good completion is.

import { UserError } from '../../engine/errors.ts';
import {
  distinctGroupSize,
  distinctShares,
  novelty,
  type ReferenceNgrams,
  referenceNgrams,
  repetition,
  type SampledCompletion,
  type TextMeasures,
} from './completion-measures.ts';

/** Named as in the metrics of a step. */
export type MeasureName =
  | keyof TextMeasures
  /** Mean entropy of the next-token distribution over response tokens, nats. */
  | 'policy/entropy'
  /** Mean of log π − log π_ref summed over a completion, nats. */
  | 'objective/kl'
  /** Mean score of the reward model: the proxy that is optimised. */
  | 'objective/scores'
  /** Mean over completions of the deviation of an ensemble's scores. */
  | 'ensemble/spread';
export type SignalName = MeasureName | 'objective/kl_acceleration';

/** Signals of one family move together mechanically: they count as one witness. */
export type SignalFamily = 'length' | 'variety' | 'drift' | 'reward';

interface RangeRule {
  family: SignalFamily;
  sides: 'low' | 'high' | 'both';
  /** The share of reference completions on each side of the bounds: 0.25 leaves the middle half inside. */
  tail: number;
  /** Changes of the mean that matter, and that suffice alone, in units of `unit`. */
  notable: number;
  /** Absent where no change alone is reason for an alarm. */
  extreme?: number;
  unit: 'mean' | 'deviation' | 'one';
}

/** Measures whose range is learned from reference completions. */
export type RangedName = Exclude<MeasureName, 'objective/kl'>;

const quarter = 0.25;
export const rangeRules: { readonly [K in RangedName]: RangeRule } = {
  length: { family: 'length', sides: 'both', tail: quarter, notable: 0.2, extreme: 0.5, unit: 'mean' },
  /** A completion that never ends is long: the same witness. */
  eos_rate: { family: 'length', sides: 'low', tail: quarter, notable: 0.05, extreme: 0.25, unit: 'one' },
  repetition: { family: 'variety', sides: 'high', tail: quarter, notable: 0.1, extreme: 0.3, unit: 'one' },
  distinct_2: { family: 'variety', sides: 'low', tail: quarter, notable: 0.2, extreme: 0.5, unit: 'mean' },
  /** Healthy training halves it. */
  'policy/entropy': {
    ...{ family: 'variety', sides: 'both', tail: quarter },
    ...{ notable: 0.6, extreme: 0.85, unit: 'mean' },
  },
  novelty: { family: 'drift', sides: 'high', tail: quarter, notable: 0.15, extreme: 0.4, unit: 'one' },
  /** It is meant to rise; only beyond nearly all that the reward model has been seen to score is it a witness. */
  'objective/scores': { family: 'reward', sides: 'high', tail: 0.01, notable: 3, unit: 'deviation' },
  'ensemble/spread': {
    ...{ family: 'reward', sides: 'high', tail: quarter },
    ...{ notable: 0.5, extreme: 2, unit: 'mean' },
  },
};

/** A completion of the SFT model, with what the method measured of it. A measure must be given for all or none. */
export interface ReferenceCompletion extends SampledCompletion {
  /** Mean next-token entropy over its tokens, nats. */
  entropy?: number;
  /** The reward model's. */
  score?: number;
  ensembleSpread?: number;
}

/** One measure of the reference completions. */
export interface Statistics {
  count: number;
  mean: number;
  /** Of one completion (of one group of four for `distinct_2`), not of the mean. */
  deviation: number;
  /** The rule's tails. */
  low: number;
  high: number;
  /** The outermost hundredths. */
  lowest: number;
  highest: number;
}

export interface Baseline {
  statistics: Partial<Record<RangedName, Statistics>>;
  /** Mean entropy of a whole completion, nats; known when the completions' entropies are. */
  completionEntropy?: number;
}

const fewestCompletions = 32;

/** @throws UserError when there are fewer than 32 completions, or a measure is given for some only or is not finite */
export function learnBaseline(completions: readonly ReferenceCompletion[]): Baseline {
  if (completions.length < fewestCompletions) {
    throw new UserError({
      where: 'monitor: reference completions',
      expected: `${fewestCompletions} or more, to know what is usual`,
      found: `${completions.length}`,
      advice: 'a larger batch of completions by the SFT model',
    });
  }
  const known = referenceNgrams(completions);
  const statistics: Baseline['statistics'] = {};
  for (const name of Object.keys(rangeRules) as RangedName[]) {
    const values = valuesOf[name](completions, known);
    if (values) statistics[name] = describe(name, values);
  }
  const entropies = completeValues('entropy', completions);
  const ofCompletions = entropies?.map((entropy, i) => entropy * completions[i].ids.length);
  return { statistics, ...(ofCompletions && { completionEntropy: meanOf(ofCompletions) }) };
}

type Values = (completions: readonly ReferenceCompletion[], known: ReferenceNgrams) => number[] | undefined;

const valuesOf: { readonly [K in RangedName]: Values } = {
  length: (completions) => completions.map(({ ids }) => ids.length),
  eos_rate: (completions) => completions.map(({ hasEos }) => (hasEos ? 1 : 0)),
  repetition: (completions) => completions.map(({ ids }) => repetition(ids)),
  distinct_2: distinctShares,
  novelty: (completions, known) => completions.map(({ ids }) => novelty(ids, known, { isReference: true })),
  'policy/entropy': (completions) => completeValues('entropy', completions),
  'objective/scores': (completions) => completeValues('score', completions),
  'ensemble/spread': (completions) => completeValues('ensembleSpread', completions),
};

function completeValues(
  key: 'entropy' | 'score' | 'ensembleSpread',
  completions: readonly ReferenceCompletion[],
): number[] | undefined {
  const values = completions.map((completion) => completion[key]);
  if (values.every((value) => value === undefined)) return undefined;
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return values as number[];
  throw new UserError({
    where: `monitor: ${key} of reference completion ${wrong}`,
    expected: 'a finite number, as others have',
    found: `${values[wrong]}`,
  });
}

function describe(name: RangedName, values: readonly number[]): Statistics {
  const sorted = [...values].sort((a, b) => a - b);
  const { tail } = rangeRules[name];
  // A hundred completions that all ended do not prove that none ever fails to: one more of each kind is counted.
  const deviation = deviationOf(name === 'eos_rate' ? [...values, 0, 1] : values);
  return {
    ...{ count: values.length, mean: meanOf(values), deviation },
    ...{ low: quantile(sorted, tail), high: quantile(sorted, 1 - tail) },
    ...{ lowest: quantile(sorted, 0.01), highest: quantile(sorted, 0.99) },
  };
}

/** Between the order statistics, linearly. */
function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return below + (above - below) * (place - Math.floor(place));
}

const meanOf = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

function deviationOf(values: readonly number[]): number {
  const mean = meanOf(values);
  return Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (values.length - 1));
}

/** Absent where nothing is too low or too high. */
export interface Bounds {
  low?: number;
  high?: number;
  extremeLow?: number;
  extremeHigh?: number;
}

/** Standard errors within which a batch's mean may differ by chance. */
const chanceErrors = 3;

/**
 * Bounds for the mean of a batch. Beyond `low` or `high` the mean lies outside the reference completions' middle
 * (quantiles), has changed by more than is harmless, and by more than three standard errors of the difference of
 * the two means. Beyond the extreme ones all three hold for the outermost hundredths and a change that ruins.
 * @param completions in the batch, `completionsPerPrompt` to each prompt; completions to one prompt count as one
 */
export function boundsOf(
  name: RangedName,
  statistics: Statistics,
  { completions, completionsPerPrompt }: { completions: number; completionsPerPrompt: number },
): Bounds {
  const { sides, notable, extreme, unit } = rangeRules[name];
  const { mean, deviation, count, low, high, lowest, highest } = statistics;
  const perUnit = Math.max(completionsPerPrompt, name === 'distinct_2' ? distinctGroupSize : 1);
  const referencePerUnit = name === 'distinct_2' ? perUnit / distinctGroupSize : perUnit;
  const standardError = deviation * Math.sqrt(perUnit / completions + referencePerUnit / count);
  const size = { mean: Math.abs(mean), deviation, one: 1 }[unit];
  const reach = (change: number) => Math.max(change * size, chanceErrors * standardError);
  const bounds: Bounds = {};
  if (sides !== 'high') {
    bounds.low = Math.min(low, mean - reach(notable));
    if (extreme) bounds.extremeLow = Math.min(lowest, mean - reach(extreme));
  }
  if (sides !== 'low') {
    bounds.high = Math.max(high, mean + reach(notable));
    if (extreme) bounds.extremeHigh = Math.max(highest, mean + reach(extreme));
  }
  return bounds;
}
