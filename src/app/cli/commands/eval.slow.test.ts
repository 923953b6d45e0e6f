import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer } from '../../../align/evaluation/answers.ts';
import { randomParameters, saveTinyModel, tinyConfig } from '../../../align/run/testing/tiny-run.ts';
import { saveModel } from '../../../language/checkpoint/checkpoint.ts';
import { runHeed } from '../testing/run-heed.ts';

let folder: string;
const config = tinyConfig('llama', { maxPositions: 512 });
const idRows = [5, 60, 115, 170].map((first) => ({ prompt_ids: [1, first, first + 1, first + 2] }));
const programs = [
  { instruction: 'Write solve(list).', kind: 'program', problem: 'kata-held-out-0-0' },
  { instruction: 'Solve it.', input: 'Sum a list.', kind: 'program', problem: 'kata-held-out-0-1' },
  { instruction: 'Explain.', input: 'a + b', kind: 'explain' },
];
const coaching = ['no', 'no', 'yes'].map((pass) => ({
  ...{ instruction: 'What first?', input: `solved: ${pass}`, kind: 'coach' },
  answer: `start with: loops\npass: ${pass}`,
}));

const put = (name: string, rows: readonly object[]) =>
  writeFileSync(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-eval-command-'));
  const model = await saveTinyModel(join(folder, 'model'), config);
  await saveModel(join(folder, 'other'), { ...model, parameters: randomParameters(config, 2) });
  // A head without weights: every answer's score is the bias.
  const parameters = new Map([...model.parameters, ['score.weight', new Float32Array(32)] as const]);
  parameters.set('score.bias', Float32Array.of(0.25));
  await saveModel(join(folder, 'reward'), { ...model, kind: 'reward', parameters });
  await saveTinyModel(join(folder, 'short'), { ...config, maxPositions: 8 });
  put('ids.jsonl', idRows);
  put('programs.jsonl', programs);
  put('coaching.jsonl', coaching);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const common = ['--max-tokens', '12', '--threads', '1', '--json'];
const heed = (...words: string[]) => runHeed(words, folder);
const evaluate = (out: string, ...words: string[]) =>
  heed('eval', '--model', 'model', '--out', out, ...common, ...words);
const answersOf = (out: string): Answer[] =>
  readFileSync(join(folder, out, 'answers.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const read = (out: string, name: string) => readFileSync(join(folder, out, name), 'utf8');

describe('heed eval', () => {
  it('measures the divergence that heed generate and heed score give apart', async () => {
    const words = ['--data', 'ids.jsonl', '--seed', '3'];
    const run = await evaluate('apart', ...words, '--reference', 'other', '--reward', 'reward');
    const generated = await heed('generate', '--model', 'model', ...words, ...common);
    const { completions } = JSON.parse(generated.stdout) as {
      completions: { text: string; ids: number[]; raw_log_probs: number[] }[];
    };
    put(
      'sampled.jsonl',
      completions.map(({ ids }, i) => ({ ...idRows[i], completion_ids: ids })),
    );
    const scored = await heed('score', '--model', 'other', '--data', 'sampled.jsonl', '--json');
    const { rows } = JSON.parse(scored.stdout) as { rows: { completion_logp: number }[] };
    expect([run.code, generated.code, scored.code]).toEqual([0, 0, 0]);
    const answers = answersOf('apart');
    expect(answers.map(({ text }) => text)).toEqual(completions.map(({ text }) => text));
    answers.forEach(({ kl, proxy, tokens }, i) => {
      const own = completions[i].raw_log_probs.reduce((sum, x) => sum + x, 0);
      expect(kl).toBeCloseTo(own - rows[i].completion_logp, 3);
      expect([proxy, tokens]).toEqual([0.25, completions[i].ids.length]);
    });
    const { metrics } = JSON.parse(run.stdout);
    const mean = answers.reduce((sum, { kl }) => sum + kl!, 0) / answers.length;
    expect(metrics.kl.value).toBeCloseTo(mean, 9);
    expect(Math.abs(metrics.kl.value)).toBeGreaterThan(1e-3);
  });

  it('gives a divergence of exactly 0 from the model itself, and the same files again', async () => {
    const words = ['--data', 'programs.jsonl', 'coaching.jsonl', '--world', 'kata', '--reference', 'model'];
    const runs = [await evaluate('one', ...words), await evaluate('two', ...words, '--threads', '2')];
    expect(runs.map(({ code }) => code)).toEqual([0, 0]);
    expect(answersOf('one').map(({ kl }) => kl)).toEqual([0, 0, 0, ...Array(3).fill(undefined)]);
    expect(read('two', 'answers.jsonl')).toBe(read('one', 'answers.jsonl'));
    expect(read('two', 'summary.json')).toBe(read('one', 'summary.json'));
    const { out, is_reused, ...summary } = JSON.parse(runs[0].stdout);
    expect([out, is_reused]).toEqual(['one', false]);
    expect(summary).toEqual(JSON.parse(read('one', 'summary.json')));
  });

  it('judges each row by its kind, and sets coaching against the commonest advice', () => {
    const summary = JSON.parse(read('one', 'summary.json'));
    expect(summary).toMatchObject({ model: 'model', n: 6, faults: 0 });
    expect(summary.metrics).toMatchObject({
      pass_rate: { value: 0, n: 2 },
      gold: { value: 0, n: 2 },
      kl: { value: 0, low: 0, high: 0, n: 3 },
      length: { n: 3 },
    });
    expect(summary.coaching).toMatchObject({
      right: { value: 0, n: 3 },
      majority: { value: expect.closeTo(2 / 3, 9), n: 3 },
    });
    const [program, , explanation, coach] = answersOf('one');
    expect(program).toMatchObject({
      index: 0,
      kind: 'program',
      problem: 'kata-held-out-0-0',
      passed: 0,
      gold: 0,
    });
    expect(explanation).not.toHaveProperty('passed');
    expect(coach).toMatchObject({ index: 3, kind: 'coach', prompt: 'What first?\n\nsolved: no', right: 0 });
  });

  it('scores programs to the same bit beside coaching, and spends nothing on coaching itself', async () => {
    const words = ['--world', 'kata', '--reference', 'other', '--reward', 'reward'];
    await evaluate('alone', '--data', 'programs.jsonl', ...words);
    await evaluate('beside', '--data', 'programs.jsonl', 'coaching.jsonl', ...words);
    const [alone, beside] = ['alone', 'beside'].map(answersOf);
    expect(beside.slice(0, 3)).toEqual(alone);
    expect(alone.map(({ kl, proxy }) => [typeof kl, proxy])).toEqual(Array(3).fill(['number', 0.25]));
    for (const coach of beside.slice(3)) {
      expect(coach).toMatchObject({ kind: 'coach', right: 0 });
      expect(coach).not.toHaveProperty('kl');
      expect(coach).not.toHaveProperty('proxy');
    }
    const metricsOf = (out: string) => JSON.parse(read(out, 'summary.json')).metrics;
    expect(metricsOf('beside')).toEqual(metricsOf('alone'));
  });

  it('puts requests as plain texts with --continuation', async () => {
    const { code } = await evaluate('continued', '--data', 'programs.jsonl', '--continuation', '--seed', '5');
    const plain = ['--prompt', 'Write solve(list).', '--template', 'none', '--seed', '5'];
    const { stdout } = await heed('generate', '--model', 'model', ...plain, ...common);
    expect(code).toBe(0);
    expect(answersOf('continued')[0].text).toBe(JSON.parse(stdout).completions[0].text);
    expect(JSON.parse(read('continued', 'summary.json')).metrics.continues).toMatchObject({ value: 1, n: 3 });
  });

  it('counts faulty rows in the index, so that it is the same for every model', async () => {
    put('faulty.jsonl', [{ instruction: '' }, programs[0], programs[1]]);
    const { code, stderr } = await evaluate('faulty', '--data', 'faulty.jsonl');
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(/faulty\.jsonl:1: skipped: the instruction is/),
    ]);
    expect(answersOf('faulty').map(({ index }) => index)).toEqual([1, 2]);
    expect(JSON.parse(read('faulty', 'summary.json')).faults).toBe(1);
  });

  it('gives a finished evaluation again with --resume, and refuses anything else in its folder', async () => {
    const words = ['--data', 'programs.jsonl'];
    const first = await evaluate('again', ...words);
    const resumed = await evaluate('again', ...words, '--resume');
    expect(JSON.parse(resumed.stdout)).toEqual({ ...JSON.parse(first.stdout), is_reused: true });
    expect(resumed.stderr).toContain('again: finished already; nothing to do');
    const refusals = [
      [await evaluate('again', ...words), /got a finished evaluation\. Try --resume/],
      [await evaluate('again', ...words, '--resume', '--seed', '1'), /got one with another seed/],
      [
        await evaluate('model', ...words, '--resume'),
        /model: expected a new or empty folder, got other files/,
      ],
    ] as const;
    for (const [{ code, stderr }, message] of refusals) {
      expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
    }
    put('programs.jsonl', programs.toReversed());
    const changed = await evaluate('again', ...words, '--resume');
    put('programs.jsonl', programs);
    expect(changed.stderr).toMatch(/got one of a model or data that have changed since/);
  });

  it.each([
    [['--reward', 'model'], /model: expected a reward model, got a base model/],
    [['--reference', 'reward'], /reward: expected a base or policy model, got a reward model/],
    [['--reference', 'short'], /short: expected a context of at least \d+ tokens/],
    [['--world', 'katana'], /--world: expected one of kata/],
  ])('refuses %j before or instead of writing', async (words, message) => {
    const { code, stderr } = await evaluate('refused', '--data', 'ids.jsonl', ...words);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
    expect(() => read('refused', 'summary.json')).toThrow();
  });
});

describe('heed compare', () => {
  it('shows the changes between two evaluations, and refuses one of other requests', async () => {
    const data = ['--data', 'programs.jsonl', 'coaching.jsonl', '--world', 'kata'];
    await heed('eval', '--model', 'other', '--out', 'second', ...common, ...data);
    const shown = await heed('compare', '--evals', 'second', '--baseline', 'one');
    expect(shown.stdout).toMatch(/^second +pass_rate +0\.000 \[-\d\.\d{3}, \+\d\.\d{3}\] +2$/m);
    expect(shown.stdout).toMatch(/^second +coaching right +0\.000 \[.*\] +3$/m);
    const { stdout } = await heed('compare', '--evals', 'second', '--baseline', 'one', '--json');
    const { baseline, comparisons } = JSON.parse(stdout);
    expect([baseline, comparisons[0].evals, comparisons[0].n]).toEqual(['one', 'second', 6]);
    const lengths = ['second', 'one'].map((out) =>
      answersOf(out)
        .slice(0, 3)
        .reduce((sum, { tokens }) => sum + tokens, 0),
    );
    expect(comparisons[0].changes.length.value).toBeCloseTo((lengths[0] - lengths[1]) / 3, 9);
    const other = await heed('compare', '--evals', 'apart', '--baseline', 'one');
    expect([other.code, other.stderr]).toEqual([
      1,
      expect.stringMatching(/^error: apart: expected answers to the requests of one, got /),
    ]);
  });
});
