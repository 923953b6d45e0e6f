import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeReport } from './report.ts';
import type { Report } from './report-json.ts';
import { made, PipelineWriter, type StageWriter } from './testing/pipeline-writer.ts';

const folders: string[] = [];
afterAll(() => folders.forEach((folder) => void rmSync(folder, { recursive: true })));

const interval = (value: number) => ({ value, low: value - 0.1, high: value + 0.1, n: 6 });
/** Answers without a world: each has a proxy and a length. */
const evaluation = (proxy: number) => (write: StageWriter) => {
  const answer = (index: number) => ({
    ...{ index, prompt: `Say ${index}.`, text: `said ${index}`, finish: 'stop', tokens: 4 + (index % 3) },
    ...{ proxy: proxy + index / 10, kl: 0.5 * proxy },
  });
  write.rows('answers.jsonl', [0, 1, 2, 3, 4, 5].map(answer));
  write.json('summary.json', {
    metrics: { proxy: interval(proxy), kl: interval(0.5 * proxy), eos_rate: interval(0.9) },
  });
};
const asked = (model: string) => ({ model: made(model), data: ['held-out.jsonl'], reward: made('taste') });
const steps = (metrics: Record<string, number>) =>
  [1, 2, 3].map((step) => ({
    type: 'step',
    step,
    loss: 1 / step,
    tokens: 10 * step,
    gradient_norm: 1,
    metrics,
  }));

async function reportOf(write: (pipeline: PipelineWriter) => void) {
  const folder = mkdtempSync(join(tmpdir(), 'heed-other-'));
  folders.push(folder);
  const pipeline = new PipelineWriter({ folder });
  write(pipeline);
  pipeline.finish();
  const { reportJson, html, markdown } = await writeReport(folder);
  const report: Report = JSON.parse(readFileSync(reportJson, 'utf8'));
  const sections = Array.from(readFileSync(html, 'utf8').matchAll(/<section id="([^"]*)"/g), ([, id]) => id);
  return { report, sections, english: readFileSync(markdown, 'utf8') };
}

describe('a recipe of two DPO stages and no PPO', () => {
  it('tells them apart by their names and compares both with the model that they started from', async () => {
    const { report, sections, english } = await reportOf((pipeline) => {
      const start = { tokens: 30, options: { model: made('llama'), data: ['a.jsonl'] } };
      pipeline.run('tune', 'sft', start, steps({}));
      for (const name of ['gentle', 'steep']) {
        const options = { model: made('tune'), data: ['pairs.jsonl'], beta: 0.1 };
        pipeline.run(name, 'dpo', { tokens_trained: 90, options }, steps({ 'rewards/accuracies': 0.7 }));
      }
      pipeline.stage('first', 'eval', { options: asked('tune') }, evaluation(1));
      pipeline.stage('second', 'eval', { options: asked('gentle') }, evaluation(1.5));
      pipeline.stage('third', 'eval', { options: asked('steep') }, evaluation(0.5));
    });
    expect(sections).toEqual(['headline', 'pipeline', 'curves', 'methods', 'distance', 'samples', 'costs']);
    expect(Object.keys(report.methods)).toEqual(['tune', 'gentle', 'steep']);
    expect([report.methods.gentle.against, report.methods.tune.against]).toEqual(['tune', undefined]);
    expect(report.methods.gentle.change!.proxy!.value).toBeCloseTo(0.5, 12);
    expect(english).toContain('- DPO (gentle): higher reward model score than SFT: +0.50');
    expect(english).toContain('- DPO (steep): lower reward model score than SFT: −0.50');
    expect(english).toContain('### Changes against SFT, paired');
    expect(english).toContain('- **DPO (steep): loss**');
    expect(english).toContain('Did the methods have the same budget?');
    expect(english).not.toMatch(/gold|pass rate|readability|coaching/i);
    expect(report).not.toHaveProperty('world');
  });
});

describe('a recipe of SFT and its evaluation', () => {
  it('shows what the evaluation holds', async () => {
    const { report, sections, english } = await reportOf((pipeline) => {
      const options = { model: made('llama'), data: ['a.jsonl'] };
      pipeline.run('tune', 'sft', { tokens: 30, options }, steps({}));
      pipeline.stage('look', 'eval', { options: asked('tune') }, evaluation(1));
    });
    expect(sections).toEqual(['headline', 'pipeline', 'curves', 'methods', 'samples', 'costs']);
    expect(report.samples.map(({ prompt }) => prompt)).toEqual(['Say 0.', 'Say 1.', 'Say 2.', 'Say 3.']);
    expect(english).toContain('Each model below was measured on 6 held-out requests.');
    expect(english).toMatch(/^\| SFT \| 1\.00 /m);
  });
});

describe('a recipe with a method that the report has never heard of', () => {
  it('has its curves, alarms, memory and comparison under the stage’s name', async () => {
    const memory = [
      { role: 'policy', weights_bytes: 4e8, optimizer_bytes: 8e8, shared: false },
      { role: 'reference', weights_bytes: 4e8, optimizer_bytes: 0, shared: true },
    ];
    const rollouts = [
      { type: 'started', step: 0, command: 'online-dpo', total_steps: 3, memory },
      ...steps({ 'objective/kl': 2, 'objective/scores': 1.5, length: 9 }),
      { type: 'alarm', step: 2, signals: [{ name: 'length', value: 90, high: 60 }], message: 'long' },
    ];
    const { report, sections, english } = await reportOf((pipeline) => {
      const tuned = { model: made('llama'), data: ['a.jsonl'] };
      pipeline.run('tune', 'sft', { tokens: 30, options: tuned }, steps({}));
      pipeline.stage('taste', 'reward', { tokens_trained: 5, options: tuned }, () => {});
      const options = { model: made('tune'), data: ['prompts.jsonl'], reward: [made('taste')] };
      pipeline.run('explore', 'online-dpo', { tokens_generated: 60, tokens_trained: 60, options }, rollouts);
      pipeline.stage('before', 'eval', { options: asked('tune') }, evaluation(1));
      pipeline.stage('after', 'eval', { options: asked('explore') }, evaluation(2));
      // Asked otherwise than the start model was: of no comparison.
      const colder = { ...asked('explore'), temperature: 0 };
      pipeline.stage('greedy', 'eval', { options: colder }, evaluation(3));
    });
    expect(sections).toContain('hacking');
    expect(Object.keys(report.methods)).toEqual(['tune', 'explore', 'greedy']);
    expect(report.methods.explore.change!.proxy!.value).toBeCloseTo(1, 12);
    expect(report.methods.greedy).not.toHaveProperty('change');
    expect(report.curves.explore['objective/kl'].values).toEqual([2, 2, 2]);
    expect(report.overoptimisation.explore.proxy[0]).toEqual({ distance: Math.sqrt(2), value: 1.5 });
    expect(report.alarms).toEqual({ explore: [expect.objectContaining({ step: 2 })] });
    expect(english).toContain('| explore | 2 | length 90 \\> 60 |');
    expect(english).toContain('| explore | policy | 400 MB | 800 MB |');
    expect(english).toContain('| explore | reference | shared | – |');
    expect(english).toMatch(/^\d+\. explore · online-dpo · /m);
  });
});

describe('a recipe whose methods lack a KL penalty, or follow each other', () => {
  it('names the first and compares the second with the model before both', async () => {
    const { report, english } = await reportOf((pipeline) => {
      const tuned = { model: made('llama'), data: ['a.jsonl'] };
      pipeline.run('tune', 'sft', { tokens: 30, options: tuned }, steps({}));
      const loose = { model: made('tune'), data: ['p.jsonl'], beta: 0 };
      pipeline.run('loose', 'ppo', { tokens_trained: 9, options: loose }, steps({ 'objective/kl': 1 }));
      const again = { model: made('loose'), data: ['p.jsonl'], beta: 0.1 };
      pipeline.run('again', 'ppo', { tokens_trained: 9, options: again }, steps({ 'objective/kl': 1 }));
      pipeline.stage('one', 'eval', { options: asked('tune') }, evaluation(1));
      pipeline.stage('two', 'eval', { options: asked('again') }, evaluation(2));
    });
    expect(report.methods.again.against).toBe('tune');
    expect(report.stages.find(({ name }) => name === 'loose')).toMatchObject({ has_no_kl_penalty: true });
    expect(english).toContain('- monitor: PPO without KL penalty: **not flagged** (no alarm)');
    expect(english).toContain('- PPO: no alarm.');
  });
});
