// The 12-step runs of the golden data, by a method's own micro-batches: through the float64 reference, and through
// the trainer in float32. Weight decay acts on every trained parameter there.

import { join } from 'node:path';
import { gradients } from '../../../engine/graph/gradients.ts';
import type { Tensor } from '../../../engine/graph/tensor.ts';
import { adamwRates } from '../../../engine/optimizer/adamw.ts';
import { clipScale, globalNorm } from '../../../engine/optimizer/clipping.ts';
import { referenceUpdate } from '../../../engine/optimizer/testing/reference-update.ts';
import { type MicroBatch, UpdateStep } from '../../../engine/optimizer/update-step.ts';
import { openBackend } from '../../../engine/runtime/onnx-backend.ts';
import { interpret } from '../../../engine/runtime/reference.ts';
import { loadModel, type Model } from '../../../language/checkpoint/checkpoint.ts';
import type { Parameters } from '../../../language/model/forward.ts';
import { goldenFolder, hasGolden, readGolden } from '../../../language/model/testing/golden.ts';
import { type Weights, weightSpecs } from '../../../language/model/weights.ts';
import type { TokenRow } from '../../data/token-row.ts';

interface GoldenPair {
  prompt: number[];
  chosen: number[];
  rejected: number[];
}

// biome-ignore lint/suspicious/noExplicitAny: the file's shape is described in its README
export const golden: any = hasGolden ? readGolden('training.json').training : undefined;

export const goldenModel = (family = 'llama'): Promise<Model> =>
  loadModel(join(goldenFolder, 'models', family));

/** The adapter over the base that it was made for. */
export const goldenAdapter = async (name: string): Promise<Model> =>
  loadModel(join(goldenFolder, 'adapters', name), {
    base: await goldenModel(name === 'reward' ? 'llama' : name),
  });

/** Chosen and rejected answers of the pairs of a step. */
export function goldenPairs(step: number): { index: number; completions: [TokenRow, TokenRow] }[] {
  return [(2 * step) % 6, ((2 * step) % 6) + 1].map((index) => {
    const { prompt, chosen, rejected }: GoldenPair = golden.pairs[index];
    return { index, completions: [rowOf(prompt, chosen), rowOf(prompt, rejected)] };
  });
}

export function rowOf(prompt: number[], completion: number[]): TokenRow {
  const ids = Int32Array.from([...prompt, ...completion]);
  const isTrained = Uint8Array.from(ids, (_, i) => Number(i >= prompt.length));
  return { ids, isTrained, source: { file: '', line: 0 } };
}

export interface GoldenStep {
  loss: number;
  gradientNorm: number;
  measures: Record<string, number>;
}

export interface GoldenRun {
  model: Model;
  parameters: Parameters;
  /** One for the float64 reference, as many as there are for the trainer. */
  batchesOf: (step: number) => MicroBatch[];
  /** In the place of feeds that were rounded to float32. */
  exactFeeds?: (step: number) => Record<string, number[]>;
}

export function* referenceSteps({
  model,
  parameters,
  batchesOf,
  exactFeeds,
}: GoldenRun): Iterable<GoldenStep> {
  const { lr, betas, eps, weight_decay, clip_norm } = golden.optimizer;
  const options = { beta1: betas[0], beta2: betas[1], epsilon: eps };
  const names = trainedNames(model);
  const frozen = frozenFeeds(model);
  const states = new Map(names.map((name) => [name, stateOf(model.parameters.get(name)!)]));
  for (let step = 0; step < 12; step++) {
    const [{ graph, feeds }, ...others] = batchesOf(step);
    if (others.length > 0) throw new Error('the reference takes one micro-batch');
    const { loss, measures } = graph(parameters);
    const weights = names.map((name) => [name, states.get(name)!.parameter]);
    const outputs: Record<string, Tensor> = { loss, ...measures, ...slopesOf(loss, parameters, names) };
    const found = interpret(outputs, {
      ...feeds(),
      ...exactFeeds?.(step),
      ...frozen,
      ...Object.fromEntries(weights),
    });
    const gradientNorm = globalNorm(names.map((name) => found[`d ${name}`]));
    const rates = adamwRates(options, {
      ...{ learningRate: lr, weightDecay: weight_decay, step: step + 1 },
      gradientScale: clipScale(gradientNorm, clip_norm),
    });
    for (const name of names) referenceUpdate(states.get(name)!, found[`d ${name}`], rates, options);
    const told = Object.keys(measures).map((name) => [name, found[name][0]]);
    yield { loss: found.loss[0], gradientNorm, measures: Object.fromEntries(told) };
  }
}

function stateOf(values: Float32Array) {
  const zeros = () => new Float64Array(values.length);
  return { parameter: Float64Array.from(values), first: zeros(), second: zeros() };
}

function slopesOf(loss: Tensor, parameters: Parameters, names: string[]): Record<string, Tensor> {
  const found = gradients(
    loss,
    names.map((name) => parameters[name]),
  );
  return Object.fromEntries(names.map((name, i) => [`d ${name}`, found[i]]));
}

function trainedNames(model: Weights): string[] {
  return weightSpecs(model)
    .filter(({ isTrained }) => isTrained)
    .map(({ name }) => name);
}

/** The base under an adapter. */
function frozenFeeds(model: Weights): Record<string, Float32Array> {
  const frozen = weightSpecs(model).filter(({ isTrained }) => !isTrained);
  return Object.fromEntries(frozen.map(({ name }) => [name, model.parameters.get(name)!]));
}

export async function* trainerSteps({ model, parameters, batchesOf }: GoldenRun): AsyncIterable<GoldenStep> {
  const { lr, betas, eps, weight_decay, clip_norm } = golden.optimizer;
  const trained = trainedNames(model).map((name) => {
    return { name, tensor: parameters[name], values: model.parameters.get(name)!, weightDecay: weight_decay };
  });
  const frozen = Object.entries(frozenFeeds(model)).map(([name, values]) => {
    return { name, values, tensor: parameters[name] };
  });
  const trainer = new UpdateStep(
    await openBackend({ threads: 1 }),
    { trained, frozen, constants: parameters },
    {
      adamw: { beta1: betas[0], beta2: betas[1], epsilon: eps },
      ...{ clipNorm: clip_norm, patience: 1 },
    },
  );
  try {
    for (let step = 0; step < 12; step++) yield await trainer.step(batchesOf(step), lr);
  } finally {
    await trainer.close();
  }
}
