// Adapters against PEFT's values: one pass, its gradients, merging, and 12 steps over a frozen base.

import { describe, expect, it } from 'vitest';
import { gradients } from '../../engine/graph/gradients.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import type { MicroBatch } from '../../engine/optimizer/update-step.ts';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { interpret } from '../../engine/runtime/reference.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import { mergeAdapter } from '../../language/checkpoint/merge.ts';
import { outputLogits } from '../../language/model/forward.ts';
import { windowInputs, windowStates } from '../../language/model/full-pass.ts';
import {
  expectGradient,
  expectLoss,
  expectNear,
  hasGolden,
  readGolden,
} from '../../language/model/testing/golden.ts';
import { type Weights, weightFeeds, weightInputs, weightSpecs } from '../../language/model/weights.ts';
import { buildWindow } from '../data/packing.ts';
import type { TokenRow } from '../data/token-row.ts';
import { windowMicroBatches } from '../run/window-batches.ts';
import { completionLogProbs, completionScores } from '../scoring/heads.ts';
import { type CompletionGroup, completionBatches } from '../scoring/layout.ts';
import { type DpoObjective, pairMicroBatch } from './dpo.ts';
import { type RankedRow, rankingMicroBatch } from './reward-objective.ts';
import {
  type GoldenRun,
  type GoldenStep,
  golden,
  goldenAdapter,
  goldenPairs,
  referenceSteps,
  rowOf,
  trainerSteps,
} from './testing/golden-run.ts';

const expected = hasGolden ? readGolden('adapters.json') : undefined;
const examples: { prompt: number[]; completion: number[] }[] = hasGolden
  ? readGolden('models.json').examples
  : [];
const rows = examples.map(({ prompt, completion }) => rowOf(prompt, completion));
const allPairs = (): { index: number; completions: [TokenRow, TokenRow] }[] => [0, 1, 2].flatMap(goldenPairs);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

type Arithmetic = 'float32' | 'float64';
const tolerances = {
  float32: { loss: 1e-5, logits: 1e-4, gradient: { norm: 1e-4, entry: 1e-5 }, norm: 1e-4 },
  float64: { loss: 1e-7, logits: 1e-7, gradient: { norm: 1e-7, entry: 1e-7 }, norm: 1e-7 },
};

async function evaluate(outputs: Record<string, Tensor>, feeds: object, arithmetic: Arithmetic) {
  if (arithmetic === 'float64') return interpret(outputs, feeds as never);
  const program = await (await openBackend({ threads: 1 })).compile(outputs);
  const results = await program.run(feeds as never);
  await program.release();
  return results;
}

/** Loss and the slope of everything that is trained, of a single micro-batch. */
async function lossAndSlopes(model: Model, { graph, feeds }: MicroBatch, arithmetic: Arithmetic) {
  const parameters = weightInputs(model);
  const { loss, measures } = graph(parameters);
  const names = weightSpecs(model).flatMap(({ name, isTrained }) => (isTrained ? [name] : []));
  const slopes = gradients(
    loss,
    names.map((name) => parameters[name]),
  );
  const outputs = {
    loss,
    ...measures,
    ...Object.fromEntries(names.map((name, i) => [`d ${name}`, slopes[i]])),
  };
  const found = await evaluate(outputs, { ...feeds(), ...weightFeeds(model) }, arithmetic);
  return { found, names };
}

function expectSlopes(
  found: Record<string, ArrayLike<number>>,
  names: readonly string[],
  grads: Record<string, never>,
  arithmetic: Arithmetic,
): void {
  expect(names.map((name) => `base_model.model.${name}`).sort()).toEqual(Object.keys(grads).sort());
  for (const name of names) {
    expectGradient(found[`d ${name}`], grads[`base_model.model.${name}`], tolerances[arithmetic].gradient);
  }
}

async function logitsOfFirst(model: Weights, arithmetic: Arithmetic): Promise<ArrayLike<number>> {
  const window = buildWindow([rows[0]], rows[0].ids.length);
  const parameters = weightInputs(model);
  const length = window.ids.length;
  const hidden = windowStates(model.config, parameters, windowInputs({ windows: 1, length }));
  const outputs = { logits: outputLogits(model.config, parameters, hidden) };
  return (await evaluate(outputs, { ...weightFeeds(model), ...window, tokens: window.ids }, arithmetic))
    .logits;
}

/** Σ log π of the completions, in one batch. */
async function logProbsOf(
  model: Weights,
  own: readonly TokenRow[],
  arithmetic: Arithmetic,
): Promise<number[]> {
  const asked: CompletionGroup[] = own.map((row) => ({ completions: [row] }));
  const [batch, ...others] = completionBatches(asked, {
    mostLength: 32,
    batchTokens: 1e6,
    slots: own.length,
  });
  expect(others).toEqual([]);
  const { graph, feeds } = completionLogProbs(batch);
  const outputs = { sums: graph(model.config, weightInputs(model)) };
  return [...(await evaluate(outputs, { ...feeds(), ...weightFeeds(model) }, arithmetic)).sums];
}

const sftBatches = (model: Model, own: readonly TokenRow[], batchTokens: number): MicroBatch[] => {
  const longest = Math.max(...own.map(({ ids }) => ids.length));
  const windows = own.map((row) => buildWindow([row], longest));
  return windowMicroBatches(model.config, windows, batchTokens, () => 'golden rows');
};

const rewardBatches = (model: Model, own: readonly CompletionGroup[], batchTokens: number): MicroBatch[] => {
  const whole = { rows: own.length, describe: () => 'golden pairs' };
  const limits = { mostLength: 32, batchTokens, slots: own.length };
  return completionBatches<RankedRow>(own, limits).map((batch) =>
    rankingMicroBatch(model.config, batch, { loss: 'bradley-terry', margin: 0, centering: 0 }, whole),
  );
};

const arithmetics = ['float64', 'float32'] as const;

describe.skipIf(!hasGolden)('adapters equal PEFT (golden)', () => {
  for (const arithmetic of arithmetics) {
    const tolerance = tolerances[arithmetic];

    it.each(['llama', 'qwen2', 'qwen3', 'gpt2'])(
      `%s: logits, log-probabilities, loss and every gradient in ${arithmetic}`,
      async (name) => {
        const model = await goldenAdapter(name);
        const { logits_row0, completion_logp_sum, sft_loss, grads } = expected[name];
        expectNear(await logitsOfFirst(model, arithmetic), logits_row0.flat(), tolerance.logits);
        const sums = await logProbsOf(model, rows, arithmetic);
        sums.forEach((sum, i) => {
          expectLoss(sum, completion_logp_sum[i], tolerance.loss);
        });
        const { found, names } = await lossAndSlopes(model, sftBatches(model, rows, 1e6)[0], arithmetic);
        expectLoss(found.loss[0], sft_loss, tolerance.loss);
        expectSlopes(found, names, grads, arithmetic);
      },
    );

    it(`reward: scores, loss and every gradient in ${arithmetic}`, async () => {
      const model = await goldenAdapter('reward');
      const { chosen, rejected, loss, grads } = expected.reward;
      const [batch] = completionBatches(allPairs(), { mostLength: 32, batchTokens: 1e6, slots: 6 });
      const { graph, feeds } = completionScores(batch);
      const outputs = { scores: graph(model.config, weightInputs(model)) };
      const { scores } = await evaluate(outputs, { ...feeds(), ...weightFeeds(model) }, arithmetic);
      [...chosen, ...rejected].forEach((score, i) => {
        expectLoss(scores[i], score, tolerance.loss);
      });
      const { found, names } = await lossAndSlopes(
        model,
        rewardBatches(model, allPairs(), 1e6)[0],
        arithmetic,
      );
      expectLoss(found.loss[0], loss, tolerance.loss);
      expectSlopes(found, names, grads, arithmetic);
    });
  }

  it.each(['llama', 'qwen2', 'qwen3', 'gpt2'])('%s, merged, has PEFT’s weights and logits', async (name) => {
    const model = await goldenAdapter(name);
    const merged = mergeAdapter(model);
    expect(merged.adapter).toBeUndefined();
    const { merged_weights, logits_row0 } = expected[name];
    const changed = [...merged.parameters].filter(
      ([own, values]) => !values.every((value, i) => value === model.parameters.get(own)![i]),
    );
    expect(changed.map(([own]) => own).sort()).toEqual(Object.keys(merged_weights).sort());
    for (const [own, values] of changed) {
      expectGradient(values, merged_weights[own], { norm: 1e-6, entry: 1e-6 });
    }
    expectNear(await logitsOfFirst(merged, 'float64'), logits_row0.flat(), 1e-6);
  });

  it('a merged reward model keeps its head and its scores', async () => {
    const model = await goldenAdapter('reward');
    const merged = mergeAdapter(model);
    const [batch] = completionBatches(allPairs(), { mostLength: 32, batchTokens: 1e6, slots: 6 });
    const { graph, feeds } = completionScores(batch);
    const outputs = { scores: graph(merged.config, weightInputs(merged)) };
    const { scores } = interpret(outputs, { ...feeds(), ...weightFeeds(merged) } as never);
    const { chosen, rejected } = expected.reward;
    expectNear(scores, [...chosen, ...rejected], 1e-6);
  });

  it('shares no array with the model that it was merged from', async () => {
    const model = await goldenAdapter('llama');
    const arrays = new Set(model.parameters.values());
    expect([...mergeAdapter(model).parameters.values()].filter((values) => arrays.has(values))).toEqual([]);
  });
});

/** The steps of a run in both arithmetics, a micro-batch a step or one a row. */
async function* stepsOf(
  run: (batchTokens: number) => Promise<GoldenRun>,
  arithmetic: Arithmetic,
): AsyncIterable<GoldenStep> {
  if (arithmetic === 'float64') yield* referenceSteps(await run(1e6));
  else yield* trainerSteps(await run(1));
}

describe.skipIf(!hasGolden)('12 steps of an adapter equal PEFT (golden)', () => {
  for (const arithmetic of arithmetics) {
    const tolerance = tolerances[arithmetic];

    async function expectRun(
      run: (batchTokens: number) => Promise<GoldenRun>,
      steps: { loss: number; grad_norm: number }[],
      expectMeasures: (measures: Record<string, number>, index: number) => void = () => {},
    ) {
      let index = 0;
      for await (const { loss, gradientNorm, measures } of stepsOf(run, arithmetic)) {
        expectLoss(loss, steps[index].loss, tolerance.loss);
        expectLoss(gradientNorm, steps[index].grad_norm, tolerance.norm);
        expectMeasures(measures, index++);
      }
      expect(index).toBe(12);
    }

    it(`fine-tuning in ${arithmetic}, and the base stays as it was`, async () => {
      const model = await goldenAdapter('llama');
      const base = weightSpecs(model).filter(({ part }) => part === 'base');
      const before = base.map(({ name }) => model.parameters.get(name)!.slice());
      const run = async (batchTokens: number): Promise<GoldenRun> => ({
        model,
        parameters: weightInputs(model),
        batchesOf(step) {
          const own = goldenPairs(step).map(({ completions: [chosen] }) => chosen);
          return sftBatches(model, own, batchTokens);
        },
      });
      await expectRun(run, expected.training.sft.steps);
      expect(base.map(({ name }) => model.parameters.get(name)!)).toEqual(before);
      if (arithmetic === 'float64') return;
      const sums = await logProbsOf(model, rows, arithmetic);
      sums.forEach((sum, i) => {
        expectLoss(sum, expected.training.sft.completion_logp_sum[i], 1e-5);
      });
    });

    it.each(['dpo', 'dpo_from_zero_b', 'dpo_reference_is_start'])(`%s in ${arithmetic}`, async (name) => {
      const { beta, steps } = expected.training[name];
      const objective: DpoObjective = {
        ...{ loss: 'dpo', beta, labelSmoothing: 0, targetMargin: 1, likelihoodWeight: 0 },
      };
      const run = async (batchTokens: number): Promise<GoldenRun> => {
        const model = await goldenAdapter('llama');
        if (name === 'dpo_from_zero_b') {
          for (const [own, values] of model.parameters) if (own.includes('.lora_B.')) values.fill(0);
        }
        const { adapter: _, ...base } = model;
        const referee = name === 'dpo_reference_is_start' ? model : base;
        const all = allPairs();
        const sums = await logProbsOf(
          referee,
          all.flatMap(({ completions }) => completions),
          'float64',
        );
        const reference = all.map((_, i): [number, number] => [sums[2 * i], sums[2 * i + 1]]);
        return {
          model,
          parameters: weightInputs(model),
          exactFeeds(step) {
            const own = goldenPairs(step).map(({ index }) => reference[index]);
            return { reference: [0, 1].flatMap((side) => own.map((pair) => pair[side])) };
          },
          batchesOf(step) {
            const own = goldenPairs(step).map((row) => ({ ...row, reference: reference[row.index] }));
            const whole = { rows: own, describe: () => 'golden pairs' };
            return completionBatches(own, { mostLength: 32, batchTokens, slots: 2 }).map((batch) =>
              pairMicroBatch(model.config, batch, objective, whole),
            );
          },
        };
      };
      await expectRun(run, steps, (measures, index) => {
        expectLoss(measures['rewards/margins'], steps[index].margin, tolerance.loss);
        if (Math.abs(steps[index].margin) > 1e-4)
          expect(measures['rewards/accuracies']).toBe(steps[index].accuracy);
      });
    });

    it(`a reward model in ${arithmetic}`, async () => {
      const { steps } = expected.reward;
      const run = async (batchTokens: number): Promise<GoldenRun> => {
        const model = await goldenAdapter('reward');
        return {
          model,
          parameters: weightInputs(model),
          batchesOf: (step) => rewardBatches(model, goldenPairs(step), batchTokens),
        };
      };
      await expectRun(run, steps, (measures, index) => {
        expectLoss(measures['rewards/chosen'], mean(steps[index].chosen), tolerance.loss);
        expectLoss(measures['rewards/rejected'], mean(steps[index].rejected), tolerance.loss);
      });
    });
  }
});

it.skipIf(!hasGolden)('the golden runs are of the optimiser that the adapters were trained with', () => {
  expect(golden.optimizer).toMatchObject({ lr: 2e-3, betas: [0.9, 0.999], weight_decay: 0.01, clip_norm: 1 });
});
