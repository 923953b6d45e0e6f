import { describe, expect, it } from 'vitest';
import { mean, total } from '../../engine/graph/build.ts';
import { interpret } from '../../engine/runtime/reference.ts';
import {
  type PreferenceLossKind,
  type PreferenceLossOptions,
  preferenceLoss,
  preferenceLosses,
  preferenceLossKinds,
} from './preference.ts';
import { centralDifferences, evaluate, inputsOf, precisions } from './testing/evaluate.ts';

interface Numbers {
  chosen: number[];
  rejected: number[];
  referenceChosen: number[];
  referenceRejected: number[];
  chosenTokens: number[];
  rejectedTokens: number[];
}

function lossOf(kind: PreferenceLossKind, feeds: Numbers, options: PreferenceLossOptions) {
  const t = inputsOf({ ...feeds });
  const policy = { chosen: t.chosen, rejected: t.rejected };
  const pairs = {
    policy,
    reference: { chosen: t.referenceChosen, rejected: t.referenceRejected },
    tokenCounts: { chosen: t.chosenTokens, rejected: t.rejectedTokens },
  };
  return { policy, pairs, ...preferenceLoss(kind, pairs, options) };
}

const startOfTraining: Numbers = {
  chosen: [-12, -30],
  rejected: [-20, -3],
  referenceChosen: [-12, -30],
  referenceRejected: [-20, -3],
  chosenTokens: [4, 10],
  rejectedTokens: [5, 2],
};
const afterSomeSteps: Numbers = { ...startOfTraining, chosen: [-10, -31], rejected: [-25, -5] };

const extreme: Numbers = {
  chosen: [-1e4, -1, 0, -2e4, -1e-9],
  rejected: [-1, -1e4, -2e4, 0, -1e-9],
  referenceChosen: [-1, -1e4, -1e4, -1e4, 0],
  referenceRejected: [-1e4, -1, -1e4, -1e4, 0],
  chosenTokens: [1, 1, 3, 1, 1],
  rejectedTokens: [1, 1, 1, 3, 1],
};

describe('a preference loss', () => {
  it.each(['dpo', 'cdpo', 'robust'] as const)('%s is ln 2 when policy equals reference', (kind) => {
    const { loss } = lossOf(kind, startOfTraining, { beta: 0.3, labelSmoothing: 0.2 });
    for (const value of interpret({ loss }, { ...startOfTraining }).loss)
      expect(value).toBeCloseTo(Math.LN2, 12);
  });

  it.each(precisions)('stays finite with its gradients at log-ratios of ±1e4 in %s', async (precision) => {
    for (const kind of preferenceLossKinds) {
      for (const beta of [0.1, 5]) {
        const options = { beta, labelSmoothing: 0.1, likelihoodWeight: 1 };
        const { loss, rewards, policy } = lossOf(kind, extreme, options);
        const outputs = { loss, rewardOfChosen: rewards.chosen, rewardOfRejected: rewards.rejected };
        const found = await evaluate(precision, outputs, { ...extreme }, { loss: mean(loss), of: policy });
        for (const [name, values] of Object.entries(found))
          expect([kind, name, values.every(Number.isFinite)]).toEqual([kind, name, true]);
      }
    }
  });

  it('still pulls with full strength where the pair is wrong by 1e4 nats', async () => {
    const { loss, policy } = lossOf('dpo', extreme, { beta: 0.1 });
    const slopes = { loss: total(loss), of: policy };
    const found = await evaluate('float32', { loss }, { ...extreme }, slopes);
    expect(found['d chosen'][0]).toBeCloseTo(-0.1, 6);
    expect(found['d chosen'][1]).toBeCloseTo(0, 6);
  });

  it.each(precisions)('orpo keeps the odds of near certainty to five digits in %s', async (precision) => {
    const answers = { ...startOfTraining, chosen: [-1e-3, -0.5], rejected: [-1e-4, -40] };
    const single = { ...answers, chosenTokens: [1, 1], rejectedTokens: [1, 1] };
    const { rewards } = lossOf('orpo', single, { beta: 0.1 });
    const outputs = { ofChosen: rewards.chosen, ofRejected: rewards.rejected };
    const found = await evaluate(precision, outputs, { ...single });
    // log p/(1−p) with Python's expm1.
    const expected = { ofChosen: [6.907255237, 0.43275213], ofRejected: [9.210290372, -40.0] };
    for (const side of ['ofChosen', 'ofRejected'] as const)
      found[side].forEach((odds, i) => {
        expect(odds / expected[side][i]).toBeCloseTo(1, 5);
      });
  });

  it.each(preferenceLossKinds)(
    '%s: gradient with a likelihood term agrees with differences',
    async (kind) => {
      const options = { beta: 0.7, labelSmoothing: 0.1, targetMargin: 0.5, likelihoodWeight: 0.3 };
      const { loss, policy } = lossOf(kind, afterSomeSteps, options);
      const sum = total(loss);
      const found = await evaluate('float64', { loss }, { ...afterSomeSteps }, { loss: sum, of: policy });
      for (const side of ['chosen', 'rejected'] as const) {
        const at = (x: number[]) => interpret({ sum }, { ...afterSomeSteps, [side]: x }).sum[0];
        const expected = centralDifferences(at, afterSomeSteps[side]);
        found[`d ${side}`].forEach((slope, i) => {
          expect(slope).toBeCloseTo(expected[i], 6);
        });
      }
    },
  );

  it('adds α times the nats per token of the chosen completion', () => {
    const plain = interpret(
      { loss: lossOf('dpo', startOfTraining, { beta: 0.1 }).loss },
      { ...startOfTraining },
    ).loss;
    const { loss } = lossOf('dpo', startOfTraining, { beta: 0.1, likelihoodWeight: 2 });
    const found = interpret({ loss }, { ...startOfTraining }).loss;
    // 12 nats over 4 tokens and 30 over 10.
    expect(found[0] - plain[0]).toBeCloseTo(6, 12);
    expect(found[1] - plain[1]).toBeCloseTo(6, 12);
  });

  it.each<[PreferenceLossKind, number[], number[]]>([
    // β = ½; log-ratios are +2, −1 (chosen) and −5, −2 (rejected); tokens 4, 10 and 5, 2.
    ['dpo', [1, -0.5], [-2.5, -1]],
    ['ipo_mean', [0.25, -0.05], [-0.5, -0.5]],
    ['simpo', [-1.25, -1.55], [-2.5, -1.25]],
    // p = e^−2.5, e^−3.1; e^−5, e^−2.5.
    ['orpo', [-2.414349516, -3.05390454], [-4.993239251, -2.414349516]],
  ])('%s reports the implicit rewards that it compares', (kind, chosen, rejected) => {
    const { rewards, margin, accuracy } = lossOf(kind, afterSomeSteps, { beta: 0.5 });
    const found = interpret({ ...rewards, margin, accuracy }, { ...afterSomeSteps });
    for (const i of [0, 1]) {
      expect(found.chosen[i]).toBeCloseTo(chosen[i], 5);
      expect(found.rejected[i]).toBeCloseTo(rejected[i], 5);
      expect(found.margin[i]).toBeCloseTo(chosen[i] - rejected[i], 5);
      expect(found.accuracy[i]).toBe(chosen[i] > rejected[i] ? 1 : 0);
    }
  });

  it('counts a tie as not accurate', () => {
    const { accuracy } = lossOf('dpo', startOfTraining, { beta: 0.1 });
    expect([...interpret({ accuracy }, { ...startOfTraining }).accuracy]).toEqual([0, 0]);
  });

  it('needs no reference log-probabilities exactly where it says so', () => {
    for (const kind of preferenceLossKinds) {
      const { pairs } = lossOf(kind, startOfTraining, { beta: 1 });
      const without = () => preferenceLoss(kind, { ...pairs, reference: undefined }, { beta: 1 });
      if (preferenceLosses[kind].usesReference)
        expect(without).toThrow('log-probabilities under the reference');
      else expect(without).not.toThrow();
    }
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('refuses β = %s', (beta) => {
    for (const kind of preferenceLossKinds)
      expect(() => lossOf(kind, startOfTraining, { beta })).toThrow(
        `${kind}: beta: expected a finite number > 0`,
      );
  });

  it('refuses half or more of the labels to be wrong', () => {
    expect(() => lossOf('robust', startOfTraining, { beta: 1, labelSmoothing: 0.5 })).toThrow('[0, 0.5)');
  });

  it('names the tensor whose shape is not [B]', () => {
    const wrong = { ...startOfTraining, rejectedTokens: [5] };
    expect(() => lossOf('ipo_mean', wrong, { beta: 1 })).toThrow(
      'ipo_mean loss: tokenCounts.rejected: expected float[2], got float[1]',
    );
  });
});
