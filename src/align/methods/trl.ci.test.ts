// The first step of DPO and of a reward model, beside TRL's own trainers on the same checkpoints and rows. Runs only
// where HEED_PEER_PYTHON names a Python that has TRL.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model, saveModel } from '../../language/checkpoint/checkpoint.ts';
import { initialHeadWeight } from '../../language/model/scalar-head.ts';
import type { RunEvent, StepEvent } from '../run/events.ts';
import { randomParameters, saveTinyModel, tinyConfig, trainingDefaults } from '../run/testing/tiny-run.ts';
import { type DpoOptions, dpo } from './dpo.ts';
import { type RewardOptions, reward } from './reward.ts';

const python = process.env.HEED_PEER_PYTHON;

/** Prints loss and metrics of the whole data as one batch, at the weights as they were loaded. */
const asTrl = `
import sys, json, warnings
warnings.filterwarnings('ignore')
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer
job = json.loads(sys.argv[1])
rows = [json.loads(line) for line in open(job['data'])]
tokenizer = AutoTokenizer.from_pretrained(job['model'])
common = dict(output_dir=job['out'], per_device_train_batch_size=len(rows), report_to=[], use_cpu=True, bf16=False,
              max_length=None, gradient_checkpointing=False, **job['options'])
if job['method'] == 'dpo':
    policy, reference = [AutoModelForCausalLM.from_pretrained(job[k]) for k in ('model', 'reference')]
    trainer = DPOTrainer(model=policy, ref_model=reference, args=DPOConfig(**common),
                         train_dataset=Dataset.from_list([dict(prompt='a', chosen='b', rejected='c')]),
                         processing_class=tokenizer)
    inputs = trainer.data_collator(rows)
else:
    model = AutoModelForSequenceClassification.from_pretrained(job['model'])
    whole = [dict(chosen_ids=r['prompt_ids'] + r['chosen_ids'], rejected_ids=r['prompt_ids'] + r['rejected_ids'],
                  margin=job['margin'] * r['strength']) for r in rows]
    trainer = RewardTrainer(model=model, args=RewardConfig(**common), train_dataset=Dataset.from_list(whole),
                            processing_class=tokenizer)
    inputs = next(iter(trainer.get_train_dataloader()))
trainer.model.train()
loss = trainer.compute_loss(trainer.model, inputs).item()
metrics = {k: v[-1] for k, v in trainer._metrics['train'].items()}
print(json.dumps(dict(metrics, loss=loss)))
`;

let root: string;
let data: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'heed-trl-'));
  const base = await saveTinyModel(join(root, 'reference'));
  const apart = new Map([...randomParameters(tinyConfig(), 8)].map(([k, v]) => [k, v.map((x) => 3 * x)]));
  await saveModel(join(root, 'policy'), { ...base, parameters: apart });
  const head = initialHeadWeight(base.config, trainingDefaults.seed);
  const judge: Model = { ...base, kind: 'reward', parameters: new Map([...apart, ['score.weight', head]]) };
  await saveModel(join(root, 'judge'), judge);
  expect((await loadModel(join(root, 'judge'))).parameters.get('score.weight')).toEqual(head);
  data = join(root, 'pairs.jsonl');
  const ids = (seed: number, length: number) =>
    Array.from({ length }, (_, i) => 3 + ((seed * 41 + i * i * 13) % 280));
  const rows = Array.from({ length: 6 }, (_, i) => ({
    prompt_ids: ids(i, 3 + i),
    chosen_ids: [...ids(i + 20, 1 + 2 * i), 2],
    // One was cut off.
    rejected_ids: [...ids(i + 40, 12 - i), ...(i === 3 ? [] : [2])],
    strength: 1 + (i % 3),
  }));
  writeFileSync(data, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function trl(job: object): Record<string, number> {
  const given = { data, out: join(root, 'trl'), ...job };
  const out = execFileSync(python as string, ['-c', asTrl, JSON.stringify(given)], {
    encoding: 'utf8',
    env: { ...process.env, HF_HUB_OFFLINE: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return JSON.parse(out.trim().split('\n').at(-1) as string);
}

let runs = 0;
const common = { ...trainingDefaults, batchSize: 6, maxSteps: 1, truncation: 'drop' } as const;

/** Loss and metrics of the first step. */
async function firstStep<Options>(
  method: (
    options: Options,
    context: { emit: (event: RunEvent) => void; signal: AbortSignal },
  ) => Promise<unknown>,
  options: Options,
): Promise<Record<string, number>> {
  const steps: StepEvent[] = [];
  const emit = (event: RunEvent) => {
    if (event.type === 'step') steps.push(event);
  };
  await method(options, { emit, signal: new AbortController().signal });
  return { ...steps[0].metrics, loss: steps[0].loss };
}

function expectSame(
  ours: Record<string, number>,
  theirs: Record<string, number>,
  names: readonly string[],
): void {
  for (const name of names) {
    expect(Number.isFinite(theirs[name]), name).toBe(true);
    const tolerance = 1e-4 * Math.max(1, Math.abs(theirs[name]));
    expect(Math.abs(ours[name] - theirs[name]), `${name}: ${ours[name]}, TRL ${theirs[name]}`).toBeLessThan(
      tolerance,
    );
  }
}

describe.skipIf(!python)('TRL (skipped where HEED_PEER_PYTHON is not set)', () => {
  const implicit = ['rewards/chosen', 'rewards/rejected', 'rewards/margins', 'rewards/accuracies'];
  it.each([
    ['dpo', { loss_type: ['sigmoid'], beta: 0.3 }, implicit],
    ['robust', { loss_type: ['robust'], beta: 0.3, label_smoothing: 0.2 }, implicit],
    ['hinge', { loss_type: ['hinge'], beta: 0.3 }, implicit],
    // Its rewards are averaged over tokens here and summed there.
    ['ipo_mean', { loss_type: ['ipo'], beta: 0.3 }, []],
  ] as const)(
    'has the same %s of a policy and another reference',
    { timeout: 180_000 },
    async (loss, options, rewards) => {
      const [model, reference] = [join(root, 'policy'), join(root, 'reference')];
      const theirs = trl({ method: 'dpo', model, reference, options });
      const settings: DpoOptions = {
        ...{ ...common, model, reference, data: [data], out: join(root, `run-${runs++}`) },
        ...{ loss, beta: 0.3, labelSmoothing: 0.2, targetMargin: 1, likelihoodWeight: 0 },
      };
      const ours = await firstStep(dpo, settings);
      expect(Math.abs(ours.loss - Math.LN2)).toBeGreaterThan(0.01);
      expectSame(ours, theirs, ['loss', 'logps/chosen', 'logps/rejected', ...rewards]);
    },
  );

  it.each([
    [0, 0],
    [0.5, 0.01],
  ])(
    'has the same reward loss with margin %d and centering %d',
    { timeout: 180_000 },
    async (margin, centering) => {
      const options = { center_rewards_coefficient: centering || null };
      const theirs = trl({ method: 'reward', model: join(root, 'judge'), margin, options });
      const settings: RewardOptions = {
        ...{ ...common, model: join(root, 'policy'), data: [data], out: join(root, `run-${runs++}`) },
        ...{ loss: 'bradley-terry', margin, centering },
      };
      const ours = await firstStep(reward, settings);
      const told = { loss: ours.loss, margin: ours['rewards/margins'], accuracy: ours['rewards/accuracies'] };
      expectSame(told, theirs, ['loss', 'margin', 'accuracy']);
    },
  );
});
