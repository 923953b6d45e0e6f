// When two models fit together. Ids, not texts, go from one model to another: from a policy to its reference, its reward
// model and its value model. So both must give the same ids for the same text.

import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../../engine/errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { jsonContent } from '../text/tokenizer-files.ts';
import type { Model } from './checkpoint.ts';

/** What decides whether ids mean the same to two models. */
export type TokenModel = Pick<Model, 'config' | 'tokenizerFiles'>;

/**
 * What scores another model's ids (a reward model, a reference) has an id for each of them, and gives the same ids for
 * the same text: vocabulary, merges, normalizer, pre-tokenizer, added tokens with their flags, and the special tokens
 * that are put around a text. Padding and truncation, the decoder, the chat template and other metadata may differ; so may
 * rows of the embedding beyond the other's vocabulary, and which token ends a completion. Tokenizers are compared where
 * both models have one.
 * @param where the other model, for the message
 * @throws UserError naming the first part of tokenizer.json that differs
 */
export function requireSameTokens(where: string, other: TokenModel, model: TokenModel): void {
  const [found, expected] = [other.config.vocabularySize, model.config.vocabularySize];
  if (found < expected) {
    throw new UserError({ where, expected: `${expected} token ids, as --model has`, found: `${found}` });
  }
  const [theirs, ours] = [tokenRules(other), tokenRules(model)];
  if (!theirs || !ours) return;
  const part = Object.keys(ours).find((key) => !isDeepStrictEqual(theirs[key], ours[key]));
  if (part === undefined) return;
  throw new UserError({
    where,
    expected: 'the same tokens as --model has',
    found: `another tokenizer: its ${part} differs`,
    advice: 'one that was trained from the same base model',
  });
}

/** @param tokens that the longest row may have. @throws UserError where the model's context is shorter */
export function requireContext(where: string, { maxPositions }: ModelConfig, tokens: number): void {
  if (tokens <= maxPositions) return;
  throw new UserError({
    where,
    expected: `a context of at least ${tokens} tokens, as the longest row may have`,
    found: `${maxPositions}`,
    advice: 'shorter rows: a lower --max-tokens or --max-length',
  });
}

/** What may differ between models that one graph computes. */
const looseFields: ReadonlySet<string> = new Set(['maxPositions', 'initializerRange', 'tokens']);

/**
 * Models that one graph computes have the same tokens and the same architecture.
 * @throws UserError naming what differs
 */
export function requireOneGraph(where: string, other: TokenModel, model: TokenModel): void {
  requireSameTokens(where, other, model);
  for (const [field, value] of Object.entries(model.config)) {
    const found = other.config[field as keyof ModelConfig];
    if (looseFields.has(field) || isDeepStrictEqual(found, value)) continue;
    throw new UserError({
      where,
      expected: `${field} ${JSON.stringify(value)}, as in --model`,
      found: JSON.stringify(found),
      advice: 'a model of the same architecture',
    });
  }
}

type Json = Record<string, unknown>;

/** The parts of tokenizer.json that decide ids; undefined where there is none. */
function tokenRules({ tokenizerFiles }: TokenModel): Json | undefined {
  const json = jsonContent(tokenizerFiles?.['tokenizer.json'], 'tokenizer.json') as Json | undefined;
  if (!json) return undefined;
  const { vocab, merges, ...rest } = (json.model ?? {}) as Json;
  const added = [...((json.added_tokens as Json[] | undefined) ?? [])];
  return {
    vocabulary: vocab,
    merges: ((merges as (string | string[])[] | undefined) ?? []).map((pair) => [pair].flat().join(' ')),
    'kind of model': withoutDefaults(rest),
    normalizer: withoutDefaults(json.normalizer),
    'pre-tokenizer': withoutDefaults(json.pre_tokenizer),
    'list of added tokens': withoutDefaults(added.sort((a, b) => Number(a.id) - Number(b.id))),
    'frame of special tokens': framesOf(json.post_processor).map(withoutDefaults),
  };
}

/** Older files leave out what newer ones write as null, false or an empty text; offsets are no ids. */
function withoutDefaults(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDefaults);
  if (typeof value !== 'object' || value === null) return value ?? undefined;
  const isDefault = ([key, field]: [string, unknown]) =>
    key === 'trim_offsets' || field === null || field === false || field === '';
  const explicit = Object.entries(value).filter((entry) => !isDefault(entry));
  return Object.fromEntries(explicit.map(([key, field]) => [key, withoutDefaults(field)]));
}

/** Templates alone put tokens around a text. */
function framesOf(processor: unknown): unknown[] {
  const { type, processors = [], single, special_tokens } = (processor ?? {}) as Json;
  if (type === 'TemplateProcessing') return [{ single, special_tokens }];
  return (processors as unknown[]).flatMap(framesOf);
}
