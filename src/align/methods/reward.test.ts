import { describe, expect, it } from 'vitest';
import type { StepResult } from '../../engine/optimizer/update-step.ts';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { initialHeadWeight } from '../../language/model/scalar-head.ts';
import { expectLoss, hasGolden } from '../../language/model/testing/golden.ts';
import { copyWeights, weightInputs } from '../../language/model/weights.ts';
import type { TokenRow } from '../data/token-row.ts';
import { createTrainer } from '../run/gradient-learner.ts';
import { randomParameters, tinyConfig, trainingDefaults } from '../run/testing/tiny-run.ts';
import { completionBatches } from '../scoring/layout.ts';
import { sequenceScores } from '../scoring/sequences.ts';
import { type RankedRow, type RewardObjective, rankingMicroBatch } from './reward-objective.ts';
import {
  type GoldenRun,
  type GoldenStep,
  golden,
  goldenModel,
  goldenPairs,
  referenceSteps,
  trainerSteps,
} from './testing/golden-run.ts';

const bradleyTerry: RewardObjective = { loss: 'bradley-terry', margin: 0, centering: 0 };
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe.skipIf(!hasGolden)('the 12-step reward run equals PyTorch (golden)', () => {
  async function run(batchTokens: number): Promise<GoldenRun> {
    const model = await goldenModel();
    model.parameters.set('score.weight', Float32Array.from(golden.reward.head_weight));
    const whole = { rows: 2, describe: () => 'golden pairs' };
    return {
      model,
      parameters: weightInputs(model),
      batchesOf: (step) =>
        completionBatches<RankedRow>(goldenPairs(step), { mostLength: 32, batchTokens, slots: 2 }).map(
          (batch) => rankingMicroBatch(model.config, batch, bradleyTerry, whole),
        ),
    };
  }

  function expectStep(index: number, found: GoldenStep, tolerances: { loss: number; norm: number }): void {
    const expected = golden.reward.steps[index];
    expectLoss(found.loss, expected.loss, tolerances.loss);
    expectLoss(found.gradientNorm, expected.grad_norm, tolerances.norm);
    expectLoss(found.measures['rewards/chosen'], mean(expected.chosen), tolerances.loss);
    expectLoss(found.measures['rewards/rejected'], mean(expected.rejected), tolerances.loss);
    const isRight = (i: number) => Number(expected.chosen[i] > expected.rejected[i]);
    expect(found.measures['rewards/accuracies']).toBe(mean([isRight(0), isRight(1)]));
  }

  it('through the float64 reference', async () => {
    let index = 0;
    for (const step of referenceSteps(await run(1e6))) expectStep(index++, step, { loss: 1e-7, norm: 1e-7 });
    expect(index).toBe(12);
  });

  it('through the trainer in float32, a pair a micro-batch', async () => {
    let index = 0;
    for await (const step of trainerSteps(await run(1)))
      expectStep(index++, step, { loss: 1e-5, norm: 1e-4 });
    expect(index).toBe(12);
  });
});

describe('a step on comparisons', () => {
  const config = tinyConfig('qwen3');
  const parameters = randomParameters(config, 4);
  parameters.set('score.weight', initialHeadWeight(config, 4));
  const model = { kind: 'reward', config, parameters } as const;

  /** All of one prompt. */
  const row = (seed: number, length: number): TokenRow => ({
    ids: Int32Array.from({ length: 3 + length }, (_, i) =>
      i < 3 ? 7 + i : 3 + ((seed * 53 + i * i * 7) % 280),
    ),
    isTrained: Uint8Array.from({ length: 3 + length }, (_, i) => Number(i >= 3)),
    source: { file: 'comparisons', line: 1 },
  });
  const pairs: RankedRow[] = [4, 11, 1].map((length, i) => {
    return { completions: [row(i, length), row(i + 9, 12 - length)], strength: i };
  });
  const rankings: RankedRow[] = [
    { completions: [row(1, 5), row(2, 9), row(3, 2), row(4, 7)] },
    { completions: [row(5, 3), row(6, 8)] },
    { completions: [row(7, 6), row(8, 1), row(9, 4), row(10, 10)] },
    { completions: [row(11, 2), row(12, 3), row(13, 4)] },
  ];

  async function scoresOf(rows: readonly RankedRow[]): Promise<number[][]> {
    const answers = rows.flatMap((each) => each.completions);
    const all = await sequenceScores(await openBackend({ threads: 1 }), model, answers, { batchTokens: 256 });
    let next = 0;
    return rows.map((each) => each.completions.map(() => all[next++]));
  }

  async function step(
    rows: readonly RankedRow[],
    objective: RewardObjective,
    limits: { batchTokens: number; slots: number; sharePrompts?: boolean },
  ): Promise<StepResult & { batches: number }> {
    const trainer = createTrainer(await openBackend({ threads: 1 }), copyWeights(model), trainingDefaults);
    const whole = { rows: rows.length, describe: () => 'comparisons' };
    const laidOut = completionBatches(rows, { mostLength: 16, ...limits });
    expect(laidOut.some(({ tokens }) => tokens.sharesPrompts)).toBe(limits.sharePrompts ?? false);
    const batches = laidOut.map((batch) => rankingMicroBatch(config, batch, objective, whole));
    const result = await trainer.step(batches, 0);
    await trainer.close();
    return { ...result, batches: batches.length };
  }

  const cost = (margin: number) => Math.log(1 + Math.exp(-margin));
  const pairsOf = (scores: number[]) =>
    scores.flatMap((better, i) => scores.slice(i + 1).map((worse) => better - worse));
  /** The first place is drawn, then the next of the rest. */
  const surprise = (scores: number[]) =>
    scores.reduce(
      (sum, score, i) =>
        sum - Math.log(Math.exp(score) / scores.slice(i).reduce((z, s) => z + Math.exp(s), 0)),
      0,
    );

  const cases: [string, RankedRow[], RewardObjective, (scores: number[], i: number) => number][] = [
    ['bradley-terry', pairs, bradleyTerry, ([c, r]) => cost(c - r)],
    ['a margin', pairs, { ...bradleyTerry, margin: 0.5 }, ([c, r], i) => cost(c - r - 0.5 * i)],
    ['centering', pairs, { ...bradleyTerry, centering: 0.01 }, ([c, r]) => cost(c - r) + 0.01 * (c + r) ** 2],
    ['k-wise', rankings, { ...bradleyTerry, loss: 'k-wise' }, (scores) => mean(pairsOf(scores).map(cost))],
    ['plackett-luce', rankings, { ...bradleyTerry, loss: 'plackett-luce' }, surprise],
  ];

  it.each(cases)(
    'with %s has the loss of its equation, however it is cut into micro-batches, prompts shared or not',
    async (_, rows, objective, lossOf) => {
      const scores = await scoresOf(rows);
      const whole = await step(rows, objective, { batchTokens: 1e6, slots: rows.length });
      const cut = await step(rows, objective, { batchTokens: 1, slots: 6 });
      const shared = await step(rows, objective, { batchTokens: 64, slots: rows.length, sharePrompts: true });
      expect(cut.batches).toBe(rows.length);
      for (const { loss, measures } of [whole, cut, shared]) {
        expectLoss(loss, mean(scores.map(lossOf)), 1e-5);
        expectLoss(measures['rewards/chosen'], mean(scores.map(([best]) => best)), 1e-5);
        expectLoss(measures['rewards/rejected'], mean(scores.map((own) => own.at(-1)!)), 1e-5);
        expectLoss(measures['rewards/margins'], mean(scores.map((own) => own[0] - own.at(-1)!)), 1e-5);
        const ordered = scores.map((own) => mean(pairsOf(own).map((margin) => Number(margin > 0))));
        expectLoss(measures['rewards/accuracies'], mean(ordered), 1e-6);
      }
      expectLoss(cut.gradientNorm, whole.gradientNorm, 1e-5);
      expectLoss(shared.gradientNorm, whole.gradientNorm, 1e-5);
    },
  );
});
