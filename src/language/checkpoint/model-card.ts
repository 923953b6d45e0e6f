// README.md of a saved model, in the form that model hubs show.

import { countParameters } from '../model/parameters.ts';
import type { Weights } from '../model/weights.ts';
import type { CheckpointRecord, Source } from './checkpoint-record.ts';
import type { CheckpointKind } from './tensor-plan.ts';

const purposes: Record<CheckpointKind, string> = {
  base: 'A language model that continues text.',
  policy: 'A language model trained to answer instructions.',
  reward: 'A reward model: it scores a whole answer at its last token, the way its labels would.',
  value: 'A value model: at every token it predicts the reward that the answer will get.',
};

export function modelCard(model: CheckpointRecord & Pick<Weights, 'config' | 'adapter'>): string {
  const { config, kind, lineage, adapter } = model;
  const millions = (countParameters(config) / 1e6).toPrecision(3);
  return `---
library_name: ${adapter ? 'peft' : 'transformers'}
tags: [heed, ${kind}]
---

# ${kind} (${config.family})

${purposes[kind]}${adapter ? ' This folder holds a LoRA adapter over the base model that `adapter_config.json` names.' : ''} Written by heed; \`heed.json\` holds its whole lineage.

| | |
|---|---|
| family | ${config.family} |
| parameters of the model | ${millions} million |
| layers × width | ${config.layers} × ${config.hiddenSize} |
| longest text | ${config.maxPositions} tokens |
| made from | ${sources(lineage?.parents)} |
| trained on | ${sources(lineage?.data)} |
`;
}

function sources(list: readonly Source[] = []): string {
  if (list.length === 0) return 'not recorded';
  return list.map(({ name, sha256 }) => `${cell(name)} (${cell(sha256.slice(0, 12))})`).join(', ');
}

/** A name must not break out of its table cell. */
function cell(text: string): string {
  return text.replace(/[\\|<>[\]`]/g, '\\$&').replace(/\s+/g, ' ');
}
