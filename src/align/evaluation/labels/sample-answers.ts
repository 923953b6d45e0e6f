// Several answers of a model to each prompt, kept in answers.jsonl as they come.

import { UserError } from '../../../engine/errors.ts';
import { backendOf, type JobContext } from '../../../engine/runtime/job.ts';
import type { OpenedModel } from '../../../language/checkpoint/open-model.ts';
import { type Completion, type GenerationRequest, Generator } from '../../../language/generation/generate.ts';
import { leadingTokens, type PromptTokenizer } from '../../../language/text/prompt-tokenizer.ts';
import { type Prompt, readPrompts } from '../../data/prompts.ts';
import type { RowFault } from '../../data/read.ts';
import { readability } from '../../worlds/kata/readability.ts';
import { keepWholeSteps, openStrictLog, type SampledAnswer } from './answer-log.ts';
import type { LabelEvent, LabelOptions } from './label-options.ts';
import type { AskedPrompt } from './preferences.ts';

/** @throws UserError when no row has a prompt; FormatError at the first faulty row when strict */
export async function readAskedPrompts(
  { data, template, strict }: LabelOptions,
  { model: { config }, prompts: tokenizer }: OpenedModel,
  onFault: (fault: RowFault) => void,
): Promise<AskedPrompt[]> {
  const prompts: AskedPrompt[] = [];
  const options = {
    template,
    context: config.maxPositions,
    vocabularySize: config.vocabularySize,
    tokenizer: () => tokenizer,
    strict,
    onFault,
  };
  for (const file of data) {
    for await (const prompt of readPrompts(file, options)) prompts.push(askedPrompt(prompt, tokenizer));
  }
  if (prompts.length > 0) return prompts;
  const where = `--data ${data.join(' ')}`;
  throw new UserError({ where, expected: 'at least one row with a prompt', found: 'none' });
}

/** The text without what the tokenizer puts before any text, so that it tokenizes to the same ids again. */
function askedPrompt({ ids, row }: Prompt, tokenizer: PromptTokenizer): AskedPrompt {
  const text = tokenizer.decode(ids.slice(leadingTokens(tokenizer).length), { skipSpecial: false });
  return { ids, text, ...(typeof row?.problem === 'string' && { problem: row.problem }) };
}

/** More rows a step waste less at its end, where the batch empties; fewer are sampled again after a kill. */
const BATCHES_A_STEP = 16;

/**
 * Answers by prompt: what `path` holds of whole steps, and the rest sampled and appended.
 * @throws the signal's reason when aborted; UserError when the disk refuses
 */
export async function sampleAnswers(
  asked: OpenedModel,
  prompts: readonly AskedPrompt[],
  options: LabelOptions,
  path: string,
  context: JobContext<LabelEvent>,
): Promise<SampledAnswer[][]> {
  const { emit, signal } = context;
  const { samples, generationBatchSize: batchSize } = options;
  const promptsAStep = Math.ceil((BATCHES_A_STEP * batchSize) / samples);
  const steps = inGroups(prompts, promptsAStep);
  const answers = await keepWholeSteps(
    path,
    steps.map((step) => step.length * samples),
  );
  const generator = new Generator(await backendOf(context, options), asked.model, {
    batchSize,
    tokenizer: asked.tokenizer,
  });
  const log = openStrictLog(path);
  let done = answers.length;
  const onCompletion = () => emit({ type: 'progress', answers: ++done, total: prompts.length * samples });
  try {
    for (let step = answers.at(-1)?.step ?? 0; step < steps.length; step++) {
      const firstIndex = step * promptsAStep;
      const requests = steps[step].map((prompt, i) => requestOf(prompt, firstIndex + i, asked, options));
      for (const completion of await generator.generate(requests, { onCompletion, signal })) {
        const index = firstIndex + completion.request;
        const answer = answerOf(completion, { step: step + 1, index, problem: prompts[index].problem });
        log.append(answer);
        answers.push(answer);
      }
      log.sync();
    }
  } finally {
    log.close();
    await generator.close();
  }
  return inGroups(answers, samples);
}

function requestOf(
  { ids }: AskedPrompt,
  index: number,
  { stopIds }: OpenedModel,
  { samples, maxTokens, temperature, seed }: LabelOptions,
): GenerationRequest {
  return { promptIds: ids, samples, maxTokens, seed: seed + index, sampling: { temperature }, stopIds };
}

function answerOf(
  { sample, ids, finish, text = '' }: Completion,
  place: Pick<SampledAnswer, 'step' | 'index' | 'problem'>,
): SampledAnswer {
  return { ...place, sample, finish, readability: readability(text), text, ids };
}

function inGroups<T>(items: readonly T[], size: number): T[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, i) => items.slice(i * size, (i + 1) * size));
}
