// A policy that learns from its own answers: the model, what it is asked, and how its answers end and are rewarded.

import { UserError } from '../../engine/errors.ts';
import type { FrozenBases, Model } from '../../language/checkpoint/checkpoint.ts';
import type { ModelTokenizer } from '../../language/checkpoint/model-tokenizer.ts';
import { type OpenedModel, openModel } from '../../language/checkpoint/open-model.ts';
import { type Fingerprint, fingerprintFile } from '../data/fingerprint.ts';
import { lineageFrom, modelSource } from '../data/lineage.ts';
import { type Prompt, readPrompts } from '../data/prompts.ts';
import type { RowFault } from '../data/read.ts';
import type { PromptTemplate } from '../data/tokenize.ts';
import { type AdapterOptions, withAdapter } from '../run/adapter-options.ts';
import { type Rollout, requireRoom } from './collect.ts';
import type { RewardedAnswer } from './rewards.ts';

export interface PromptOptions {
  data: readonly string[];
  /** How a plain prompt is put to the model; rows with an instruction bring their own. */
  template: PromptTemplate;
  strict: boolean;
}

export interface PromptedPolicy {
  /** Of kind policy, with its parents and data. */
  policy: Model;
  tokenizer: ModelTokenizer;
  prompts: readonly Prompt[];
  files: readonly Fingerprint[];
}

/**
 * @param others models that the result depends on besides: parents in its lineage, in this order
 * @throws UserError when a model or every prompt cannot be used, or an answer may not fit
 */
export async function loadPromptedPolicy(
  options: PromptOptions & AdapterOptions & { model: string; maxTokens: number; seed: number },
  others: readonly string[],
  onFault: (fault: RowFault) => void,
  bases?: FrozenBases,
): Promise<PromptedPolicy> {
  const isFrozen = options.loraRank !== undefined;
  const opened = await openModel(options.model, { expectKind: ['base', 'policy'], bases, isFrozen });
  const policy = await withAdapter(opened, options);
  const prompts = await promptsOf(options, opened, onFault);
  requireRoom(prompts, options.maxTokens, policy.config.maxPositions);
  const files = await Promise.all(options.data.map((file) => fingerprintFile(file)));
  policy.kind = 'policy';
  const parents = await Promise.all(others.map(modelSource));
  policy.lineage = await lineageFrom([opened, ...parents], files);
  return { policy, tokenizer: opened, prompts, files };
}

async function promptsOf(
  { data, template, strict }: PromptOptions,
  { model: { config }, prompts: tokenizer }: OpenedModel,
  onFault: (fault: RowFault) => void,
): Promise<Prompt[]> {
  const prompts: Prompt[] = [];
  const reading = {
    ...{ template, context: config.maxPositions, vocabularySize: config.vocabularySize },
    ...{ tokenizer: () => tokenizer, strict, onFault },
  };
  for (const file of data) for await (const prompt of readPrompts(file, reading)) prompts.push(prompt);
  if (prompts.length > 0) return prompts;
  const [where, expected] = [`--data ${data.join(' ')}`, 'at least one row with a prompt'];
  throw new UserError({ where, expected, found: 'none' });
}

export function toRewarded({ prompt, text, tokens }: Rollout): RewardedAnswer {
  return { prompt: prompt.text ?? '', completion: text, row: prompt.row ?? {}, tokens };
}
