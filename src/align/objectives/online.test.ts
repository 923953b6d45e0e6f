// GRPO and RLOO against values that PyTorch computed in float64 and TRL's own losses confirmed.

import { describe, expect, it } from 'vitest';
import { constant } from '../../engine/graph/build.ts';
import { expectLoss, expectNear, hasGolden, readGolden } from '../../language/model/testing/golden.ts';
import { type AdvantageScaling, groupRelativeAdvantages, leaveOneOutAdvantages } from './advantages.ts';
import { groupPolicyLoss, type LossMean, tokenWeight } from './grpo.ts';
import { rolloutTokenKl, sequenceKl } from './kl.ts';
import { leaveOneOutLoss } from './rloo.ts';
import { evaluate, inputsOf, precisions } from './testing/evaluate.ts';

const golden = hasGolden ? readGolden('online.json') : undefined;
const tolerances = { float64: 1e-7, float32: 1e-5 } as const;

/** The completions' tokens, padding last, as in a batch laid out in 48 slots of which 36 are used. */
const isToken: number[] = golden?.inputs.is_completion_token.flat();
const counts: number[] = golden?.inputs.is_completion_token.map((row: number[]) =>
  row.reduce((a, b) => a + b),
);
const groups = (values: number[]) => [values.slice(0, 4), values.slice(4)];
const perToken = (ofRow: ArrayLike<number>) => isToken.map((is, i) => is * ofRow[Math.floor(i / 6)]);

describe.skipIf(!hasGolden)('advantages of groups equal PyTorch (golden)', () => {
  const flat = (rows: Float64Array[]) => rows.flatMap((row) => [...row]);

  it.each([
    ['group', 'grpo'],
    ['batch', 'grpo_batch_std'],
    ['none', 'dr_grpo'],
  ] as [AdvantageScaling, string][])('GRPO divided by %s', (scaling, name) => {
    const found = groupRelativeAdvantages(groups(golden.inputs.rewards), scaling);
    expectNear(flat(found), golden.advantages[name], 1e-7);
  });

  it('RLOO, without KL and with it in the reward', () => {
    const { rewards, kl_coefficient: beta } = golden.inputs;
    expectNear(flat(leaveOneOutAdvantages(groups(rewards))), golden.advantages.rloo, 1e-7);
    const cut = (rows: number[][]) => rows.map((row, i) => row.slice(0, counts[i]));
    const kl = sequenceKl(
      rolloutTokenKl('k1', {
        oldLogProbs: cut(golden.inputs.old_log_probs),
        referenceLogProbs: cut(golden.inputs.reference_log_probs),
      }),
    );
    const paid = rewards.map((r: number, i: number) => r - beta * kl[i]);
    expectNear(flat(leaveOneOutAdvantages(groups(paid))), golden.advantages.rloo_with_kl, 1e-7);
  });

  it('a group without variance gets zeros, the other group what it gets alone', () => {
    const { rewards, grpo, dr_grpo, rloo } = golden.zero_variance;
    const all = { grpo: groupRelativeAdvantages(rewards), rloo: leaveOneOutAdvantages(rewards) };
    const found = { ...all, dr_grpo: groupRelativeAdvantages(rewards, 'none') };
    for (const [name, expected] of Object.entries({ grpo, dr_grpo, rloo })) {
      const [zeros, other] = found[name as keyof typeof found];
      expect([...zeros]).toEqual([0, 0, 0, 0]);
      expectNear(other, expected[1], 1e-7);
    }
  });
});

describe.skipIf(!hasGolden).each(precisions)('losses of groups equal PyTorch in %s (golden)', (precision) => {
  const tolerance = tolerances[precision];
  const weightsOf = (mean: LossMean) => tokenWeight(mean, counts, golden.grpo_losses.max_completion_length);

  function feedsOf(mean: LossMean, advantages: number[], rows = { from: 0, to: 8 }) {
    const isOwn = (i: number) => Math.floor(i / 6) >= rows.from && Math.floor(i / 6) < rows.to;
    const own = (values: number[]) => values.map((value, i) => (isOwn(i) ? value : 0));
    return {
      newLogProbs: golden.inputs.new_log_probs.flat(),
      oldLogProbs: golden.inputs.old_log_probs.flat(),
      referenceLogProbs: golden.inputs.reference_log_probs.flat(),
      advantages: perToken(advantages),
      lossWeights: own(perToken(weightsOf(mean))),
      tokenWeights: own(perToken(weightsOf('token'))),
    };
  }

  const { grpo_losses: losses, rloo_loss: rloo } = golden ?? {};
  const bounds = { clipLow: losses?.epsilon_low, clipHigh: losses?.epsilon_high };

  it.each([
    ['sequence', 'grpo', 'grpo'],
    ['token', 'bnpo_and_dapo', 'grpo'],
    ['constant', 'dr_grpo', 'grpo'],
    ['constant', 'dr_grpo_advantages_no_kl', 'dr_grpo'],
  ] as [LossMean, string, string][])(
    'mean over %s: %s, its gradient and measures',
    async (mean, name, advantages) => {
      const feeds = feedsOf(mean, golden.advantages[advantages]);
      const { referenceLogProbs, ...t } = inputsOf(feeds);
      const hasKl = !name.endsWith('no_kl');
      const tokens = hasKl ? { ...t, referenceLogProbs } : t;
      const { loss, measures } = groupPolicyLoss(tokens, { ...bounds, beta: hasKl ? losses.beta : 0 });
      const { objective, clippedLow, clippedHigh, kl = objective } = measures;
      const outputs = { loss, objective, clippedLow, clippedHigh, kl };
      const found = await evaluate(precision, outputs, feeds, { loss, of: { newLogProbs: t.newLogProbs } });
      expectLoss(found.loss[0], losses[name].loss, tolerance);
      expectLoss(found.objective[0], losses[name].loss, tolerance);
      expectNear(found['d newLogProbs'], losses[name].d_new_log_probs.flat(), tolerance);
      if (!hasKl) return;
      expectLoss(found.kl[0], losses.kl_k3, tolerance);
      expectLoss(found.clippedLow[0], losses.clip_low, tolerance);
      expectLoss(found.clippedHigh[0], losses.clip_high, tolerance);
    },
  );

  it.each([
    ['sequence', 'grpo'],
    ['token', 'dapo'],
    ['constant', 'dr_grpo'],
  ] as [LossMean, string][])('mean over %s of two micro-batches: %s', async (mean, name) => {
    const halves = losses.two_micro_batches.rows.map(async ([from, to]: [number, number]) => {
      const feeds = feedsOf(mean, golden.advantages.grpo, { from, to });
      const { loss } = groupPolicyLoss(inputsOf(feeds), { ...bounds, beta: losses.beta });
      return (await evaluate(precision, { loss }, feeds)).loss[0];
    });
    const [a, b] = await Promise.all(halves);
    expectLoss(a + b, losses.two_micro_batches[name], tolerance);
  });

  const sequenceFeeds = () => {
    const { newLogProbs, oldLogProbs, tokenWeights } = feedsOf('token', golden.advantages.rloo);
    return { newLogProbs, oldLogProbs, tokenWeights };
  };
  const membership = () => {
    const rows = counts.flatMap((_, b) => isToken.map((is, i) => (Math.floor(i / 6) === b ? is : 0)));
    return constant(rows, [8, 48]);
  };

  it('RLOO: loss and gradient', async () => {
    const feeds = sequenceFeeds();
    const t = inputsOf(feeds);
    const { loss } = leaveOneOutLoss(
      {
        ...{
          ...t,
          membership: membership(),
          weights: constant(
            counts.map(() => 1 / 8),
            [8],
          ),
        },
        advantages: constant(golden.advantages.rloo, [8]),
      },
      { clipLow: rloo.epsilon, clipHigh: rloo.epsilon },
    );
    const found = await evaluate(precision, { loss }, feeds, { loss, of: { newLogProbs: t.newLogProbs } });
    expectLoss(found.loss[0], rloo.loss, tolerance);
    expectNear(found['d newLogProbs'], rloo.d_new_log_probs.flat(), tolerance);
  });

  it.each(['GRPO', 'RLOO'])(
    '%s while the policy is the old one: the same without old log-probabilities',
    async (method) => {
      const feeds = {
        ...feedsOf('sequence', golden.advantages.grpo),
        oldLogProbs: golden.inputs.new_log_probs.flat(),
      };
      const results = [true, false].map((isGiven) => {
        const { oldLogProbs, ...t } = inputsOf(feeds);
        const tokens = isGiven ? { ...t, oldLogProbs } : t;
        const sequences = {
          ...{
            ...tokens,
            membership: membership(),
            weights: constant(
              counts.map(() => 1 / 8),
              [8],
            ),
          },
          advantages: constant(golden.advantages.rloo, [8]),
        };
        const { loss, measures } =
          method === 'GRPO'
            ? groupPolicyLoss(tokens, { ...bounds, beta: losses.beta })
            : leaveOneOutLoss(sequences, bounds);
        const { objective, ratioMean, ratioSquaredDeviation } = measures;
        const outputs = { objective, ratioMean, ratioSquaredDeviation };
        return evaluate(precision, outputs, feeds, { loss, of: { newLogProbs: t.newLogProbs } });
      });
      const [withOld, without] = await Promise.all(results);
      for (const name of ['objective', 'd newLogProbs', 'ratioMean'])
        expectNear(without[name], withOld[name], tolerance);
      expect(without.ratioSquaredDeviation).toEqual([0]);
      expectLoss(without.ratioMean[0], 1, tolerance);
      expect(Math.max(...without['d newLogProbs'].map(Math.abs))).toBeGreaterThan(1e-3);
    },
  );
});
