// Pretraining: predict every next token of plain text. Radford et al. 2018, section 3.1.
// The model starts from random weights, or from another model's (continued pretraining).
// Departures: 1. documents that share a window do not see each other.

import { UserError } from '../../engine/errors.ts';
import type { JobContext } from '../../engine/runtime/job.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import { loadModelTokenizer, type ModelTokenizer } from '../../language/checkpoint/model-tokenizer.ts';
import { type OpenedModel, openModel } from '../../language/checkpoint/open-model.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import { families } from '../../language/model/families/index.ts';
import { initialParameter, parameterSpecs } from '../../language/model/parameters.ts';
import { requireEndToken } from '../../language/text/prompt-tokenizer.ts';
import { createBatchOrder } from '../data/batches.ts';
import { type Fingerprint, fingerprintFile } from '../data/fingerprint.ts';
import { lineageFrom } from '../data/lineage.ts';
import { describeFaults, type RowFault } from '../data/read.ts';
import { readTexts, tokenizeTexts } from '../data/texts.ts';
import { TokenStream } from '../data/token-stream.ts';
import type { RunEvent } from '../run/events.ts';
import type { TrainingOptions } from '../run/gradient-learner.ts';
import { trainLanguageModel, type WindowSource } from '../run/language-run.ts';
import { openRun } from '../run/open-run.ts';
import type { RunResult } from '../run/training-run.ts';

/** The shape of a model to be made. */
export interface ArchitectureOptions {
  family: ModelConfig['family'];
  layers: number;
  hiddenSize: number;
  heads: number;
  keyValueHeads?: number;
  intermediateSize?: number;
  context: number;
}

export interface PretrainOptions extends TrainingOptions, ArchitectureOptions {
  /** A model to go on from; without it one is made from `tokenizer` and the architecture. */
  model?: string;
  tokenizer?: string;
  data: string[];
  strict: boolean;
  windowLength: number;
}

export interface PretrainResult extends RunResult {
  documents: number;
  /** Tokens of the corpus, each document's EOS included. */
  corpusTokens: number;
  /** Rows and lines quarantined. */
  faults: number;
}

/** Trains on plain text. @throws UserError before any training when model, tokenizer or corpus cannot be used */
export async function pretrain(
  options: PretrainOptions,
  context: JobContext<RunEvent>,
): Promise<PretrainResult> {
  const run = openRun('pretrain', options, context);
  try {
    const { model, tokenizer, parents } = await startingModel(options);
    const { stream, files, faults } = await corpus(tokenizer, model.config, options, run.setAside);
    run.warnOfRows();
    model.lineage = await lineageFrom(parents, files);
    const source = windowSource(stream, files, options);
    const result = await trainLanguageModel(model, source, options, run.folder, context, 'pretrain');
    return { ...result, documents: stream.documents, corpusTokens: stream.ids.length, faults };
  } finally {
    run.close();
  }
}

interface Start {
  model: Model;
  tokenizer: ModelTokenizer;
  parents: OpenedModel[];
}

async function startingModel(options: PretrainOptions): Promise<Start> {
  if (options.model) {
    const opened = await openModel(options.model, { expectKind: ['base'] });
    return { model: opened.model, tokenizer: opened, parents: [opened] };
  }
  if (!options.tokenizer) {
    throw new UserError({
      where: 'pretrain',
      expected: '--tokenizer for a new model, or --model to go on from one',
      found: 'neither',
      advice: '`heed tokenizer train --data FILE --out DIR` and --tokenizer DIR',
    });
  }
  const tokenizer = await loadModelTokenizer(options.tokenizer);
  const config = newConfig(options, tokenizer);
  const parameters = new Map(
    parameterSpecs(config).map((spec, i) => [spec.name, initialParameter(spec, config, options.seed, i)]),
  );
  const tokenizerFiles = tokenizer.tokenizer.files();
  return { model: { kind: 'base', config, parameters, tokenizerFiles }, tokenizer, parents: [] };
}

/** A configuration as the family publishes it. @throws UserError when the sizes do not divide each other */
function newConfig(options: ArchitectureOptions, { tokenizer, prompts }: ModelTokenizer): ModelConfig {
  const { family, layers, hiddenSize, heads, keyValueHeads = heads, context } = options;
  const { design, hasGroupedQueries, intermediateSize } = families[family];
  const mayShare = heads % keyValueHeads === 0 && (hasGroupedQueries || keyValueHeads === heads);
  if (hiddenSize % (2 * heads) !== 0 || !mayShare) {
    const all = hasGroupedQueries ? '' : ` (all of them for ${family})`;
    throw new UserError({
      where: '--hidden-size, --heads, --key-value-heads',
      expected: `an even width for each head, and heads that key-value heads divide${all}`,
      found: `${hiddenSize}, ${heads}, ${keyValueHeads}`,
    });
  }
  const eos = requireEndToken(prompts);
  return {
    family,
    vocabularySize: tokenizer.vocabularySize,
    hiddenSize,
    layers,
    heads,
    keyValueHeads,
    headSize: hiddenSize / heads,
    intermediateSize: options.intermediateSize ?? intermediateSize(hiddenSize),
    maxPositions: context,
    ...design,
    tiedOutput: true,
    initializerRange: 0.02,
    tokens: { bos: tokenizer.special.bos, eos: [eos], pad: tokenizer.special.pad },
  };
}

async function corpus(
  { tokenizer, prompts }: ModelTokenizer,
  config: ModelConfig,
  options: PretrainOptions,
  setAside: (fault: RowFault) => void,
): Promise<{ stream: TokenStream; files: Fingerprint[]; faults: number }> {
  if (options.windowLength > config.maxPositions) {
    throw new UserError({
      where: '--window-length',
      expected: `at most ${config.maxPositions}, the model's context`,
      found: `${options.windowLength}`,
    });
  }
  if (tokenizer.vocabularySize > config.vocabularySize) {
    throw new UserError({
      where: 'tokenizer',
      expected: `at most ${config.vocabularySize} tokens, the model's vocabulary`,
      found: `${tokenizer.vocabularySize}`,
    });
  }
  let faults = 0;
  let first: RowFault | undefined;
  const onFault = (fault: RowFault) => {
    faults++;
    first ??= fault;
    setAside(fault);
  };
  async function* pieces() {
    for (const file of options.data) {
      yield* tokenizeTexts(readTexts(file, { strict: options.strict, onFault }), prompts);
    }
  }
  const stream = await TokenStream.collect(pieces(), options.windowLength, requireEndToken(prompts));
  if (stream.ids.length < 2) throw noText(options.data, stream.ids.length, faults, first);
  const files = await Promise.all(options.data.map((file) => fingerprintFile(file)));
  return { stream, files, faults };
}

function noText(data: readonly string[], tokens: number, faults: number, first?: RowFault): UserError {
  return new UserError({
    where: data.join(', '),
    expected: 'at least two tokens of text',
    found: first ? `${tokens} (${describeFaults(faults, first)})` : `${tokens}`,
  });
}

/** Batches of windows of the corpus, in a new order every epoch. */
function windowSource(stream: TokenStream, files: Fingerprint[], options: PretrainOptions): WindowSource {
  const order = createBatchOrder({ seed: options.seed, batchSize: options.batchSize, count: stream.windows });
  return {
    totalSteps: order.stepsForEpochs(options.epochs),
    stepsPerEpoch: stream.windows / options.batchSize,
    windowsForStep: (step) => order.rowsForStep(step).map((index) => stream.window(index)),
    describeStep: (step) => `windows ${order.rowsForStep(step).join(', ')} of the corpus`,
    files,
  };
}
