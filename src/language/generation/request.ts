// What a caller asks of generation and gets back, and the refusal of what cannot be meant.

import { UserError } from '../../engine/errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { SamplingOptions } from './sampling.ts';

export interface GenerationRequest {
  promptIds: readonly number[];
  /** Completions wanted of this prompt; default 1. The prompt is computed once. */
  samples?: number;
  /** Most tokens of a completion; it also ends where the model's context does. */
  maxTokens: number;
  /**
   * The token at position p of sample i is drawn with number (i, p) of this seed's `sampling` stream, whatever else
   * is being generated.
   */
  seed: number;
  sampling: SamplingOptions;
  /** Tokens that end a completion; default the model's end-of-text tokens, [] for none. */
  stopIds?: readonly number[];
  /** Texts that end a completion; the generator then needs a tokenizer. */
  stopStrings?: readonly string[];
}

export interface Completion {
  /** Index of the request. */
  request: number;
  /** Index of the sample within the request. */
  sample: number;
  /** With the stop token, and with all tokens of which a stop string was made. */
  ids: number[];
  /** Of each id under the distribution that it was drawn from, nats. */
  logProbs: Float64Array;
  /** Of each id under softmax(logits), without temperature, penalty and filters, nats. */
  rawLogProbs: Float64Array;
  finish: 'stop' | 'stop-string' | 'length';
  /** When the generator has a tokenizer: without the stop token, cut before the stop string. */
  text?: string;
}

export interface TokenEvent {
  request: number;
  sample: number;
  id: number;
  logProb: number;
  /** When the generator has a tokenizer: the text that became certain with this token. */
  text?: string;
}

export interface GenerationListener {
  onToken?(event: TokenEvent): void;
  /** In the order in which completions finish. */
  onCompletion?(completion: Completion): void;
  /** Ends the generation between two tokens: `generate` rejects with the signal's reason. */
  signal?: AbortSignal;
}

interface Limits {
  config: ModelConfig;
  hasTokenizer: boolean;
}

/** @throws UserError naming the request and the field */
export function checkRequests(requests: readonly GenerationRequest[], limits: Limits): void {
  requests.forEach((request, index) => {
    const where = (field: string) => `${field} of request ${index}`;
    checkPrompt(request.promptIds, where('promptIds'), limits.config);
    checkSampling(request.sampling, where);
    const { samples = 1, maxTokens, seed, stopIds = [], stopStrings = [] } = request;
    demand(isWhole(samples, 1), where('samples'), 'a whole number ≥ 1', samples);
    demand(isWhole(maxTokens, 1), where('maxTokens'), 'a whole number ≥ 1', maxTokens);
    demand(isWhole(seed, 0), where('seed'), 'a whole number from 0 to 2^53 − 1', seed);
    checkIds(stopIds, where('stopIds'), limits.config);
    checkStopStrings(stopStrings, where('stopStrings'), limits.hasTokenizer);
  });
}

function checkPrompt(ids: readonly number[], where: string, config: ModelConfig): void {
  demand(ids.length > 0, where, 'at least one token', 'none', 'beginning with the begin-of-text token');
  const most = config.maxPositions - 1;
  const advice = 'a shorter prompt';
  demand(
    ids.length <= most,
    where,
    `at most ${most} tokens (the context is ${most + 1})`,
    ids.length,
    advice,
  );
  checkIds(ids, where, config);
}

function checkIds(ids: readonly number[], where: string, { vocabularySize: V }: ModelConfig): void {
  const at = ids.findIndex((id) => !isWhole(id, 0) || id >= V);
  if (at < 0) return;
  const advice = "the model's own tokenizer";
  demand(false, where, `token ids from 0 to ${V - 1}`, `${ids[at]} at place ${at}`, advice);
}

function checkStopStrings(stopStrings: readonly string[], where: string, hasTokenizer: boolean): void {
  demand(!stopStrings.includes(''), where, 'texts of at least one character', 'an empty one');
  if (stopStrings.length === 0 || hasTokenizer) return;
  demand(false, where, 'none without a tokenizer', stopStrings.length, 'creating the generator with one');
}

function checkSampling(sampling: SamplingOptions, where: (field: string) => string): void {
  const { temperature, topK = 1, topP = 1, minP = 0, repetitionPenalty = 1 } = sampling;
  const isTemperature = Number.isFinite(temperature) && temperature >= 0;
  demand(isTemperature, where('temperature'), 'a number ≥ 0', temperature, '0 for greedy decoding');
  demand(isWhole(topK, 1), where('topK'), 'a whole number ≥ 1', topK, 'leaving it out to keep all tokens');
  demand(topP > 0 && topP <= 1, where('topP'), 'a number above 0 and at most 1', topP);
  demand(minP >= 0 && minP <= 1, where('minP'), 'a number from 0 to 1', minP);
  const isPenalty = Number.isFinite(repetitionPenalty) && repetitionPenalty > 0;
  demand(isPenalty, where('repetitionPenalty'), 'a number > 0', repetitionPenalty, '1 for none');
}

const isWhole = (value: number, least: number): boolean => Number.isSafeInteger(value) && value >= least;

function demand(
  isMet: boolean,
  where: string,
  expected: string,
  found: string | number,
  advice?: string,
): void {
  if (!isMet) throw new UserError({ where, expected, found: String(found), advice });
}
