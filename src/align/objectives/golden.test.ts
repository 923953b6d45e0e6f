import { describe, expect, it } from 'vitest';
import { add, constant, mean, multiply } from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import { expectLoss, expectNear, hasGolden, readGolden } from '../../language/model/testing/golden.ts';
import { generalisedAdvantages, tokenRewards, whiten } from './advantages.ts';
import { rolloutTokenKl, sequenceKl, tokenKl } from './kl.ts';
import { ktoLoss } from './kto.ts';
import { policyLoss, valueLoss } from './ppo.ts';
import { type PreferenceLossKind, preferenceLoss, preferenceLossKinds } from './preference.ts';
import { bradleyTerryLoss, kWiseLoss, plackettLuceLoss } from './reward.ts';
import { evaluate, inputsOf, precisions } from './testing/evaluate.ts';

const golden = hasGolden ? readGolden('objectives.json') : undefined;
const tolerances = { float64: 1e-7, float32: 1e-5 } as const;

const goldenNames: { [K in PreferenceLossKind]: string } = {
  dpo: 'dpo_sigmoid',
  cdpo: 'cdpo',
  robust: 'robust',
  hinge: 'hinge',
  ipo_sum: 'ipo_sum',
  ipo_mean: 'ipo_mean',
  simpo: 'simpo',
  orpo: 'orpo',
};

describe.skipIf(!hasGolden).each(precisions)('objectives equal PyTorch in %s (golden)', (precision) => {
  const tolerance = tolerances[precision];
  const { preference, reward, ppo } = golden ?? {};

  async function expectGolden(
    loss: Tensor,
    sides: { chosen: Tensor; rejected: Tensor },
    feeds: Record<string, number[]>,
    expected: { loss: number[]; mean: number; d_chosen: number[]; d_rejected: number[] },
  ): Promise<void> {
    const slopes = { loss: mean(loss), of: sides };
    const found = await evaluate(precision, { loss, mean: slopes.loss }, feeds, slopes);
    expectNear(found.loss, expected.loss, tolerance);
    expectLoss(found.mean[0], expected.mean, tolerance);
    expectNear(found['d chosen'], expected.d_chosen, tolerance);
    expectNear(found['d rejected'], expected.d_rejected, tolerance);
  }

  it.each(preferenceLossKinds)('%s: losses and gradients', async (kind) => {
    const { inputs } = preference;
    const { policy_chosen, policy_rejected, reference_chosen, reference_rejected } = inputs;
    const { chosen_tokens, rejected_tokens } = inputs;
    const feeds = {
      ...{ policy_chosen, policy_rejected, reference_chosen, reference_rejected },
      ...{ chosen_tokens, rejected_tokens },
    };
    const t = inputsOf(feeds);
    const policy = { chosen: t.policy_chosen, rejected: t.policy_rejected };
    const { loss } = preferenceLoss(
      kind,
      {
        policy,
        reference: { chosen: t.reference_chosen, rejected: t.reference_rejected },
        tokenCounts: { chosen: t.chosen_tokens, rejected: t.rejected_tokens },
      },
      {
        beta: kind === 'simpo' ? inputs.simpo_beta : inputs.beta,
        labelSmoothing: inputs.label_smoothing,
        targetMargin: inputs.simpo_gamma,
      },
    );
    await expectGolden(loss, policy, feeds, preference[goldenNames[kind]]);
  });

  it('kto: losses of good and of bad answers', async () => {
    const { inputs, kto } = preference;
    const feeds = {
      policy: [...inputs.policy_chosen, ...inputs.policy_rejected],
      reference: [...inputs.reference_chosen, ...inputs.reference_rejected],
    };
    const { policy, reference } = inputsOf(feeds);
    const isDesirable = constant([1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0], [12], 'bool');
    const { loss } = ktoLoss({ policy, reference, isDesirable }, constant(kto.kl_reference_point), {
      beta: inputs.beta,
      desirableWeight: kto.desirable_weight,
      undesirableWeight: kto.undesirable_weight,
    });
    const found = await evaluate(precision, { loss }, feeds);
    expectNear(found.loss, [...kto.desirable, ...kto.undesirable], tolerance);
  });

  it.each(['bradley_terry', 'with_margin', 'with_centering'])('%s: losses and gradients', async (name) => {
    const { chosen, rejected, margin, centering } = reward.inputs;
    const feeds = { chosen, rejected, margin };
    const t = inputsOf(feeds);
    const pairs = { chosen: t.chosen, rejected: t.rejected };
    const { loss } = bradleyTerryLoss(
      name === 'with_margin' ? t : pairs,
      name === 'with_centering' ? { centering } : {},
    );
    await expectGolden(loss, pairs, feeds, reward[name]);
  });

  it('K-wise and Plackett–Luce', async () => {
    const feeds = { scores: reward.inputs.ranked_best_first };
    const { scores } = inputsOf(feeds, [1, 4]);
    const outputs = { kWise: kWiseLoss(scores), plackettLuce: plackettLuceLoss(scores) };
    const found = await evaluate(precision, outputs, feeds);
    expectLoss(found.kWise[0], reward.k_wise, tolerance);
    expectLoss(found.plackettLuce[0], reward.plackett_luce, tolerance);
  });

  it('k1 and k3 of tensors', async () => {
    const feeds = {
      newLogProbs: ppo.inputs.old_log_probs.flat(),
      referenceLogProbs: ppo.inputs.reference_log_probs.flat(),
    };
    const { newLogProbs, referenceLogProbs } = inputsOf(feeds);
    const k1 = tokenKl('k1', newLogProbs, referenceLogProbs);
    const k3 = tokenKl('k3', newLogProbs, referenceLogProbs);
    const found = await evaluate(precision, { k1, k3 }, feeds);
    expectNear(found.k1, ppo.kl_k1.flat(), tolerance);
    expectNear(found.k3, ppo.kl_k3.flat(), tolerance);
  });

  it('PPO: policy and value loss, their measures and gradients', async () => {
    const { inputs } = ppo;
    const isResponse: number[] = inputs.is_response_token.flat();
    const count = isResponse.reduce((sum, x) => sum + x, 0);
    const feeds = {
      weights: isResponse.map((x) => x / count),
      newLogProbs: inputs.new_log_probs.flat(),
      oldLogProbs: inputs.old_log_probs.flat(),
      advantages: ppo.whitened_advantages_biased_variance.flat(),
      newValues: inputs.new_values.flat(),
      oldValues: inputs.values.flat(),
      returns: ppo.returns.flat(),
    };
    const t = inputsOf(feeds, [2, 6]);
    const policy = policyLoss(t, { clipRange: inputs.clip_range });
    const value = valueLoss(t, { valueClipRange: inputs.value_clip_range });
    const loss = add(policy.loss, multiply(value.loss, inputs.value_coefficient));
    const { clipFraction, approximateKl } = policy.measures;
    const found = await evaluate(
      precision,
      { policyLoss: policy.loss, valueLoss: value.loss, clipFraction, approximateKl },
      feeds,
      { loss, of: { newLogProbs: t.newLogProbs, newValues: t.newValues } },
    );
    expectLoss(found.policyLoss[0], ppo.policy_loss, tolerance);
    expectLoss(found.valueLoss[0], ppo.value_loss, tolerance);
    expectLoss(found.clipFraction[0], ppo.clip_fraction, tolerance);
    expectLoss(found.approximateKl[0], ppo.approximate_kl, tolerance);
    expectNear(found['d newLogProbs'], ppo.d_new_log_probs.flat(), tolerance);
    expectNear(found['d newValues'], ppo.d_new_values.flat(), tolerance);
  });
});

describe.skipIf(!hasGolden)('numbers of PPO equal NumPy (golden)', () => {
  const { ppo } = golden ?? {};
  /** The rows without their padding. */
  const cut = (rows: number[][]) =>
    rows.map((row, b) => row.filter((_, t) => ppo.inputs.is_response_token[b][t]));
  const rollouts = () => ({
    oldLogProbs: cut(ppo.inputs.old_log_probs),
    referenceLogProbs: cut(ppo.inputs.reference_log_probs),
  });
  const expectRows = (found: Float64Array[], padded: number[][]) => {
    const expected = cut(padded);
    expect(found.length).toBe(expected.length);
    found.forEach((row, b) => {
      expectNear(row, expected[b], 1e-7);
    });
  };

  it.each(['k1', 'k3'] as const)('%s of rollouts', (estimator) => {
    expectRows(rolloutTokenKl(estimator, rollouts()), ppo[`kl_${estimator}`]);
  });

  it('KL of each sequence', () => {
    expectNear(sequenceKl(rolloutTokenKl('k1', rollouts())), ppo.kl_per_sequence_k1, 1e-7);
  });

  it('rewards, advantages, returns and whitening, one from the other', () => {
    const { scores, kl_coefficient, gamma, lam } = ppo.inputs;
    const values = cut(ppo.inputs.values);
    const rewards = tokenRewards({ klPerToken: rolloutTokenKl('k1', rollouts()), scores }, kl_coefficient);
    expectRows(rewards, ppo.rewards);
    const { advantages, returns } = generalisedAdvantages({ rewards, values }, { gamma, lambda: lam });
    expectRows(advantages, ppo.advantages);
    expectRows(returns, ppo.returns);
    expectRows(whiten(advantages), ppo.whitened_advantages_biased_variance);
  });
});
