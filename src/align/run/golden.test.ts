import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { gradients } from '../../engine/graph/gradients.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import { adamwRates } from '../../engine/optimizer/adamw.ts';
import { clipScale, globalNorm } from '../../engine/optimizer/clipping.ts';
import { referenceUpdate } from '../../engine/optimizer/testing/reference-update.ts';
import { UpdateStep } from '../../engine/optimizer/update-step.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { interpret } from '../../engine/runtime/reference.ts';
import { loadModel, type Model } from '../../language/checkpoint/checkpoint.ts';
import { outputLogits } from '../../language/model/forward.ts';
import { windowInputs, windowStates } from '../../language/model/full-pass.ts';
import { baseInputs } from '../../language/model/testing/base-inputs.ts';
import {
  expectGradient,
  expectLoss,
  expectNear,
  families,
  goldenFolder,
  hasGolden,
  readGolden,
} from '../../language/model/testing/golden.ts';
import { buildWindow, limitsFor, type Window } from '../data/packing.ts';
import type { TokenRow } from '../data/token-row.ts';
import { tokenStatistics } from '../scoring/heads.ts';
import { byRow, tokenBatches } from '../scoring/layout.ts';
import { windowMicroBatches } from './window-batches.ts';

interface Example {
  prompt: number[];
  completion: number[];
}

function tokenRow({ prompt, completion }: Example): TokenRow {
  const ids = Int32Array.from([...prompt, ...completion]);
  return {
    ids,
    isTrained: Uint8Array.from(ids, (_, i) => Number(i >= prompt.length)),
    source: { file: '', line: 0 },
  };
}

/** Each row in a window of its own, or all of them packed into one. */
function windowsOf(rows: readonly TokenRow[], isPacked: boolean): Window[] {
  const lengths = rows.map(({ ids }) => ids.length);
  if (isPacked)
    return [
      buildWindow(
        rows,
        lengths.reduce((sum, length) => sum + length, 0),
      ),
    ];
  return rows.map((row) => buildWindow([row], Math.max(...lengths)));
}

function wholeBatch(model: Model, windows: Window[]) {
  const batches = windowMicroBatches(model.config, windows, 1e6, () => 'golden rows');
  expect(batches.length).toBe(1);
  return batches[0];
}

/** Loss and gradients of a batch by name. */
function lossAndGradients(model: Model, windows: Window[]) {
  const parameters = baseInputs(model.config);
  const { graph, feeds } = wholeBatch(model, windows);
  const { loss } = graph(parameters);
  const names = Object.keys(parameters);
  const slopes = gradients(
    loss,
    names.map((name) => parameters[name]),
  );
  const outputs: Record<string, Tensor> = { loss };
  names.forEach((name, i) => {
    outputs[`d ${name}`] = slopes[i];
  });
  return { outputs, feeds: { ...feeds(), ...Object.fromEntries(model.parameters) }, names };
}

describe.skipIf(!hasGolden)('the five families equal PyTorch (golden)', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await openBackend({ threads: 2 });
  });
  const golden = hasGolden ? readGolden('models.json') : undefined;
  const examples: Example[] = golden?.examples;
  const rows = examples?.map(tokenRow);
  const allTrained = rows?.map((row) => ({ ...row, isTrained: new Uint8Array(row.ids.length).fill(1) }));

  async function evaluate(outputs: Record<string, Tensor>, feeds: object, isReference: boolean) {
    if (isReference) return interpret(outputs, feeds as never);
    const program = await backend.compile(outputs);
    const results = await program.run(feeds as never);
    await program.release();
    return results;
  }

  for (const family of families) {
    for (const isReference of [true, false]) {
      const where = isReference ? 'float64' : 'float32';
      const expected = golden?.families[family];

      it(`${family}: logits in ${where}`, async () => {
        const model = await loadModel(join(goldenFolder, 'models', family));
        const [window] = windowsOf([rows[0]], true);
        const parameters = baseInputs(model.config);
        const hidden = windowStates(
          model.config,
          parameters,
          windowInputs({ windows: 1, length: window.ids.length }),
        );
        const feeds = { ...Object.fromEntries(model.parameters), ...window, tokens: window.ids };
        const outputs = { logits: outputLogits(model.config, parameters, hidden) };
        const { logits } = await evaluate(outputs, feeds, isReference);
        expectNear(logits, expected.logits_row0.flat(), isReference ? 1e-7 : 1e-4);
      });

      it(`${family}: the log-probability of every next token in ${where}`, async () => {
        const model = await loadModel(join(goldenFolder, 'models', family));
        const [batch] = tokenBatches(allTrained, limitsFor(model.config, 1e6));
        const { logProbs } = tokenStatistics(model.config, baseInputs(model.config), batch, 1);
        const feeds = { ...Object.fromEntries(model.parameters), ...batch.feeds };
        const found = byRow(batch, (await evaluate({ logProbs }, feeds, isReference)).logProbs);
        const wanted: number[][] = expected.token_logps;
        expect(found.map(({ length }) => length)).toEqual(wanted.map(({ length }) => length));
        wanted.forEach((row, r) => {
          row.forEach((logProb, i) => {
            expectLoss(found[r][i], logProb, isReference ? 1e-7 : 1e-5);
          });
        });
      });

      for (const isPacked of [false, true]) {
        it(`${family}: loss and every gradient in ${where}, ${isPacked ? 'packed' : 'one row a window'}`, async () => {
          const model = await loadModel(join(goldenFolder, 'models', family));
          const { outputs, feeds, names } = lossAndGradients(model, windowsOf(rows, isPacked));
          const results = await evaluate(outputs, feeds, isReference);
          expectLoss(results.loss[0], expected.sft_loss, isReference ? 1e-7 : 1e-5);
          expect(names.sort()).toEqual(Object.keys(expected.grads).sort());
          for (const name of names)
            expectGradient(
              results[`d ${name}`],
              expected.grads[name],
              isReference ? { norm: 1e-7, entry: 1e-7 } : { norm: 1e-4, entry: 1e-5 },
            );
        });
      }

      it(`${family}: the loss over all tokens in ${where}`, async () => {
        const model = await loadModel(join(goldenFolder, 'models', family));
        const { outputs, feeds } = lossAndGradients(model, windowsOf(allTrained, true));
        const { loss } = await evaluate({ loss: outputs.loss }, feeds, isReference);
        expectLoss(loss[0], expected.full_loss, isReference ? 1e-7 : 1e-5);
      });
    }
  }
});

describe.skipIf(!hasGolden)('the 12-step fine-tuning run equals PyTorch (golden)', () => {
  const { training } = hasGolden ? readGolden('training.json') : { training: undefined };
  const rowsOf = (step: number): TokenRow[] =>
    [(2 * step) % 6, ((2 * step) % 6) + 1].map((i) =>
      tokenRow({ prompt: training.pairs[i].prompt, completion: training.pairs[i].chosen }),
    );
  const load = () => loadModel(join(goldenFolder, 'models', 'llama'));

  it('through the float64 reference', async () => {
    const model = await load();
    const { lr, betas, eps, weight_decay, clip_norm } = training.optimizer;
    const options = { beta1: betas[0], beta2: betas[1], epsilon: eps };
    const states = new Map(
      [...model.parameters].map(([name, values]) => {
        const zeros = () => new Float64Array(values.length);
        return [name, { parameter: Float64Array.from(values), first: zeros(), second: zeros() }];
      }),
    );
    for (const [index, expected] of training.sft.entries()) {
      const { outputs, feeds, names } = lossAndGradients(model, windowsOf(rowsOf(index), true));
      const weights = [...states].map(([name, { parameter }]) => [name, parameter]);
      const results = interpret(outputs, { ...feeds, ...Object.fromEntries(weights) });
      const norm = globalNorm(names.map((name) => results[`d ${name}`]));
      expectLoss(results.loss[0], expected.loss, 1e-7);
      expectLoss(norm, expected.grad_norm, 1e-7);
      const rates = adamwRates(options, {
        learningRate: lr,
        weightDecay: weight_decay,
        gradientScale: clipScale(norm, clip_norm),
        step: index + 1,
      });
      for (const name of names) referenceUpdate(states.get(name)!, results[`d ${name}`], rates, options);
    }
  });

  it('through the trainer in float32', async () => {
    const model = await load();
    const { lr, betas, eps, weight_decay, clip_norm } = training.optimizer;
    const inputs = baseInputs(model.config);
    const trained = [...model.parameters].map(([name, values]) => ({
      name,
      values,
      tensor: inputs[name],
      weightDecay: weight_decay,
    }));
    const adamw = { beta1: betas[0], beta2: betas[1], epsilon: eps };
    const trainer = new UpdateStep(
      await openBackend({ threads: 2 }),
      { trained },
      {
        adamw,
        clipNorm: clip_norm,
        patience: 1,
      },
    );
    for (const [index, expected] of training.sft.entries()) {
      // Two micro-batches of a row each: accumulation is part of what is compared.
      const batches = windowMicroBatches(
        model.config,
        windowsOf(rowsOf(index), false),
        1,
        () => 'golden rows',
      );
      expect(batches.length).toBe(2);
      const { loss, gradientNorm } = await trainer.step(batches, lr);
      expectLoss(loss, expected.loss, 1e-5);
      expectLoss(gradientNorm, expected.grad_norm, 1e-4);
    }
    await trainer.close();
  });
});
