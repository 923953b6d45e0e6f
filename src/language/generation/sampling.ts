// From a model's scores of the next token to the token: the sampling distribution and a draw from it.
// Order as in Transformers: repetition penalty, temperature, top-k, top-p, min-p; then what is left is renormalised.

export interface SamplingOptions {
  /** Divides the logits; 0 takes the token with the largest (the first of equals). */
  temperature: number;
  /** Keeps the k most likely tokens, and those as likely as the k-th. */
  topK?: number;
  /** Keeps the smallest set of most likely tokens that reaches this probability. Holtzman et al. 2020 (arXiv:1904.09751). */
  topP?: number;
  /** Keeps tokens at least this fraction as likely as the likeliest. Nguyen et al. 2024 (arXiv:2407.01082). */
  minP?: number;
  /** Divides positive and multiplies negative logits of tokens seen in prompt and completion. Keskar et al. 2019 (arXiv:1909.05858), §4.1. */
  repetitionPenalty?: number;
}

/** What the model says of a row's next token. */
export interface NextTokenScores {
  /** [V] */
  logits: Float32Array;
  /** softmax(logits / temperature) [V]; not read at temperature 0 */
  probabilities: Float32Array;
  /** log Σ e^logits, nats */
  logNormaliser: number;
}

export interface Draw {
  id: number;
  /** Under the sampling distribution, nats; 0 at temperature 0, where nothing is left to chance. */
  logProb: number;
  /** Under softmax(logits), nats. */
  rawLogProb: number;
}

type Weights = Float32Array | Float64Array;

/**
 * Draws the next token.
 * @param seen    ids of the prompt and of the completion so far; read when there is a repetition penalty
 * @param uniform in [0, 1)
 */
export function drawToken(
  scores: NextTokenScores,
  sampling: SamplingOptions,
  seen: Iterable<number>,
  uniform: number,
): Draw {
  const { id, logProb } =
    sampling.temperature === 0
      ? { id: indexOfLargest(penalisedLogits(scores.logits, sampling, seen)), logProb: 0 }
      : drawByWeight(samplingWeights(scores, sampling, seen), uniform);
  return { id, logProb, rawLogProb: scores.logits[id] - scores.logNormaliser };
}

/** The sampling distribution [V] up to a common factor; 0 for tokens that a filter removed. Temperature > 0. */
export function samplingWeights(
  scores: NextTokenScores,
  sampling: SamplingOptions,
  seen: Iterable<number>,
): Weights {
  const { topK, topP = 1, minP = 0, repetitionPenalty = 1, temperature } = sampling;
  let weights: Weights = scores.probabilities;
  if (repetitionPenalty !== 1)
    weights = tempered(penalisedLogits(scores.logits, sampling, seen), temperature);
  if (topK !== undefined && topK < weights.length) weights = keepMostLikely(weights, topK);
  if (topP < 1) weights = keepNucleus(weights, topP);
  if (minP > 0) weights = keepAtLeast(weights, minP * largestOf(weights));
  return weights;
}

function penalisedLogits(
  logits: Weights,
  { repetitionPenalty = 1 }: SamplingOptions,
  seen: Iterable<number>,
): Weights {
  if (repetitionPenalty === 1) return logits;
  const penalised = new Float64Array(logits);
  for (const id of seen) {
    penalised[id] = logits[id] > 0 ? logits[id] / repetitionPenalty : logits[id] * repetitionPenalty;
  }
  return penalised;
}

function tempered(logits: Weights, temperature: number): Weights {
  const largest = largestOf(logits);
  const weights = new Float64Array(logits.length);
  for (let i = 0; i < weights.length; i++) weights[i] = Math.exp((logits[i] - largest) / temperature);
  return weights;
}

function keepMostLikely(weights: Weights, k: number): Weights {
  return keepAtLeast(weights, nthLargest(weights, k));
}

function keepNucleus(weights: Weights, probability: number): Weights {
  const target = probability * sumOf(weights);
  const smallest = nucleusThreshold(weights, target);
  const kept = weights.slice();
  let reached = 0;
  for (let i = 0; i < kept.length; i++) {
    if (kept[i] > smallest) reached += kept[i];
    else if (kept[i] < smallest) kept[i] = 0;
  }
  // Of tokens exactly as likely as the threshold, only as many as are needed, and at least one.
  let isFirst = true;
  for (let i = 0; i < kept.length; i++) {
    if (kept[i] !== smallest) continue;
    if (isFirst || reached < target) reached += smallest;
    else kept[i] = 0;
    isFirst = false;
  }
  return kept;
}

function keepAtLeast(weights: Weights, threshold: number): Weights {
  const kept = weights.slice();
  for (let i = 0; i < kept.length; i++) if (kept[i] < threshold) kept[i] = 0;
  return kept;
}

/** Inverse of the cumulative distribution. */
function drawByWeight(weights: Weights, uniform: number): { id: number; logProb: number } {
  const total = sumOf(weights);
  const target = uniform * total;
  let id = -1;
  for (let i = 0, cumulative = 0; i < weights.length && cumulative <= target; i++) {
    cumulative += weights[i];
    if (weights[i] > 0) id = i;
  }
  return { id, logProb: Math.log(weights[id] / total) };
}

function sumOf(values: Weights): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum;
}

function largestOf(values: Weights): number {
  return values[indexOfLargest(values)];
}

function indexOfLargest(values: Weights): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** The n-th largest value. */
function nthLargest(values: Weights, n: number): number {
  const x = values.slice();
  const wanted = n - 1;
  for (let low = 0, high = x.length - 1; low < high; ) {
    const [i, j] = partition(x, low, high);
    if (wanted <= j) high = j;
    else if (wanted >= i) low = i;
    else break;
  }
  return x[wanted];
}

/** The largest value such that it and all larger ones together reach `target`. */
function nucleusThreshold(values: Weights, target: number): number {
  const x = values.slice();
  let [low, high, reached] = [0, x.length - 1, 0];
  while (low < high) {
    const [i, j] = partition(x, low, high);
    const upper = sumOf(x.subarray(low, j + 1));
    if (j >= low && reached + upper >= target) {
      high = j;
      continue;
    }
    reached += upper;
    if (i > high) return x[high];
    if (i - j === 2) reached += x[j + 1];
    if (reached >= target) return x[j + 1];
    low = i;
  }
  return x[low];
}

/** Hoare's partition of x[low … high]: larger values end at j, smaller ones begin at i, what lies between is equal. */
function partition(x: Weights, low: number, high: number): [i: number, j: number] {
  const pivot = x[(low + high) >> 1];
  let [i, j] = [low, high];
  while (i <= j) {
    while (x[i] > pivot) i++;
    while (x[j] < pivot) j--;
    if (i > j) break;
    const swapped = x[i];
    x[i++] = x[j];
    x[j--] = swapped;
  }
  return [i, j];
}
