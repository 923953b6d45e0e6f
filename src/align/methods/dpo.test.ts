import { describe, expect, it } from 'vitest';
import type { StepResult } from '../../engine/optimizer/update-step.ts';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { interpret } from '../../engine/runtime/reference.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import { baseInputs } from '../../language/model/testing/base-inputs.ts';
import { expectLoss, hasGolden } from '../../language/model/testing/golden.ts';
import { copyWeights } from '../../language/model/weights.ts';
import type { TokenRow } from '../data/token-row.ts';

import { type PreferenceLossKind, preferenceLosses, preferenceLossKinds } from '../objectives/preference.ts';

import { createTrainer } from '../run/gradient-learner.ts';
import { randomParameters, tinyConfig, trainingDefaults } from '../run/testing/tiny-run.ts';
import { completionLogProbs } from '../scoring/heads.ts';
import { completionBatches } from '../scoring/layout.ts';
import { sequenceLogProbs } from '../scoring/sequences.ts';
import { type DpoObjective, lossAtReference, pairMicroBatch } from './dpo.ts';
import { type KtoOptions, markedMicroBatch } from './kto.ts';
import { mismatchedCompletions } from './mismatched-completions.ts';
import type { CompletionRow } from './preference-run.ts';
import {
  type GoldenRun,
  type GoldenStep,
  golden,
  goldenModel,
  goldenPairs,
  referenceSteps,
  trainerSteps,
} from './testing/golden-run.ts';

type KtoObjective = { loss: 'kto' } & Pick<KtoOptions, 'beta' | 'desirableWeight' | 'undesirableWeight'>;

const objectiveOf = (loss: PreferenceLossKind, more: Partial<DpoObjective> = {}): DpoObjective => ({
  ...{ loss, beta: preferenceLosses[loss].defaultBeta },
  ...{ labelSmoothing: 0.1, targetMargin: 1, likelihoodWeight: 0, ...more },
});
const ktoObjective: KtoObjective = { loss: 'kto', beta: 0.1, desirableWeight: 1, undesirableWeight: 1 };

describe.skipIf(!hasGolden)('the 12-step DPO run equals PyTorch (golden)', () => {
  const limits = { mostLength: 32, batchTokens: 1e6, slots: 2 };

  /** log π_ref of the six pairs in float64. */
  function referenceOf(model: Model): [number, number][] {
    return [0, 1, 2].flatMap((step) => {
      const [batch] = completionBatches(goldenPairs(step), limits);
      const { graph, feeds } = completionLogProbs(batch);
      const outputs = { sums: graph(model.config, baseInputs(model.config)) };
      const { sums } = interpret(outputs, { ...feeds(), ...Object.fromEntries(model.parameters) });
      return [0, 1].map((i): [number, number] => [sums[i], sums[2 + i]]);
    });
  }

  async function run(batchTokens: number): Promise<GoldenRun> {
    const model = await goldenModel();
    const reference = referenceOf(model);
    const objective = objectiveOf('dpo', { beta: golden.dpo.beta });
    return {
      model,
      parameters: baseInputs(model.config),
      exactFeeds(step) {
        const pairs = goldenPairs(step).map(({ index }) => reference[index]);
        return { reference: [0, 1].flatMap((side) => pairs.map((pair) => pair[side])) };
      },
      batchesOf(step) {
        const rows = goldenPairs(step).map((row) => ({ ...row, reference: reference[row.index] }));
        const whole = { rows, describe: () => 'golden pairs' };
        return completionBatches(rows, { ...limits, batchTokens }).map((batch) =>
          pairMicroBatch(model.config, batch, objective, whole),
        );
      },
    };
  }

  function expectStep(index: number, { loss, measures }: GoldenStep, tolerance: number): void {
    const expected = golden.dpo.steps[index];
    expectLoss(loss, expected.loss, tolerance);
    expectLoss(measures['rewards/margins'], expected.margin, tolerance);
    if (Math.abs(expected.margin) > 1e-4) expect(measures['rewards/accuracies']).toBe(expected.accuracy);
  }

  it('through the float64 reference', async () => {
    let index = 0;
    for (const step of referenceSteps(await run(1e6))) {
      expectLoss(step.gradientNorm, golden.dpo.steps[index].grad_norm, 1e-7);
      expectStep(index++, step, 1e-7);
    }
    expect(index).toBe(12);
  });

  it('through the trainer in float32, a pair a micro-batch', async () => {
    let index = 0;
    for await (const step of trainerSteps(await run(1))) {
      expectLoss(step.gradientNorm, golden.dpo.steps[index].grad_norm, 1e-4);
      expectStep(index++, step, 1e-5);
    }
    expect(index).toBe(12);
  });
});

describe('a step on pairs', () => {
  const config = tinyConfig('llama');
  const models = [1, 2].map((seed) => ({ kind: 'base', config, parameters: randomParameters(config, seed) }));
  // Far enough apart for the losses to differ from those at the reference.
  for (const values of models[0].parameters.values()) for (let i = 0; i < values.length; i++) values[i] *= 3;
  const [policy, reference] = models as Model[];

  const row = (prompt: number[], answer: number[]): TokenRow => ({
    ids: Int32Array.from([...prompt, ...answer]),
    isTrained: Uint8Array.from([...prompt, ...answer], (_, i) => Number(i >= prompt.length)),
    source: { file: 'pairs', line: 1 },
  });
  const answer = (seed: number, length: number) =>
    Array.from({ length }, (_, i) => 3 + ((seed * 37 + i * i * 11) % 280));
  const pairs: CompletionRow[] = [3, 9, 14, 5, 1].map((length, index) => {
    const prompt = answer(index + 50, 2 + index);
    return {
      index,
      completions: [row(prompt, answer(index, length)), row(prompt, answer(index + 9, 17 - length))],
    };
  });
  const lengths = pairs.map(({ completions }) =>
    completions.map(({ isTrained }) => isTrained.reduce((n, t) => n + t, 0)),
  );

  async function logProbsOf(model: Model, rows: readonly TokenRow[]): Promise<Float64Array> {
    return sequenceLogProbs(await openBackend({ threads: 1 }), model, rows, { batchTokens: 256 });
  }
  const referencePoint = 0.7;

  async function step(
    objective: DpoObjective | KtoObjective,
    limits: { batchTokens: number; slots: number; sharePrompts?: boolean },
    judged: readonly CompletionRow[] = pairs,
  ): Promise<StepResult & { batches: number }> {
    const known = await logProbsOf(
      reference,
      judged.flatMap(({ completions }) => completions),
    );
    const given = known.values();
    const rows = judged.map((row): CompletionRow => {
      return objective.loss === 'kto' || preferenceLosses[objective.loss].usesReference
        ? { ...row, reference: row.completions.map(() => given.next().value!) }
        : row;
    });
    const trainer = createTrainer(await openBackend({ threads: 1 }), copyWeights(policy), trainingDefaults);
    const whole = { rows, referencePoint, describe: () => 'pairs' };
    const laidOut = completionBatches(rows, { mostLength: 32, ...limits });
    expect(laidOut.some(({ tokens }) => tokens.sharesPrompts)).toBe(limits.sharePrompts ?? false);
    const batches = laidOut.map((batch) =>
      objective.loss === 'kto'
        ? markedMicroBatch(config, batch, objective, whole)
        : pairMicroBatch(config, batch, objective, whole),
    );
    const result = await trainer.step(batches, 0);
    await trainer.close();
    return { ...result, batches: batches.length };
  }

  interface Pair {
    /** Summed under the policy, and the same less that under the reference: chosen, rejected. */
    p: [number, number];
    d: [number, number];
    n: [number, number];
  }

  const sigma = (x: number) => 1 / (1 + Math.exp(-x));
  const h = ({ d }: Pair) => d[0] - d[1];
  const oddsOf = (logProb: number) => Math.log(Math.exp(logProb) / (1 - Math.exp(logProb)));
  /** Written out in plain numbers, with β and ε of each kind's defaults. */
  const losses: Record<PreferenceLossKind | 'kto', (pair: Pair) => number> = {
    dpo: (x) => -Math.log(sigma(0.1 * h(x))),
    cdpo: (x) => -0.9 * Math.log(sigma(0.1 * h(x))) - 0.1 * Math.log(sigma(-0.1 * h(x))),
    robust: (x) => (-0.9 * Math.log(sigma(0.1 * h(x))) + 0.1 * Math.log(sigma(-0.1 * h(x)))) / 0.8,
    hinge: (x) => Math.max(0, 1 - 0.1 * h(x)),
    ipo_sum: (x) => (h(x) - 5) ** 2,
    ipo_mean: ({ d, n }) => (d[0] / n[0] - d[1] / n[1] - 5) ** 2,
    simpo: ({ p, n }) => -Math.log(sigma(2 * (p[0] / n[0] - p[1] / n[1]) - 1)),
    orpo: ({ p, n }) => -p[0] / n[0] - 0.1 * Math.log(sigma(oddsOf(p[0] / n[0]) - oddsOf(p[1] / n[1]))),
    kto: ({ d }) =>
      (1 - sigma(0.1 * (d[0] - referencePoint)) + (1 - sigma(0.1 * (referencePoint - d[1])))) / 2,
  };

  it.each([...preferenceLossKinds, 'kto'] as const)(
    'of %s has the loss of its equation, however it is cut into micro-batches, prompts shared or not',
    async (loss) => {
      const all = pairs.flatMap(({ completions }) => completions);
      const [now, before] = [await logProbsOf(policy, all), await logProbsOf(reference, all)];
      const plain = pairs.map((_, i): Pair => {
        const p: [number, number] = [now[2 * i], now[2 * i + 1]];
        const d: [number, number] = [p[0] - before[2 * i], p[1] - before[2 * i + 1]];
        return { p, d, n: [lengths[i][0], lengths[i][1]] };
      });
      const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
      const objective = loss === 'kto' ? ktoObjective : objectiveOf(loss);
      const start = objective.loss === 'kto' ? 0.5 : lossAtReference(objective);
      const whole = await step(objective, { batchTokens: 1e6, slots: 5 });
      const cut = await step(objective, { batchTokens: 32, slots: 8 });
      const shared = await step(objective, { batchTokens: 64, slots: 5, sharePrompts: true });
      expect([whole.batches, cut.batches]).toEqual([1, 5]);
      expect(shared.batches).toBeGreaterThan(1);
      const expected = mean(plain.map(losses[loss]));
      expect(Math.abs(expected - (start ?? 0))).toBeGreaterThan(1e-3);
      for (const { loss: found, measures } of [whole, cut, shared]) {
        expectLoss(found, expected, 1e-5);
        expectLoss(measures['logps/chosen'], mean(plain.map(({ p }) => p[0])), 1e-5);
        expectLoss(measures['logps/rejected'], mean(plain.map(({ p }) => p[1])), 1e-5);
        const {
          'rewards/chosen': chosen,
          'rewards/rejected': rejected,
          'rewards/margins': margin,
        } = measures;
        expectLoss(margin, chosen - rejected, 1e-5);
      }
      expectLoss(cut.gradientNorm, whole.gradientNorm, 1e-5);
      expectLoss(shared.gradientNorm, whole.gradientNorm, 1e-5);
      if (!['dpo', 'kto'].includes(loss)) return;
      expectLoss(whole.measures['rewards/chosen'], 0.1 * mean(plain.map(({ d }) => d[0])), 1e-5);
      expectLoss(whole.measures['rewards/accuracies'], mean(plain.map((x) => Number(h(x) > 0))), 1e-6);
      if (loss === 'kto') expectLoss(cut.measures.kl, referencePoint, 1e-6);
    },
  );

  it('adds the likelihood of the chosen answer', async () => {
    const limits = { batchTokens: 1e6, slots: 5 };
    const now = await logProbsOf(
      policy,
      pairs.map(({ completions: [chosen] }) => chosen),
    );
    const likelihood = pairs.reduce((sum, _, i) => sum - now[i] / lengths[i][0] / 5, 0);
    const [plain, more] = [
      await step(objectiveOf('dpo'), limits),
      await step(objectiveOf('dpo', { likelihoodWeight: 0.2 }), limits),
    ];
    expectLoss(more.loss - plain.loss, 0.2 * likelihood, 1e-5);
  });

  it('of KTO takes single answers beside pairs, every answer counting the same', async () => {
    const single = (index: number, isDesirable: boolean): CompletionRow => ({
      ...{ index, isDesirable, completions: [pairs[index].completions[isDesirable ? 0 : 1]] },
    });
    const judged = [pairs[0], single(1, true), single(2, false), single(3, false), pairs[4]];
    const marks = [true, false, true, false, false, true, false];
    const all = judged.flatMap(({ completions }) => completions);
    const [now, before] = [await logProbsOf(policy, all), await logProbsOf(reference, all)];
    const d = Array.from(now, (logProb, i) => logProb - before[i]);
    const meanOf = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const of = (mark: boolean) => 0.1 * meanOf(d.filter((_, i) => marks[i] === mark));
    const weights = { desirableWeight: 1.5, undesirableWeight: 0.5 };
    const losses = d.map((x, i) =>
      marks[i]
        ? 1.5 * (1 - sigma(0.1 * (x - referencePoint)))
        : 0.5 * (1 - sigma(0.1 * (referencePoint - x))),
    );
    const objective = { ...ktoObjective, ...weights };
    const whole = await step(objective, { batchTokens: 1e6, slots: 5 }, judged);
    const cut = await step(objective, { batchTokens: 32, slots: 8 }, judged);
    // Rows of one answer and rows of two lie apart.
    expect(whole.batches).toBe(2);
    expect(cut.batches).toBeGreaterThan(3);
    for (const { loss, measures } of [whole, cut]) {
      expectLoss(loss, meanOf(losses), 1e-5);
      expectLoss(measures['rewards/chosen'], of(true), 1e-5);
      expectLoss(measures['rewards/rejected'], of(false), 1e-5);
      expectLoss(measures['rewards/margins'], of(true) - of(false), 1e-5);
      expectLoss(measures['rewards/accuracies'], meanOf([d[0] > d[1], d[5] > d[6]].map(Number)), 1e-6);
      expectLoss(measures.kl, referencePoint, 1e-6);
    }
    expectLoss(cut.gradientNorm, whole.gradientNorm, 1e-5);
  });

  it('of KTO is measured against answers to other prompts, cut to the context', () => {
    const length = ({ completions: [chosen] }: CompletionRow) => chosen.isTrained.indexOf(1);
    const answerOf = ({ ids, isTrained }: TokenRow) => [...ids.subarray(isTrained.indexOf(1))];
    const twice = [pairs[0], { ...pairs[0], index: 1 }, pairs[2]];
    const mismatched = mismatchedCompletions(twice, 10);
    expect(mismatched.map(({ ids }) => ids.length)).toEqual([10, 5, 7]);
    expect(mismatched.map((row, i) => [...row.ids.subarray(0, length(twice[i]))])).toEqual(
      twice.map(({ completions: [chosen] }, i) => [...chosen.ids.subarray(0, length(twice[i]))]),
    );
    expect(answerOf(mismatched[0])).toEqual(answerOf(pairs[2].completions[0]).slice(0, 8));
    expect(answerOf(mismatched[1])).toEqual(answerOf(pairs[2].completions[1]));
    expect(answerOf(mismatched[2])).toEqual(answerOf(pairs[0].completions[0]));
    const single = { ...pairs[2], completions: [pairs[2].completions[0]], isDesirable: false };
    expect(answerOf(mismatchedCompletions([pairs[0], pairs[1], single], 64)[1])).toEqual(
      answerOf(single.completions[0]),
    );
    expect(() => mismatchedCompletions(twice.slice(0, 2), 10)).toThrow(
      /expected rows of two different prompts/,
    );
  });
});
