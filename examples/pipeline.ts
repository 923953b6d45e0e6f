// The whole pipeline from TypeScript, with budgets of seconds: SFT, preferences, a reward model, DPO, PPO, and what changed.
// Run it from the repository's folder after `npm run build`; OUT is where it writes.

import { runStage, stages } from 'heed';

const base = 'models/kata-base';
const out = process.env.OUT ?? 'runs/pipeline';
const { maxTokens, generationBatchSize } = { maxTokens: 48, generationBatchSize: 32 };

const kata = { out: `${out}/data`, instructions: 64, prompts: 12, problems: 6, coaching: 0 };
await runStage(stages.kata, kata);
const prompts = [`${out}/data/prompts.jsonl`];

const sft = await runStage(
  stages.sft,
  { model: base, data: [`${out}/data/instructions.jsonl`], out: `${out}/sft`, maxSteps: 2 },
  { onEvent: (event) => event.type === 'step' && console.log(`sft ${event.step}: loss ${event.loss}`) },
);

await runStage(stages.label, {
  ...{ model: sft.model, data: prompts, out: `${out}/labels`, samples: 3, annotator: 'careful' },
  ...{ maxTokens, generationBatchSize },
});
const data = [`${out}/labels/preferences.jsonl`];
const reward = await runStage(stages.reward, { model: sft.model, data, out: `${out}/reward`, maxSteps: 2 });

const dpo = await runStage(stages.dpo, { model: sft.model, data, out: `${out}/dpo`, maxSteps: 2 });
const ppo = await runStage(stages.ppo, {
  ...{ model: sft.model, data: prompts, out: `${out}/ppo`, maxSteps: 1, batchSize: 8, maxTokens },
  ...{ reward: [reward.model, 'kata:readability*0.5'], watch: ['kata:pass'] },
});

const evals = Object.entries({ sft, dpo, ppo });
for (const [name, { model }] of evals) {
  await runStage(stages.evaluate, {
    ...{ model, data: [`${out}/data/held-out.jsonl`], out: `${out}/eval-${name}`, world: 'kata' },
    ...{ reward: reward.model, reference: sft.model, maxTokens },
  });
}
const [baseline, ...others] = evals.map(([name]) => `${out}/eval-${name}`);
const { comparisons } = await runStage(stages.compare, { evals: others, baseline });
for (const { evals, changes } of comparisons) console.log(`${evals}: proxy ${changes.proxy?.value}`);
