// A policy that learns from its own answers: the model, what it is asked, and how its answers end and are rewarded.

import { UserError } from '../../engine/errors.ts';
import { loadModel, locateModel, type Model } from '../../language/checkpoint/checkpoint.ts';
import { type Fingerprint, fingerprintFile } from '../data/fingerprint.ts';
import { lineageFrom } from '../data/lineage.ts';
import { loadModelTokenizer, type ModelTokenizer } from '../data/model-tokenizer.ts';
import { type Prompt, type PromptTemplate, readPrompts } from '../data/prompts.ts';
import type { RowFault } from '../data/read.ts';
import { type Rollout, requireRoom } from './collect.ts';
import type { RewardedAnswer } from './rewards.ts';

export interface PromptOptions {
  data: readonly string[];
  /** How a plain prompt is put to the model; rows with an instruction bring their own. */
  template: PromptTemplate;
  strict: boolean;
}

export interface PromptedPolicy {
  /** Of kind policy, with its parent and data. */
  policy: Model;
  tokenizer: ModelTokenizer;
  prompts: readonly Prompt[];
  files: readonly Fingerprint[];
}

/** @throws UserError when the model or every prompt cannot be used, or an answer may not fit */
export async function loadPromptedPolicy(
  options: PromptOptions & { model: string; maxTokens: number },
  onFault: (fault: RowFault) => void,
): Promise<PromptedPolicy> {
  const folder = await locateModel(options.model);
  const policy = await loadModel(folder, { expectKind: ['base', 'policy'] });
  const tokenizer = await loadModelTokenizer(folder, policy.config);
  const prompts = await promptsOf(options, policy, tokenizer, onFault);
  requireRoom(prompts, options.maxTokens, policy.config.maxPositions);
  const files = await Promise.all(options.data.map((file) => fingerprintFile(file)));
  policy.kind = 'policy';
  policy.lineage = await lineageFrom([folder], files);
  return { policy, tokenizer, prompts, files };
}

async function promptsOf(
  { data, template, strict }: PromptOptions,
  { config }: Model,
  tokenizer: ModelTokenizer,
  onFault: (fault: RowFault) => void,
): Promise<Prompt[]> {
  const prompts: Prompt[] = [];
  const reading = {
    ...{ template, context: config.maxPositions, vocabularySize: config.vocabularySize },
    ...{ tokenizer: () => tokenizer.prompts, strict, onFault },
  };
  for (const file of data) for await (const prompt of readPrompts(file, reading)) prompts.push(prompt);
  if (prompts.length > 0) return prompts;
  const [where, expected] = [`--data ${data.join(' ')}`, 'at least one row with a prompt'];
  throw new UserError({ where, expected, found: 'none' });
}

export function toRewarded({ prompt, text, tokens }: Rollout): RewardedAnswer {
  return { prompt: prompt.text ?? '', completion: text, row: prompt.row ?? {}, tokens };
}
