// What PPO's two models compute in training: the policy's clipped objective and the critic's squared error, over the
// tokens of a batch that was laid out when the rollouts were scored.

import { input, multiply, total } from '../../engine/graph/build.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import type { MicroBatch } from '../../engine/optimizer/update-step.ts';
import { joined } from '../../engine/runtime/backend.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import { type PolicyLossOptions, policyLoss, valueLoss } from '../objectives/ppo.ts';
import { tokenStatistics, tokenValues } from '../scoring/heads.ts';
import { joinRows, type TokenBatch } from '../scoring/layout.ts';

/** What is known of the rollouts before anything is learnt from them: a row an answer, a number a token. */
export interface Judged {
  miniBatches: MiniBatch[];
  oldLogProbs: Float64Array[];
  referenceLogProbs: Float64Array[];
  entropies: Float64Array[];
  values: Float64Array[];
  isResponseToken: Uint8Array[];
}

/** Answers that share an update: those from `from` on. */
export interface MiniBatch {
  from: number;
  batches: TokenBatch[];
  tokens: number;
}

export interface Estimated {
  advantages: Float64Array[];
  returns: Float64Array[];
}

/** A mini-batch as an update of the policy and one of the critic. Means run over all of its response tokens. */
export function updateBatches(
  config: ModelConfig,
  { from, batches, tokens }: MiniBatch,
  told: Judged & Estimated,
  options: PolicyLossOptions & { valueClipRange: number; temperature: number },
): { policy: MicroBatch[]; critic: MicroBatch[] } {
  const weight = 1 / tokens;
  const updates: { policy: MicroBatch[]; critic: MicroBatch[] } = { policy: [], critic: [] };
  let start = from;
  for (const batch of batches) {
    const end = start + batch.rows.length;
    const own = (rows: readonly Float64Array[]) => rows.slice(start, end);
    const { oldLogProbs, advantages, values, returns } = told;
    const ofPolicy = { oldLogProbs: own(oldLogProbs), advantages: own(advantages) };
    const ofCritic = { oldValues: own(values), returns: own(returns) };
    updates.policy.push(policyMicroBatch(config, batch, ofPolicy, { ...options, weight }));
    updates.critic.push(criticMicroBatch(config, batch, ofCritic, { ...options, weight }));
    start = end;
  }
  return updates;
}

type PerToken = readonly ArrayLike<number>[];

function policyMicroBatch(
  config: ModelConfig,
  batch: TokenBatch,
  told: { oldLogProbs: PerToken; advantages: PerToken },
  { weight, temperature, ...options }: PolicyLossOptions & { weight: number; temperature: number },
): MicroBatch {
  return microBatch(batch, weight, told, (parameters, given) => {
    const { logProbs, entropy } = tokenStatistics(config, parameters, batch, temperature);
    const { loss, measures } = policyLoss({ newLogProbs: logProbs, ...given }, options);
    return { loss, measures: { ...measures, entropy: total(multiply(entropy, given.weights)) } };
  });
}

function criticMicroBatch(
  config: ModelConfig,
  batch: TokenBatch,
  told: { oldValues: PerToken; returns: PerToken },
  { weight, ...options }: { weight: number; valueClipRange: number },
): MicroBatch {
  return microBatch(batch, weight, told, (parameters, given) =>
    valueLoss({ newValues: tokenValues(config, parameters, batch), ...given }, options),
  );
}

/** The batch's own inputs, and one array [M] for each thing that is told of its tokens. */
function microBatch<Name extends string>(
  batch: TokenBatch,
  weight: number,
  told: Readonly<Record<Name, PerToken>>,
  graph: (
    parameters: Parameters<MicroBatch['graph']>[0],
    given: Record<Name | 'weights', Tensor>,
  ) => ReturnType<MicroBatch['graph']>,
): MicroBatch {
  const names = Object.keys(told) as Name[];
  return {
    key: batch.key,
    feeds: () =>
      joined(batch.feeds, {
        weights: new Float32Array(batch.size).fill(weight, 0, batch.count),
        ...Object.fromEntries(names.map((name) => [name, joinRows(batch, told[name])])),
      }),
    graph: (parameters) => {
      const inputs = [...names, 'weights'].map((name) => [name, input(name, [batch.size])]);
      return graph(parameters, Object.fromEntries(inputs));
    },
    describe: () => batch.rows.map(({ source: { file, line } }) => `${file}:${line}`).join(', '),
  };
}
