// Whole runs of the methods that learn from comparisons: reward models and DPO.

import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { loadModel, saveModel } from '../../language/checkpoint/checkpoint.ts';
import { loadPreferenceRows } from '../data/load.ts';
import { preferenceLossKinds } from '../objectives/preference.ts';
import type { RunEvent, StepEvent } from '../run/events.ts';
import { writeMarked, writePreferences, writeRankings } from '../run/testing/tiny-comparisons.ts';
import {
  randomParameters,
  saveTinyModel,
  timelessLog,
  tinyConfig,
  tinyTokenizer,
  trainedBytes,
  trainingDefaults,
} from '../run/testing/tiny-run.ts';
import { sequenceScores } from '../scoring/sequences.ts';
import { type DpoOptions, type DpoResult, dpo, lossAtReference } from './dpo.ts';
import { type KtoOptions, type KtoResult, kto } from './kto.ts';
import { type RewardOptions, type RewardResult, reward } from './reward.ts';

let root: string;
let pairs: string;
let rankings: string;
let heldOut: string;
let runs = 0;
let events: RunEvent[];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'heed-preferences-'));
  await saveTinyModel(join(root, 'base'));
  pairs = writePreferences(root, 24);
  rankings = writeRankings(root, 24);
  heldOut = writePreferences(root, 30, 'held-out.jsonl', 200);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  events = [];
});

const newRun = () => join(root, `run-${runs++}`);
const steps = () => events.filter((event): event is StepEvent => event.type === 'step');
const warnings = () => events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
const last = (numbers: number[]) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;

function context(stopAfter?: number) {
  const controller = new AbortController();
  const emit = (event: RunEvent) => {
    events.push(event);
    if (event.type === 'step' && event.step === stopAfter) controller.abort();
  };
  return { emit, signal: controller.signal };
}

/** By default 6 steps of 8 rows. @param stopAfter aborts when that step is heard */
function trainReward(
  out: string,
  options: Partial<RewardOptions> = {},
  stopAfter?: number,
): Promise<RewardResult> {
  const defaults: RewardOptions = {
    ...{ ...trainingDefaults, epochs: 2, batchSize: 8, truncation: 'drop' },
    ...{ model: join(root, 'base'), data: [pairs], out, loss: 'bradley-terry', margin: 0, centering: 0 },
  };
  return reward({ ...defaults, ...options }, context(stopAfter));
}

function trainDpo(out: string, options: Partial<DpoOptions> = {}, stopAfter?: number): Promise<DpoResult> {
  const defaults: DpoOptions = {
    ...{ ...trainingDefaults, epochs: 2, batchSize: 8, truncation: 'drop' },
    ...{ model: join(root, 'base'), data: [pairs], out, loss: 'dpo' },
    ...{ labelSmoothing: 0.1, targetMargin: 1, likelihoodWeight: 0 },
  };
  return dpo({ ...defaults, ...options }, context(stopAfter));
}

function trainKto(out: string, options: Partial<KtoOptions> = {}, stopAfter?: number): Promise<KtoResult> {
  const defaults: KtoOptions = {
    ...{ ...trainingDefaults, epochs: 2, batchSize: 8, truncation: 'drop' },
    ...{ model: join(root, 'base'), data: [pairs], out },
    ...{ beta: 0.1, desirableWeight: 1, undesirableWeight: 1 },
  };
  return kto({ ...defaults, ...options }, context(stopAfter));
}

describe('a reward model', () => {
  it('comes to agree with people on pairs it has not seen, and says how well', async () => {
    const run = newRun();
    const options = { epochs: 40, learningRate: 5e-3, evalData: [heldOut] };
    const { quality, tokensTrained, tokensGenerated, tokens } = await trainReward(run, options);
    expect([tokensGenerated, tokensTrained]).toEqual([0, tokens]);
    const metrics = steps().map((step) => step.metrics!);
    expect(Math.abs(last(metrics.slice(0, 2).map((m) => m['rewards/margins'])))).toBeLessThan(1);
    expect(last(metrics.slice(-3).map((m) => m['rewards/accuracies']))).toBeGreaterThan(0.95);
    expect(quality!.accuracy!.value).toBeGreaterThan(0.8);
    expect(quality!.accuracy!.n).toBe(30);
    expect(Object.keys(quality!.accuracy_by_strength!)).toEqual(['1', '2', '3']);
    expect(JSON.parse(readFileSync(join(run, 'quality.json'), 'utf8'))).toEqual(quality);
  });

  it('says how many held-out pairs it is trained on', async () => {
    const told = () => warnings().filter((message) => message.includes('held-out pairs'));
    const others = join(root, 'others.jsonl');
    writeFileSync(others, '{"prompt":"another question","chosen":"red","rejected":"blue"}\n');
    await trainReward(newRun(), { maxSteps: 1, evalData: [others] });
    expect(told()).toEqual([]);
    await trainReward(newRun(), { maxSteps: 1, evalData: [pairs] });
    expect(told()).toEqual([
      '24 of 24 held-out pairs have a prompt that is trained on: they are not held out',
    ]);
  });

  it('is saved without the output head, with the scale of its scores on the training answers', async () => {
    const untied = tinyConfig('llama', { tiedOutput: false });
    await saveModel(join(root, 'untied'), {
      ...{ kind: 'policy', config: untied, parameters: randomParameters(untied) },
      tokenizerFiles: (await loadModel(join(root, 'base'))).tokenizerFiles,
    });
    const run = newRun();
    const { quality } = await trainReward(run, { model: join(root, 'untied') });
    const { kind, parameters, config, rewardStatistics } = await loadModel(join(run, 'model'));
    expect([kind, parameters.has('lm_head.weight'), parameters.has('score.weight')]).toEqual([
      'reward',
      false,
      true,
    ]);
    const { mean, deviation, n, answers } = quality!.statistics;
    expect([rewardStatistics, n, answers]).toEqual([{ mean, deviation }, 48, 'training']);
    const reading = { maxLength: 64, truncation: 'drop' } as const;
    const { rows } = await loadPreferenceRows([pairs], tinyTokenizer(), reading);
    const sequences = rows.flatMap(({ chosen, rejected }) => [chosen, rejected]);
    const backend = await openBackend({ threads: 1 });
    const scores = [
      ...(await sequenceScores(backend, { config, parameters }, sequences, { batchTokens: 512 })),
    ];
    const average = scores.reduce((sum, score) => sum + score, 0) / 48;
    expect(Math.abs(mean - average)).toBeLessThan(1e-4);
    const variance = scores.reduce((sum, score) => sum + (score - average) ** 2, 0) / 48;
    expect(Math.abs(deviation - Math.sqrt(variance))).toBeLessThan(1e-4);
  });

  it('is scaled by the answers of a file, where one is given', async () => {
    const file = join(root, 'answers.jsonl');
    writeFileSync(
      file,
      '{"prompt":"red cat?","completion":" sings"}\n{"prompt":"a?","completion":" falls"}\n',
    );
    const { quality } = await trainReward(newRun(), { maxSteps: 1, sftCompletions: [file] });
    expect(quality!.statistics).toMatchObject({ n: 2, answers: [file] });
  });

  it.each(['k-wise', 'plackett-luce'] as const)(
    'learns %s from rankings and pairs together',
    async (loss) => {
      const { data } = await trainReward(newRun(), {
        loss,
        data: [rankings, pairs],
        epochs: 12,
        learningRate: 5e-3,
      });
      expect(data).toMatchObject({ rows: 48, kept: 48 });
      const ordered = steps().map(({ metrics }) => metrics!['rewards/accuracies']);
      expect(last(ordered.slice(-6))).toBeGreaterThan(last(ordered.slice(0, 6)) + 0.2);
    },
  );

  it('refuses a margin where the loss has none, and a model that is not a language model', async () => {
    await expect(trainReward(newRun(), { loss: 'k-wise', data: [rankings], margin: 1 })).rejects.toThrow(
      /--margin, --centering: expected 0 with --loss k-wise/,
    );
    const run = newRun();
    await trainReward(run, { maxSteps: 1 });
    await expect(trainReward(newRun(), { model: run })).rejects.toThrow(
      /expected a base or policy model, got a reward/,
    );
  });
});

describe('DPO', () => {
  it.each([...preferenceLossKinds, 'kto'] as const)(
    'with %s raises the reward of the chosen answers over the rejected',
    async (loss) => {
      const options = { epochs: 8, learningRate: 3e-3 };
      if (loss === 'kto') await trainKto(newRun(), options);
      else await trainDpo(newRun(), { ...options, loss });
      const metrics = steps().map((step) => step.metrics!);
      expect(metrics.at(-1)!['rewards/margins']).toBeGreaterThan(metrics[0]['rewards/margins']);
      // In ORPO the likelihood does most.
      expect(metrics.at(-1)!['rewards/accuracies']).toBeGreaterThan(loss === 'orpo' ? 0.6 : 0.8);
      const beta = loss === 'simpo' ? 2 : 0.1;
      const objective = { beta, labelSmoothing: 0.1, targetMargin: 1, likelihoodWeight: 0 };
      const start = loss === 'kto' ? 0.5 : lossAtReference({ loss, ...objective });
      if (start !== undefined)
        expect(Math.abs(steps()[0].loss - start)).toBeLessThan(1e-4 * Math.max(1, start));
      expect(warnings().filter((message) => message.includes('first loss'))).toEqual([]);
    },
  );

  it('of single answers raises the reward of the good ones, and says only what a step can tell', async () => {
    const data = [writeMarked(pairs)];
    await trainKto(newRun(), { data, epochs: 16, learningRate: 3e-3 });
    expect(Math.abs(steps()[0].loss - 0.5)).toBeLessThan(1e-4);
    expect(
      last(
        steps()
          .slice(-6)
          .map(({ loss }) => loss),
      ),
    ).toBeLessThan(0.45);
    const metrics = steps().map((step) => step.metrics!);
    expect(last(metrics.slice(-6).map((m) => m['rewards/margins']))).toBeGreaterThan(0.1);
    expect(Object.keys(metrics[0]).sort()).toEqual([
      ...['kl', 'logps/chosen', 'logps/rejected', 'rewards/chosen', 'rewards/margins', 'rewards/rejected'],
    ]);
    events = [];
    await trainKto(newRun(), { data, batchSize: 1, maxSteps: 1 });
    const [side] = Object.keys(steps()[0].metrics!).filter((name) => name.startsWith('rewards/'));
    expect(Object.keys(steps()[0].metrics!).sort()).toEqual(['kl', side.replace('rewards', 'logps'), side]);
    await expect(trainDpo(newRun(), { data })).rejects.toThrow(/which heed kto reads/);
  });

  it('starts at ln 2, and elsewhere from another reference', async () => {
    await trainDpo(newRun(), { maxSteps: 1 });
    expect(Math.abs(steps()[0].loss - Math.LN2)).toBeLessThan(1e-6);
    expect(Math.abs(steps()[0].metrics!['rewards/chosen'])).toBeLessThan(1e-5);
    events = [];
    const config = tinyConfig();
    const other = await loadModel(join(root, 'base'));
    await saveModel(join(root, 'other'), { ...other, parameters: randomParameters(config, 9) });
    await trainDpo(newRun(), { maxSteps: 1, reference: join(root, 'other') });
    expect(Math.abs(steps()[0].loss - Math.LN2)).toBeGreaterThan(1e-4);
  });

  it('keeps what the reference said with the run, and asks it again when it changed', async () => {
    const run = newRun();
    await trainDpo(run, {}, 2);
    const file = join(run, 'reference-log-probs.json');
    const { sha256, log_probs: logProbs } = JSON.parse(readFileSync(file, 'utf8'));
    expect([logProbs.length, sha256.length]).toEqual([48, 64]);
    const written = statSync(file).mtimeMs;
    await trainDpo(run, { resume: true });
    expect(statSync(file).mtimeMs).toBe(written);
    writeFileSync(file, JSON.stringify({ sha256: 'of another', log_probs: [] }));
    await trainDpo(run, { resume: true });
    expect(JSON.parse(readFileSync(file, 'utf8')).log_probs).toEqual(logProbs);
  });

  it('does not ask a reference that the loss does not use', async () => {
    const run = newRun();
    await trainDpo(run, { loss: 'simpo', maxSteps: 1 });
    expect(existsSync(join(run, 'reference-log-probs.json'))).toBe(false);
    await expect(trainDpo(newRun(), { loss: 'orpo', reference: join(root, 'base') })).rejects.toThrow(
      /--reference: expected none with --loss orpo/,
    );
  });
});

type Run = (
  out: string,
  options?: { saveEvery?: number; resume?: boolean },
  stopAfter?: number,
) => Promise<unknown>;
const methods: [string, Run][] = [
  ['a reward model', (out, options, stop) => trainReward(out, { ...options, evalData: [heldOut] }, stop)],
  [
    'a reward model of rankings',
    (out, options, stop) => trainReward(out, { ...options, loss: 'k-wise', data: [rankings] }, stop),
  ],
  ['DPO', (out, options, stop) => trainDpo(out, options, stop)],
  ['KTO', (out, options, stop) => trainKto(out, options, stop)],
  [
    'KTO of single answers and pairs',
    (out, options, stop) => {
      const weights = { desirableWeight: 1.2, undesirableWeight: 0.8 };
      const data = [writeMarked(pairs), pairs];
      return trainKto(out, { ...options, ...weights, data, epochs: 1 }, stop);
    },
  ],
];

describe.each(methods)('a resumed run of %s', (_, train) => {
  it('equals an uninterrupted one, wherever it stopped', async () => {
    const whole = newRun();
    const expected = await train(whole, { saveEvery: 2 });
    for (const stop of [1, 2, 5]) {
      const cut = newRun();
      expect(await train(cut, { saveEvery: 2 }, stop)).toMatchObject({ outcome: 'interrupted', steps: stop });
      expect(await train(cut, { saveEvery: 2, resume: true })).toEqual({
        ...(expected as object),
        model: `${cut}/model`,
      });
      expect(trainedBytes(cut, 6)).toEqual(trainedBytes(whole, 6));
      expect(timelessLog(cut)).toEqual(timelessLog(whole));
    }
    expect(await train(whole, { saveEvery: 2, resume: true })).toEqual(expected);
  });

  it('is refused when its data changed', async () => {
    const [run, changing] = [newRun(), writePreferences(root, 24, `changing-${runs}.jsonl`)];
    await trainDpo(run, { data: [changing] }, 2);
    appendFileSync(changing, '{"prompt":"a","chosen":"b","rejected":"c"}\n');
    await expect(trainDpo(run, { data: [changing], resume: true })).rejects.toThrow(
      /expected the file that this run began with/,
    );
  });
});
