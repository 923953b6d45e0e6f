import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { interpret } from '../../engine/runtime/reference.ts';
import { loadModel, type Model, saveModel } from '../../language/checkpoint/checkpoint.ts';
import { outputLogits } from '../../language/model/forward.ts';
import { windowInputs, windowStates } from '../../language/model/full-pass.ts';
import { baseInputs } from '../../language/model/testing/base-inputs.ts';
import type { RunEvent, StepEvent } from '../run/events.ts';
import {
  saveTinyModel,
  timelessLog,
  tinyConfig,
  tinyTokenizer,
  trainedBytes,
  trainingDefaults,
  writeDemonstrations,
} from '../run/testing/tiny-run.ts';
import { type SftOptions, sft } from './sft.ts';

let root: string;
let data: string;
let runs = 0;
let events: RunEvent[];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'heed-sft-'));
  await saveTinyModel(join(root, 'base'));
  data = writeDemonstrations(root, 12);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  events = [];
});

const newRun = () => join(root, `run-${runs++}`);

/** By default 6 steps over 12 rows. @param stopAfter aborts when that step is heard */
async function train(out: string, options: Partial<SftOptions> = {}, stopAfter?: number) {
  const controller = new AbortController();
  const emit = (event: RunEvent) => {
    events.push(event);
    if (event.type === 'step' && event.step === stopAfter) controller.abort();
  };
  const defaults: SftOptions = {
    ...{ ...trainingDefaults, epochs: 2, truncation: 'drop' },
    ...{ model: join(root, 'base'), data: [data], out },
  };
  return sft({ ...defaults, ...options }, { emit, signal: controller.signal });
}

const steps = () => events.filter((event): event is StepEvent => event.type === 'step');
const warnings = () => events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));

describe('the same run', () => {
  it.each([1, 2])('gives the same bytes twice with %i threads', async (threads) => {
    const [a, b] = [newRun(), newRun()];
    for (const run of [a, b]) await train(run, { threads });
    expect(trainedBytes(a, 6)).toEqual(trainedBytes(b, 6));
    expect(timelessLog(a)).toEqual(timelessLog(b));
  });

  it('gives other bytes from another seed', async () => {
    const [a, b] = [newRun(), newRun()];
    await train(a);
    await train(b, { seed: 4 });
    expect(trainedBytes(a, 6).model.equals(trainedBytes(b, 6).model)).toBe(false);
  });
});

describe('a resumed run', () => {
  it.each([
    ['at a checkpoint', 2, 2, 1],
    ['between checkpoints', 3, 2, 1],
    ['without any earlier checkpoint', 1, undefined, 1],
    ['in the second epoch, on two threads', 5, 3, 2],
  ])('interrupted %s equals an uninterrupted one', async (_, stopAfter, saveEvery, threads) => {
    const [whole, cut] = [newRun(), newRun()];
    await train(whole, { saveEvery, threads });
    const first = await train(cut, { saveEvery, threads }, stopAfter);
    expect([first.outcome, first.steps]).toEqual(['interrupted', stopAfter]);
    const second = await train(cut, { saveEvery, threads, resume: true });
    expect([second.outcome, second.steps]).toEqual(['done', 6]);
    expect(trainedBytes(cut, 6)).toEqual(trainedBytes(whole, 6));
    expect(timelessLog(cut)).toEqual(timelessLog(whole));
  });

  it('goes on beyond --max-steps as if it had never stopped there, on the same schedule', async () => {
    const [whole, cut] = [newRun(), newRun()];
    await train(whole);
    await train(cut, { maxSteps: 2 });
    expect(warnings()).toEqual([expect.stringMatching(/cosine schedule of 6 updates/)]);
    await train(cut, { maxSteps: 4, resume: true });
    await train(cut, { resume: true });
    expect(trainedBytes(cut, 6)).toEqual(trainedBytes(whole, 6));
    const rates = (run: string) => timelessLog(run).map(({ step, learningRate }) => [step, learningRate]);
    expect(rates(cut).filter(([, rate]) => rate)).toEqual(rates(whole).filter(([, rate]) => rate));
  });

  it('that had finished changes nothing and says so', async () => {
    const run = newRun();
    const first = await train(run);
    const before = [trainedBytes(run, 6), readFileSync(join(run, 'events.jsonl'))];
    events = [];
    expect(await train(run, { resume: true })).toEqual(first);
    expect(warnings()).toEqual([`${run}: finished already, after 6 updates; nothing to do`]);
    expect(events).toHaveLength(1);
    expect([trainedBytes(run, 6), readFileSync(join(run, 'events.jsonl'))]).toEqual(before);
  });

  it('writes its model again when it died after the last checkpoint', async () => {
    const run = newRun();
    await train(run);
    const before = trainedBytes(run, 6);
    const log = readFileSync(join(run, 'events.jsonl'), 'utf8').trimEnd().split('\n');
    expect(JSON.parse(log.at(-1)!).type).toBe('finished');
    writeFileSync(join(run, 'events.jsonl'), `${log.slice(0, -1).join('\n')}\n`);
    rmSync(join(run, 'model'), { recursive: true });
    await train(run, { resume: true });
    expect(trainedBytes(run, 6)).toEqual(before);
    expect(timelessLog(run).at(-1)).toMatchObject({ type: 'finished', step: 6 });
  });

  it('is refused when its data changed', async () => {
    const [run, changing] = [newRun(), writeDemonstrations(root, 12, 'changing.jsonl')];
    await train(run, { data: [changing] }, 2);
    appendFileSync(changing, '{"prompt":"a","completion":"b"}\n');
    await expect(train(run, { data: [changing], resume: true })).rejects.toThrow(
      /changing\.jsonl: expected the file that this run began with \(SHA-256 \w{12}, \d+ bytes\), got another content/,
    );
  });

  it('is refused when the model that it began from changed', async () => {
    const [run, model] = [newRun(), join(root, 'changing')];
    await saveTinyModel(model);
    await train(run, { model }, 2);
    rmSync(model, { recursive: true });
    await saveTinyModel(model, tinyConfig('llama', { initializerRange: 0.1 }));
    await expect(train(run, { model, resume: true })).rejects.toThrow(
      /the model .*changing: expected the one that this run began with \(SHA-256 \w{12}\), got another content/,
    );
  });

  it.each([
    [{ learningRate: 1e-4 }, 'learning-rate'],
    [{ seed: 9 }, 'seed'],
    [{ epochs: 3 }, 'epochs'],
    [{ batchSize: 2 }, 'batch-size'],
  ])('is refused with another recipe: %j', async (change, word) => {
    const run = newRun();
    await train(run, {}, 1);
    await expect(train(run, { ...change, resume: true })).rejects.toThrow(
      new RegExp(`recipe\\.yaml: expected the recipe that the run was started with, got another ${word}\\.`),
    );
  });
});

describe('what a run tells', () => {
  it('has every measure in every step, and tokens that add up', async () => {
    const run = newRun();
    const result = await train(run, { saveEvery: 3 });
    const log = timelessLog(run);
    expect(log.map(({ type }) => type)).toEqual([
      ...['started', 'step', 'step', 'step', 'checkpoint', 'step', 'step', 'step', 'checkpoint', 'finished'],
    ]);
    for (const event of steps()) {
      for (const name of ['loss', 'gradientNorm', 'tokenAccuracy', 'entropy', 'tokensPerSecond'] as const)
        expect(Number.isFinite(event[name]), name).toBe(true);
    }
    expect(steps().map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5, 6].map((n) => n / 3));
    // Two epochs over all rows.
    expect(result.tokens).toBe(2 * result.data.tokens);
    expect(log.at(-1)).toMatchObject({ type: 'finished', step: 6, tokens: result.tokens, outcome: 'done' });
    expect(result.loss).toBe(steps().at(-1)!.loss);
  });

  it('begins near ln V and at a rate that warms up over the first updates, then falls along a cosine', async () => {
    await train(newRun(), { warmupRatio: 0.34, learningRate: 1e-3 });
    expect(Math.abs(steps()[0].loss - Math.log(290))).toBeLessThan(0.05);
    expect(Math.abs(steps()[0].entropy! - Math.log(290))).toBeLessThan(0.05);
    const cosine = (share: number) => 1e-3 * ((1 + Math.cos(Math.PI * share)) / 2);
    const expected = [0, 1e-3 / 3, 2e-3 / 3, 1e-3, cosine(1 / 3), cosine(2 / 3)];
    steps().forEach(({ learningRate }, i) => {
      expect(learningRate).toBeCloseTo(expected[i], 10);
    });
  });

  it('lets matrices and embeddings decay, not norms', async () => {
    const run = newRun();
    const rate = {
      learningRate: 1e-3,
      schedule: 'constant',
      warmupRatio: 0,
      maxSteps: 1,
      clipNorm: 1e-30,
    } as const;
    // The gradient is clipped to nothing beside epsilon: what moves, moves by decay.
    await train(run, { ...rate, epsilon: 1e3, weightDecay: 100 });
    const before = await loadModel(join(root, 'base'));
    const after = await loadModel(join(run, 'model'));
    for (const [name, values] of before.parameters) {
      const kept = name.includes('norm') ? 1 : 0.9;
      after.parameters.get(name)!.forEach((value, i) => {
        expect(Math.abs(value - kept * values[i]), name).toBeLessThan(1e-6);
      });
    }
  });

  it('keeps kind and ancestry with the model', async () => {
    const run = newRun();
    await train(run, { maxSteps: 1 });
    const { kind, lineage } = await loadModel(join(run, 'model'));
    expect(kind).toBe('policy');
    expect(lineage?.parents[0].name).toBe(join(basename(root), 'base'));
    expect(lineage?.data[0].name).toBe(join(basename(dirname(data)), basename(data)));
  });
});

describe('learning', () => {
  it('overfits one batch: loss < 0.05 in 150 updates, and greedy choice says the completion', async () => {
    const [run, file] = [newRun(), join(root, 'one.jsonl')];
    writeFileSync(
      file,
      '{"prompt":"red cat?","completion":" sings"}\n{"prompt":"blue dog?","completion":" falls down"}\n',
    );
    const options = { epochs: 150, batchSize: 2, learningRate: 5e-3, weightDecay: 0, data: [file] };
    const { loss } = await train(run, options);
    expect(loss).toBeLessThan(0.05);
    expect(steps().at(-1)!.tokenAccuracy).toBe(1);
    const tokenizer = tinyTokenizer();
    const model = await loadModel(join(run, 'model'));
    const [bos, eos] = [1, 2];
    const target = [...tokenizer.encode(' falls down'), eos];
    const prompt = [bos, ...tokenizer.encode('blue dog?')];
    expect(greedy(model, prompt, target.length)).toEqual(target);
  });
});

/** The likeliest next token again and again, by whole passes of the float64 reference. */
function greedy({ config, parameters }: Model, prompt: readonly number[], count: number): number[] {
  const ids = [...prompt];
  const inputs = baseInputs(config);
  while (ids.length < prompt.length + count) {
    const hidden = windowStates(config, inputs, windowInputs({ windows: 1, length: ids.length }));
    const feeds = {
      tokens: Int32Array.from(ids),
      positions: Int32Array.from(ids.keys()),
      segments: new Int32Array(ids.length),
    };
    const logits = outputLogits(config, inputs, hidden);
    const results = interpret({ logits }, { ...Object.fromEntries(parameters), ...feeds });
    const last = Array.from(results.logits.slice(-config.vocabularySize));
    ids.push(last.indexOf(Math.max(...last)));
  }
  return ids.slice(prompt.length);
}

describe('an update that is not finite', () => {
  /** A model in which dimension 0 is that of `~` alone, and feeds one unit of the MLP that overflows there. */
  async function fragileModel(): Promise<string> {
    const folder = join(root, 'fragile');
    const model = await saveTinyModel(
      join(root, 'sound'),
      tinyConfig('llama', { layers: 1, tiedOutput: false }),
    );
    const set = (name: string, row: number, values: (column: number, old: number) => number) => {
      const weight = model.parameters.get(name)!;
      for (let i = 0; i < 32; i++) weight[row * 32 + i] = values(i, weight[row * 32 + i]);
    };
    const [rare] = tinyTokenizer().encode('~');
    const withFirst = (first: number) => (i: number, old: number) => (i === 0 ? first : old);
    for (let id = 0; id < 290; id++) set('model.embed_tokens.weight', id, withFirst(id === rare ? 1 : 0));
    set('model.layers.0.input_layernorm.weight', 0, withFirst(0));
    set('model.norm.weight', 0, withFirst(0));
    set('model.layers.0.self_attn.o_proj.weight', 0, () => 0);
    model.parameters.get('model.layers.0.mlp.down_proj.weight')!.fill(0, 0, 64);
    for (const name of ['gate', 'up']) {
      for (let unit = 1; unit < 64; unit++) set(`model.layers.0.mlp.${name}_proj.weight`, unit, withFirst(0));
      set(`model.layers.0.mlp.${name}_proj.weight`, 0, (i) => (i === 0 ? 1e30 : 0));
    }
    await saveModel(folder, model);
    return folder;
  }

  it('is skipped, counted, and named by its rows; the others go on', async () => {
    const [run, file] = [newRun(), join(root, 'fragile.jsonl')];
    writeDemonstrations(root, 5, 'fragile.jsonl');
    appendFileSync(file, '{"prompt":"~","completion":" cat"}\n');
    const options = { model: await fragileModel(), data: [file], batchSize: 1, epochs: 2 };
    const result = await train(run, options);
    expect([result.steps, result.skipped, steps().length]).toEqual([12, 2, 10]);
    const skipped = timelessLog(run).filter(({ type }) => type === 'skipped');
    expect(skipped).toHaveLength(2);
    for (const event of skipped)
      expect(event).toMatchObject({
        what: 'update',
        count: 1,
        reason: expect.stringMatching(/fragile\.jsonl:6$/),
      });
    expect(Number.isFinite(result.loss)).toBe(true);
  });

  it('ends the run when patience runs out, with the rows named; --resume then works from the last checkpoint', async () => {
    const run = newRun();
    const absurd = {
      learningRate: 1e30,
      schedule: 'constant',
      warmupRatio: 0,
      patience: 2,
      saveEvery: 1,
    } as const;
    await expect(train(run, absurd)).rejects.toThrow(
      /^the last 2 updates: expected a finite loss and gradient, got loss \S+, gradient norm NaN at \S+rows\.jsonl:\d+, \S+:\d+, \S+:\d+, \S+:\d+\. Try a smaller --learning-rate/,
    );
    expect(steps()).toHaveLength(1);
    await expect(train(run, { ...absurd, resume: true })).rejects.toThrow(/^the last 2 updates/);
  });
});
