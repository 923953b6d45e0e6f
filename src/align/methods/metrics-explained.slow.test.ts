// What methods say of a step, read from the events of tiny runs, against the pages that explain it.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { JobContext } from '../../engine/runtime/job.ts';
import { toStored } from '../../language/stored-names.ts';
import type { RunEvent, StepEvent } from '../run/events.ts';
import { writePreferences } from '../run/testing/tiny-comparisons.ts';
import { saveTinyModel, tinyConfig, trainingDefaults, writeDemonstrations } from '../run/testing/tiny-run.ts';
import { type DpoOptions, dpo } from './dpo.ts';
import { grpo } from './grpo.ts';
import { kto } from './kto.ts';
import { type PpoOptions, ppo } from './ppo.ts';
import { type PretrainOptions, pretrain } from './pretrain.ts';
import { type RejectOptions, reject } from './reject.ts';
import { type RewardOptions, reward } from './reward.ts';
import { type RlooOptions, rloo } from './rloo.ts';
import { sft } from './sft.ts';

let root: string;
let model: string;
let pairs: string;
let demonstrations: string;
let texts: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'heed-metrics-'));
  model = join(root, 'base');
  // Every sixth token ends an answer, so that even a random model's answers end.
  const eos = [2, ...Array.from({ length: 48 }, (_, i) => 5 + 6 * i)];
  await saveTinyModel(model, tinyConfig('llama', { tokens: { pad: 0, bos: 1, eos } }));
  pairs = writePreferences(root, 8);
  demonstrations = writeDemonstrations(root, 8);
  texts = join(root, 'texts.txt');
  writeFileSync(texts, 'red cats run. '.repeat(20));
  writeFileSync(
    join(root, 'rewards.mjs'),
    'export const vowels = (answers) => answers.map(({ completion }) => (completion.match(/[aeiou]/g) ?? []).length);',
  );
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

type Context = JobContext<RunEvent>;
const vowels = () => ({ module: join(root, 'rewards.mjs'), name: 'vowels' });
const common = (out: string) => ({ ...trainingDefaults, truncation: 'drop' as const, model, out });
const sampling = {
  template: 'none',
  samples: 3,
  temperature: 1,
  maxTokens: 8,
  generationBatchSize: 24,
} as const;

const dpoRun = (out: string, context: Context, loss: DpoOptions['loss']) =>
  dpo(
    { ...common(out), data: [pairs], loss, labelSmoothing: 0, targetMargin: 1, likelihoodWeight: 0 },
    context,
  );

const groupOptions = (out: string): RlooOptions => ({
  ...{ ...common(out), ...sampling, data: [demonstrations], reward: ['vowels'], watch: ['vowels'] },
  ...{ ensemble: ['vowels', 'vowels'], groupSize: 3, iterations: 2, beta: 0.05, clipLow: 0.2, clipHigh: 0.2 },
  ...{ maskTruncated: false, onAlarm: 'warn' },
});
const groupRewards = () => ({ reward: [vowels()], watch: [vowels()], ensemble: [vowels(), vowels()] });

/** Two updates or so of each method. */
const runs: Readonly<Record<string, (out: string, context: Context) => Promise<unknown>>> = {
  pretrain(out, context) {
    const sizes = { family: 'llama', layers: 1, hiddenSize: 32, heads: 4, context: 64 } as const;
    const options: PretrainOptions = { ...common(out), ...sizes, data: [texts], windowLength: 32 };
    return pretrain(options, context);
  },
  sft: (out, context) => sft({ ...common(out), data: [demonstrations] }, context),
  reward(out, context) {
    const objective = { loss: 'bradley-terry', margin: 0, centering: 0 } as const;
    const options: RewardOptions = { ...common(out), ...objective, data: [pairs] };
    return reward(options, context);
  },
  reject(out, context) {
    const options: RejectOptions = {
      ...{ ...common(out), ...sampling, data: [demonstrations], rounds: 1, pick: 'best', reward: ['vowels'] },
      batchSize: 2,
    };
    return reject({ ...options, specs: [vowels()] }, context);
  },
  dpo: (out, context) => dpoRun(out, context, 'dpo'),
  kto: (out, context) =>
    kto({ ...common(out), data: [pairs], beta: 0.1, desirableWeight: 1, undesirableWeight: 1 }, context),
  grpo(out, context) {
    const own = { advantageScaling: 'group', lossMean: 'token', klIn: 'loss' } as const;
    return grpo({ ...groupOptions(out), ...own, specs: groupRewards() }, context);
  },
  rloo: (out, context) => rloo({ ...groupOptions(out), specs: groupRewards() }, context),
  ppo(out, context) {
    const options: PpoOptions = {
      ...{ ...common(out), ...sampling, data: [demonstrations], reward: ['vowels'], watch: ['vowels'] },
      ensemble: ['vowels', 'vowels'],
      ...{ ppoEpochs: 1, miniBatchSize: 12, valueLearningRate: 3e-3, beta: 0.05, klEstimator: 'k1' },
      ...{ klHorizon: 100, gamma: 1, lambda: 0.95, clipRange: 0.2, valueClipRange: 0.2 },
      ...{ missingEos: 'replace', whitenAdvantages: true, whitenRewards: false, onAlarm: 'warn' },
    };
    const specs = { reward: [vowels()], watch: [vowels()], ensemble: [vowels(), vowels()] };
    return ppo({ ...options, specs }, context);
  },
};

/** Fields of the event as it is written, and names of the method's own measures. */
function namesIn({ type, step, metrics = {}, ...fields }: StepEvent): string[] {
  const watched = (name: string) => (name.startsWith('watch/') ? 'watch/NAME' : name);
  return [...Object.keys(fields), ...Object.keys(metrics).map(watched)];
}

it.each(Object.keys(runs))('%s says nothing of a step that its page does not explain', async (method) => {
  const told = new Set<string>();
  const emit = (event: RunEvent) => {
    if (event.type === 'step') for (const name of namesIn(toStored(event) as StepEvent)) told.add(name);
  };
  await runs[method](join(root, method), { emit, signal: new AbortController().signal });
  const page = readFileSync(`docs/methods/${method.split(' ')[0]}.md`, 'utf8');
  expect(told.size).toBeGreaterThan(5);
  expect([...told].filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});
