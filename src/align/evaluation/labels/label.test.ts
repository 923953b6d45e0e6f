import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModelTokenizer } from '../../../language/checkpoint/model-tokenizer.ts';
import { loadInstructionRows } from '../../data/load.ts';
import { renderAlpacaPrompt } from '../../data/template.ts';
import { saveTinyModel, tinyConfig } from '../../run/testing/tiny-run.ts';
import type { SampledAnswer } from './answer-log.ts';
import type { Judgement } from './comparisons.ts';
import { type LabelResult, labelPrompts } from './label.ts';
import type { LabelEvent, LabelOptions } from './label-options.ts';
import type { Preference, Ranking } from './preferences.ts';

let folder: string;
let model: string;
const config = tinyConfig('llama', { maxPositions: 512, initializerRange: 0.3 });
const rows = Array.from({ length: 20 }, (_, i) => ({
  instruction: i % 3 === 0 ? `숫자 ${i}을 두 배로 만드세요.` : `Double ${i}.`,
  ...(i % 4 === 0 && { input: `n = ${i}` }),
  kind: 'program',
  problem: `kata-train-1-${i}`,
}));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-label-'));
  model = join(folder, 'model');
  await saveTinyModel(model, config);
  writeFileSync(join(folder, 'prompts.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
});
afterAll(() => rmSync(folder, { recursive: true }));

const options = (out: string, changes: Partial<LabelOptions> = {}): LabelOptions => ({
  model,
  data: [join(folder, 'prompts.jsonl')],
  out: join(folder, out),
  template: 'alpaca',
  samples: 3,
  annotator: 'usual',
  annotators: 1,
  overlap: 0.2,
  temperature: 1,
  maxTokens: 12,
  seed: 4,
  device: 'cpu',
  threads: 1,
  // Six prompts a step, so that there are four.
  generationBatchSize: 1,
  resume: false,
  strict: false,
  ...changes,
});
const label = (
  out: string,
  changes: Partial<LabelOptions> = {},
  emit: (event: LabelEvent) => void = () => {},
  signal = new AbortController().signal,
): Promise<LabelResult> => labelPrompts(options(out, changes), { emit, signal });
const read = <T>(out: string, name: string): T[] =>
  readFileSync(join(folder, out, name), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const results = ['answers.jsonl', 'labels.jsonl', 'preferences.jsonl', 'rankings.jsonl', 'report.json'];
const bytes = (out: string) => results.map((name) => readFileSync(join(folder, out, name), 'utf8'));

describe('labelling', () => {
  let result: LabelResult;
  let answers: SampledAnswer[];
  let judgements: Judgement[];
  let preferences: Preference[];
  beforeAll(async () => {
    result = await label('labels');
    answers = read('labels', 'answers.jsonl');
    judgements = read('labels', 'labels.jsonl');
    preferences = read('labels', 'preferences.jsonl');
  });

  it('samples every prompt, Korean ones too, in order', () => {
    expect(answers.map(({ index, sample }) => [index, sample])).toEqual(
      rows.flatMap((_, index) => [0, 1, 2].map((sample) => [index, sample])),
    );
    expect(answers.map(({ step }) => step)).toEqual(
      rows.flatMap((_, index) => Array(3).fill(1 + Math.floor(index / 6))),
    );
    expect(answers[9].problem).toBe('kata-train-1-3');
    expect(result.tokensGenerated).toBe(answers.reduce((sum, { ids }) => sum + ids.length, 0));
  });

  it('holds the prompt as the model was given it, and ids as they were sampled', async () => {
    const { prompts: tokenizer } = await loadModelTokenizer(model);
    const texts = rows.map((row) => renderAlpacaPrompt(row));
    for (const { prompt, prompt_ids, chosen_ids, rejected_ids, chosen, problem } of preferences) {
      const index = texts.indexOf(prompt);
      expect(problem).toBe(`kata-train-1-${index}`);
      expect(tokenizer.decode(prompt_ids)).toContain(prompt);
      const own = answers.filter((answer) => answer.index === index);
      expect(own.find(({ ids }) => String(ids) === String(chosen_ids))?.text).toBe(chosen);
      expect(own.map(({ ids }) => String(ids))).toContain(String(rejected_ids));
    }
    expect(preferences.some(({ prompt }) => /두 배로/.test(prompt))).toBe(true);
  });

  it('has preferences whose texts tokenize to their ids again', async () => {
    // As training reads a preference without ids: prompt and answer are texts, and EOS is appended.
    const { tokenizer } = await loadModelTokenizer(model);
    const file = join(folder, 'texts.jsonl');
    const [{ prompt, prompt_ids }] = preferences;
    writeFileSync(file, `${JSON.stringify({ prompt, completion: 'cat' })}\n`);
    const { rows: read } = await loadInstructionRows([file], tokenizer, {
      maxLength: 512,
      truncation: 'drop',
      vocabularySize: 290,
      strict: true,
      onFault: () => {},
    });
    expect(Array.from(read[0].ids.subarray(0, prompt_ids.length))).toEqual(prompt_ids);
  });

  it('makes a preference of every judgement but ties, and says so', () => {
    const told = judgements.filter(({ choice }) => choice !== 'tie');
    expect(preferences).toHaveLength(told.length);
    expect(told.length).toBeGreaterThan(20);
    const { counts, shares } = result.report;
    expect(counts).toMatchObject({
      prompts: 20,
      faults: 0,
      answers: 60,
      judgements: judgements.length,
      preferences: told.length,
      rankings: read('labels', 'rankings.jsonl').length,
    });
    expect(shares.ties?.n).toBe(judgements.length);
    const times = judgements.map(({ seconds }) => seconds!).toSorted((a, b) => a - b);
    expect(times[0]).toBeGreaterThan(0);
    expect(result.report.median_seconds).toBe(times[Math.floor(times.length / 2)]);
    const first = told.filter(({ choice }) => choice === 'first').length;
    expect(shares.first_shown?.value).toBe(first / told.length);
  });

  it('goes by the criterion alone when annotators are careful', async () => {
    const { report } = await label('careful', { annotator: 'careful' });
    expect(report.shares.agree_with_criterion?.value).toBe(1);
    expect(report.readability.chosen).toBeGreaterThan(report.readability.rejected!);
    const criterion = new Map(answers.map(({ text, readability }) => [text, readability]));
    for (const { ranked } of read<Ranking>('careful', 'rankings.jsonl')) {
      const scores = ranked.map((text) => criterion.get(text)!);
      expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    }
    // The same answers: annotators do not change what is sampled.
    expect(bytes('careful')[0]).toBe(bytes('labels')[0]);
  });

  it('reports how often people agree with each other and with the criterion', async () => {
    const changes = { annotator: 'careful', annotators: 2, overlap: 1, flipRate: 0.5 } as const;
    const { report } = await label('two', changes);
    expect(report.counts.judgements).toBe(2 * report.counts.pairs);
    const { agree_with_each_other: each, agree_with_criterion: criterion } = report.shares;
    expect(each?.n).toBe(report.counts.pairs);
    expect(Math.abs(criterion!.value - 0.5)).toBeLessThan(0.25);
    expect(report.counts.preferences).toBeLessThan(report.counts.pairs);
  });

  it('ranks nothing when not all pairs are judged, and judges as many as told', async () => {
    const { report } = await label('few', { pairs: 1 });
    expect([report.counts.pairs, report.counts.rankings]).toEqual([20, 0]);
    expect(readdirSync(join(folder, 'few'))).not.toContain('rankings.jsonl');
  });

  it('sets rows without a prompt aside, and refuses data without any', async () => {
    const data = [join(folder, 'faulty.jsonl')];
    writeFileSync(data[0], '{"instruction": "a"}\n{"output": "b"}\n{"instruction": "c"}\n');
    const faults: LabelEvent[] = [];
    const { report } = await label('faulty', { data }, (event) => {
      if (event.type === 'fault') faults.push(event);
    });
    expect([report.counts.prompts, report.counts.faults, faults.length]).toEqual([2, 1, 1]);
    writeFileSync(data[0], '{"output": "b"}\n');
    await expect(label('none', { data })).rejects.toThrow(/at least one row with a prompt, got none/);
    expect(readdirSync(folder)).not.toContain('none');
  });
});

describe('labelling that was stopped', () => {
  /** Copies the whole run and makes it look as a kill left it. */
  const killed = (out: string, leave: (path: (name: string) => string) => void) => {
    cpSync(join(folder, 'whole'), join(folder, out), { recursive: true });
    const path = (name: string) => join(folder, out, name);
    for (const name of ['preferences.jsonl', 'rankings.jsonl', 'report.json']) rmSync(path(name));
    leave(path);
  };
  const keep = (path: string, share: number) => {
    const text = readFileSync(path);
    writeFileSync(path, text.subarray(0, Math.floor(text.length * share)));
  };
  const resume = (out: string, changes: Partial<LabelOptions> = {}) =>
    label(out, { resume: true, annotators: 2, ...changes });
  beforeAll(() => label('whole', { annotators: 2 }));

  it.each([0, 0.5, 0.99])('in %s of its answers ends as if it had not been', async (share) => {
    const out = `answers-${share}`;
    killed(out, (path) => {
      keep(path('answers.jsonl'), share);
      rmSync(path('labels.jsonl'));
    });
    await resume(out);
    expect(bytes(out)).toEqual(bytes('whole'));
  });

  it.each([0.4, 1])('in %s of its labels ends as if it had not been', async (share) => {
    const out = `labels-${share}`;
    killed(out, (path) => keep(path('labels.jsonl'), share));
    await resume(out);
    expect(bytes(out)).toEqual(bytes('whole'));
  });

  it('by an older version, whose labels have no time, keeps them and goes on', async () => {
    killed('timeless', (path) => {
      const lines = readFileSync(path('labels.jsonl'), 'utf8').split('\n').slice(0, 10);
      const timeless = lines.map((line) => JSON.stringify({ ...JSON.parse(line), seconds: undefined }));
      writeFileSync(path('labels.jsonl'), `${timeless.join('\n')}\n`);
    });
    await resume('timeless');
    const withoutTimes = (out: string) =>
      read<Judgement>(out, 'labels.jsonl').map(({ seconds, ...rest }) => rest);
    expect(withoutTimes('timeless')).toEqual(withoutTimes('whole'));
    const times = read<Judgement>('timeless', 'labels.jsonl').map(({ seconds }) => seconds !== undefined);
    expect([times.indexOf(true), times.lastIndexOf(false)]).toEqual([10, 9]);
    expect(bytes('timeless').slice(2)).toEqual(bytes('whole').slice(2));
  });

  it('before anything was sampled ends as if it had not been', async () => {
    killed('early', (path) => {
      for (const name of ['answers.jsonl', 'labels.jsonl', 'inputs.json']) rmSync(path(name));
    });
    await resume('early');
    expect(bytes('early')).toEqual(bytes('whole'));
  });

  it('samples no whole step again', async () => {
    killed('steps', (path) => keep(path('answers.jsonl'), 0.8));
    const done: number[] = [];
    await label('steps', { resume: true, annotators: 2 }, (event) => {
      if (event.type === 'progress') done.push(event.answers);
    });
    expect([done[0], done.at(-1)]).toEqual([37, 60]);
  });

  it('by a signal keeps what was sampled', async () => {
    const stop = new AbortController();
    const emit = (event: LabelEvent) => {
      if (event.type === 'progress' && event.answers === 30) stop.abort();
    };
    await expect(label('aborted', { annotators: 2 }, emit, stop.signal)).rejects.toThrow(/aborted/);
    expect(read('aborted', 'answers.jsonl')).toHaveLength(18);
    await resume('aborted');
    expect(bytes('aborted')).toEqual(bytes('whole'));
  });

  it('after its end gives its report again', async () => {
    const again = await resume('whole');
    expect(again.isReused).toBe(true);
    expect(again.report).toEqual(JSON.parse(bytes('whole')[4]));
  });

  it('refuses to go on with other options, a changed model or changed data, or without --resume', async () => {
    await expect(label('whole', { annotators: 2 })).rejects.toThrow(/the folder of another run/);
    await expect(resume('whole', { seed: 5 })).rejects.toThrow(/another seed/);
    const data = [join(folder, 'changing.jsonl')];
    cpSync(join(folder, 'prompts.jsonl'), data[0]);
    await label('changing', { data, pairs: 1 });
    appendFileSync(data[0], '{"instruction": "one more"}\n');
    await expect(label('changing', { data, pairs: 1, resume: true })).rejects.toThrow(
      /got another content of data 1/,
    );
  });
});
