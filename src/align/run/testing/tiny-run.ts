// Tiny real models, data and options for tests of training; and a run's log without what differs from run to run.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Model, saveModel } from '../../../language/checkpoint/checkpoint.ts';
import type { ModelConfig } from '../../../language/model/config.ts';
import { families } from '../../../language/model/families/index.ts';
import { initialParameter, parameterSpecs } from '../../../language/model/parameters.ts';
import { fromStored } from '../../../language/stored-names.ts';
import type { Tokenizer } from '../../../language/text/tokenizer.ts';
import { trainTokenizer } from '../../../language/text/train.ts';
import type { TrainingOptions } from '../gradient-learner.ts';

const words = ['red', 'blue', 'cat', 'dog', 'sun', 'moon', 'sings', 'sleeps', 'runs', 'falls'];
const word = (n: number): string => words[n % words.length];

/** 256 bytes, three special tokens and a few merges. */
export function tinyTokenizer(): Tokenizer {
  const text = Array.from({ length: 60 }, (_, i) => `${word(i)} ${word(3 * i + 1)} ${word(7 * i + 2)}`);
  const specialTokens = ['<|pad|>', '<|bos|>', '<|eos|>'];
  const [pad, bos, eos] = specialTokens;
  return trainTokenizer(text, { vocabularySize: 290, specialTokens, pad, bos, eos });
}

/** Grouped queries in the rotary families; every bias that the family has. */
export function tinyConfig(
  family: ModelConfig['family'] = 'llama',
  sizes: Partial<ModelConfig> = {},
): ModelConfig {
  const { design, hasGroupedQueries } = families[family];
  return {
    family,
    vocabularySize: 290,
    hiddenSize: 32,
    layers: 2,
    heads: 4,
    keyValueHeads: hasGroupedQueries ? 2 : 4,
    headSize: 8,
    intermediateSize: 64,
    maxPositions: 64,
    ...design,
    tiedOutput: true,
    initializerRange: 0.02,
    tokens: { pad: 0, bos: 1, eos: [2] },
    ...sizes,
  };
}

export function randomParameters(config: ModelConfig, seed = 1): Map<string, Float32Array> {
  const specs = parameterSpecs(config);
  return new Map(specs.map((spec, i) => [spec.name, initialParameter(spec, config, seed, i)]));
}

/** A base model with its tokenizer, in `folder`. */
export async function saveTinyModel(folder: string, config = tinyConfig()): Promise<Model> {
  const tokenizer = tinyTokenizer();
  const model: Model = {
    kind: 'base',
    config,
    parameters: randomParameters(config),
    tokenizerFiles: tokenizer.files(),
  };
  await saveModel(folder, model);
  return model;
}

/** Rows of prompt and completion, of different lengths. @returns the file's path */
export function writeDemonstrations(folder: string, count: number, name = 'rows.jsonl'): string {
  const row = (i: number) => ({
    prompt: `${word(i)} ${word(i + 3)}?`,
    completion: ` ${Array.from({ length: 1 + (i % 4) }, (_, k) => word(i * 3 + k)).join(' ')}`,
  });
  const path = join(folder, name);
  writeFileSync(path, Array.from({ length: count }, (_, i) => `${JSON.stringify(row(i))}\n`).join(''));
  return path;
}

export const trainingDefaults: Omit<TrainingOptions, 'out'> & { strict: boolean } = {
  seed: 3,
  device: 'cpu',
  threads: 1,
  resume: false,
  epochs: 1,
  batchSize: 4,
  microBatchTokens: 128,
  learningRate: 3e-3,
  schedule: 'cosine',
  warmupRatio: 0.1,
  weightDecay: 0.01,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  clipNorm: 1,
  keepLast: 2,
  patience: 5,
  strict: false,
};

/** The lines of events.jsonl without times and rates. */
export function timelessLog(run: string): Record<string, unknown>[] {
  const lines = readFileSync(join(run, 'events.jsonl'), 'utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const { time, tokensPerSecond, seconds, ...rest } = fromStored(JSON.parse(line)) as Record<
      string,
      unknown
    >;
    return rest;
  });
}

/** Bytes of the trained model and of the optimizer's last state. */
export function trainedBytes(run: string, lastStep: number): { model: Buffer; optimizer: Buffer } {
  const step = `step-${String(lastStep).padStart(8, '0')}`;
  return {
    model: readFileSync(join(run, 'model/model.safetensors')),
    optimizer: readFileSync(join(run, 'checkpoints', step, 'optimizer.safetensors')),
  };
}
