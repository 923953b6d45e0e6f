// heed generate's job: what a model says to given prompts.

import { UserError } from '../../engine/errors.ts';
import type { Device } from '../../engine/runtime/backend.ts';
import { backendOf, type JobContext } from '../../engine/runtime/job.ts';
import type { ModelTokenizer } from '../../language/checkpoint/model-tokenizer.ts';
import { type OpenedWeights, openWeights, tokenizerOf } from '../../language/checkpoint/open-model.ts';
import {
  type Completion,
  type GenerationRequest,
  Generator,
  type SamplingOptions,
} from '../../language/generation/generate.ts';
import {
  type Prompt,
  type PromptOptions,
  problemOf,
  readPrompts,
  tokenizePlainPrompt,
} from '../data/prompts.ts';
import type { RowFault } from '../data/read.ts';
import type { PromptTemplate } from '../data/tokenize.ts';

export interface SampleOptions extends SamplingOptions {
  model: string;
  /** Texts, or else `data`: files of rows. */
  prompt?: string[];
  data?: string[];
  template: PromptTemplate;
  maxTokens: number;
  /** Completions of each prompt. */
  samples: number;
  /** Texts that end a completion. */
  stop: string[];
  /** Prompt i is sampled with seed + i. */
  seed: number;
  device: Device;
  threads: number;
  generationBatchSize: number;
  /** Stop at the first row without a usable prompt. */
  strict: boolean;
}

export type SampleEvent =
  | { type: 'fault'; fault: RowFault }
  /** The next text of the only completion. */
  | { type: 'text'; text: string }
  | { type: 'progress'; completions: number; total: number };

export interface SampledCompletion {
  file?: string;
  line?: number;
  /** As it was given; decoded when it was given as ids. */
  prompt?: string;
  sample: number;
  /** Absent when the model's folder has no tokenizer. */
  text?: string;
  ids: number[];
  /** Of each id under the distribution that it was drawn from, nats. */
  log_probs: number[];
  /** Of each id under the model itself, nats. */
  raw_log_probs: number[];
  finish: Completion['finish'];
}

export interface SampleResult {
  /** In the order of the prompts, each prompt's samples together. */
  completions: SampledCompletion[];
  tokens_per_second: number;
  /** That it was computed on. */
  device: Device;
  /** Rows quarantined. */
  faults: number;
}

/** @throws UserError when the model, a prompt or all rows cannot be used; FormatError at the first faulty row when strict */
export async function sampleCompletions(
  options: SampleOptions,
  context: JobContext<SampleEvent>,
): Promise<SampleResult> {
  const { emit, signal } = context;
  const asked = await askedModel(options);
  const faults: RowFault[] = [];
  const prompts = await collectPrompts(options, asked, faults, emit);
  const generator = new Generator(await backendOf(context, options), asked.model, {
    batchSize: options.generationBatchSize,
    tokenizer: asked.tokenizer?.tokenizer,
  });
  const begun = performance.now();
  const completions = await generator.generate(
    requestsFor(prompts, options, asked.tokenizer?.stopIds ?? asked.model.config.tokens.eos),
    {
      ...listen(prompts.length * options.samples, emit),
      signal,
    },
  );
  const seconds = (performance.now() - begun) / 1000;
  await generator.close();
  const tokens = completions.reduce((count, { ids }) => count + ids.length, 0);
  return {
    completions: completions.map((each) => sampled(each, prompts[each.request], asked.tokenizer)),
    tokens_per_second: tokens / seconds,
    device: options.device,
    faults: faults.length,
  };
}

interface AskedModel extends OpenedWeights {
  tokenizer: ModelTokenizer | undefined;
}

/** The tokenizer is there where the folder has one; without it only ids can be continued. */
async function askedModel({ model: path, prompt, stop }: SampleOptions): Promise<AskedModel> {
  const opened = await openWeights(path, { expectKind: ['base', 'policy'] });
  const isNeeded = prompt !== undefined || stop.length > 0;
  const isThere = opened.model.tokenizerFiles?.['tokenizer.json'] !== undefined;
  return { ...opened, tokenizer: isThere || isNeeded ? await tokenizerOf(opened) : undefined };
}

async function collectPrompts(
  { prompt, data = [], template, strict }: SampleOptions,
  { folder, model, tokenizer }: AskedModel,
  faults: RowFault[],
  emit: (event: SampleEvent) => void,
): Promise<Prompt[]> {
  const options: PromptOptions = {
    template,
    context: model.config.maxPositions,
    vocabularySize: model.config.vocabularySize,
    tokenizer: () => tokenizer?.prompts ?? lacksTokenizer(folder),
  };
  if (prompt) return prompt.map((text, i) => givenPrompt(text, i, options));
  const onFault = (fault: RowFault) => {
    faults.push(fault);
    emit({ type: 'fault', fault });
  };
  const prompts: Prompt[] = [];
  for (const file of data) {
    for await (const row of readPrompts(file, { ...options, strict, onFault })) prompts.push(row);
  }
  if (prompts.length === 0) throw nothingAsked(data, faults);
  return prompts;
}

function nothingAsked(data: readonly string[], [first]: readonly RowFault[]): UserError {
  return new UserError({
    where: `--data ${data.join(' ')}`,
    expected: 'at least one row with a prompt',
    found: first ? `none: ${first.file}:${first.line}: ${first.reason}` : 'no rows',
  });
}

function givenPrompt(text: string, index: number, options: PromptOptions): Prompt {
  const ids = tokenizePlainPrompt(text, options.template, options.tokenizer());
  const found = problemOf(ids, options);
  if (!found) return { ids, text };
  const where = `--prompt, number ${index + 1}`;
  throw new UserError({ where, expected: 'a prompt that the model can go on from', found });
}

function lacksTokenizer(folder: string): never {
  throw new UserError({
    where: folder,
    expected: 'a tokenizer.json, because a prompt is text',
    found: 'none',
    advice: 'rows with prompt_ids',
  });
}

function requestsFor(
  prompts: readonly Prompt[],
  options: SampleOptions,
  stopIds: readonly number[],
): GenerationRequest[] {
  const { temperature, topK, topP, minP, repetitionPenalty, samples, maxTokens, seed, stop } = options;
  return prompts.map(({ ids }, i) => ({
    promptIds: ids,
    samples,
    maxTokens,
    seed: seed + i,
    sampling: { temperature, topK, topP, minP, repetitionPenalty },
    stopIds,
    stopStrings: stop,
  }));
}

function listen(total: number, emit: (event: SampleEvent) => void) {
  let completions = 0;
  let shown = 0;
  const show = (text: string) => {
    if (text !== '') emit({ type: 'text', text });
    shown += text.length;
  };
  return {
    onToken({ text = '' }: { text?: string }) {
      if (total === 1) show(text);
    },
    onCompletion({ text = '' }: Completion) {
      if (total === 1) show(text.slice(shown));
      emit({ type: 'progress', completions: ++completions, total });
    },
  };
}

function sampled(
  { sample, text, ids, logProbs, rawLogProbs, finish }: Completion,
  prompt: Prompt,
  tokenizer: ModelTokenizer | undefined,
): SampledCompletion {
  return {
    ...prompt.source,
    prompt: prompt.text ?? tokenizer?.tokenizer.decode(prompt.ids),
    sample,
    text,
    ids,
    log_probs: Array.from(logProbs),
    raw_log_probs: Array.from(rawLogProbs),
    finish,
  };
}
