import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyFolder } from '../../../language/checkpoint/commit.ts';
import { adviceIn, isRightAdvice, makeCoachingRequest } from './coaching.ts';
import { type KataOptions, type KataProgress, writeKata } from './datasets.ts';
import { Dice } from './dice.ts';
import { judgeInProcess } from './judge-core.ts';
import { problemById } from './problem.ts';
import { solution } from './solutions.ts';

interface Row {
  instruction: string;
  input?: string;
  output: string;
  kind: string;
  problem: string;
  answer: string;
  text: string;
}

let folder: string;
const events: KataProgress[] = [];
const options = (changes: Partial<KataOptions> = {}): KataOptions => ({
  out: join(folder, 'kata'),
  seed: 5,
  instructions: 300,
  quality: 'mixed',
  coachingShare: 0.06,
  prompts: 120,
  problems: 60,
  coaching: 40,
  documents: 0,
  ...changes,
});
const write = (changes: Partial<KataOptions> = {}) =>
  writeKata(options(changes), {
    emit: (event) => events.push(event),
    signal: new AbortController().signal,
  });
const read = (name: string, out = join(folder, 'kata')): Row[] =>
  readFileSync(join(out, name), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const asked = ({ instruction, input }: Row) => JSON.stringify([instruction, input]);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-kata-'));
  await write();
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the files of a kata study', () => {
  it('are what was asked for, under a manifest', async () => {
    expect(readdirSync(join(folder, 'kata')).sort()).toEqual([
      'held-out-coaching.jsonl',
      'held-out.jsonl',
      'instructions.jsonl',
      'manifest.json',
      'overlap.json',
      'prompts.jsonl',
      'recipe.yaml',
    ]);
    expect(await verifyFolder(join(folder, 'kata'))).toBe('complete');
    expect(events.at(-1)).toEqual({ done: 580, total: 580 });
  });

  it('name problems of their part, whose tests judge an answer', async () => {
    const prompts = read('prompts.jsonl');
    const heldOut = read('held-out.jsonl');
    expect([prompts.length, heldOut.length]).toEqual([120, 60]);
    expect(new Set(prompts.map(({ problem }) => problemById(problem).split))).toEqual(new Set(['train']));
    for (const { problem } of heldOut) {
      const { split, composition, tests } = problemById(problem);
      const answer = solution(composition, 'clear', new Dice(1, 'solutions', 0));
      expect([split, (await judgeInProcess({ answer, tests })).passed]).toEqual(['held-out', true]);
    }
    const kinds = new Set([...prompts, ...heldOut].map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual(['program', 'program-from-input']);
  });

  it('ask nothing twice, and no prompt that a demonstration answers', () => {
    const training = read('instructions.jsonl').map(asked);
    const prompts = read('prompts.jsonl').map(asked);
    const heldOut = read('held-out.jsonl').map(asked);
    expect(new Set([...prompts, ...heldOut]).size).toBe(180);
    expect([...prompts, ...heldOut].filter((text) => training.includes(text))).toEqual([]);
  });

  it('have coaching requests with the right advice, of records that training never has', () => {
    const coaching = read('held-out-coaching.jsonl');
    const made = makeCoachingRequest(5, 0, 'held-out', 'held-out');
    expect(coaching[0]).toEqual({
      kind: 'coach',
      instruction: made.instruction,
      input: made.input,
      answer: adviceIn(made.answer),
    });
    expect(isRightAdvice(made, coaching[0].answer)).toBe(true);
    const records = new Set(read('instructions.jsonl').map(({ input }) => input));
    expect(coaching.filter(({ input }) => records.has(input))).toEqual([]);
  });

  it('cannot be answered from memory', () => {
    const overlap = JSON.parse(readFileSync(join(folder, 'kata/overlap.json'), 'utf8'));
    expect(overlap).toMatchObject({ held_out_programs: 60, equal_after_renaming: 0 });
    expect(overlap.retrieval_pass_rate).toBe(overlap.retrieval_passed / 60);
    expect(overlap.retrieval_passed).toBeLessThan(9);
    expect(overlap.training_programs).toBeGreaterThan(240);
  });

  it('coach as often as told', async () => {
    const out = join(folder, 'coaching');
    await write({ out, coachingShare: 0.5, prompts: 0, problems: 1 });
    const coaches = read('instructions.jsonl', out).filter(({ output }) => /^start with: /m.test(output));
    expect(coaches.length / 300).toBeCloseTo(0.5, 1);
  });

  it('have the same bytes again, in place of the earlier ones, and others for another seed', async () => {
    const names = ['instructions.jsonl', 'prompts.jsonl', 'held-out.jsonl', 'corpus.jsonl', 'overlap.json'];
    const small = { out: join(folder, 'again'), instructions: 20, prompts: 10, problems: 5, documents: 30 };
    const bytes = () => names.map((name) => readFileSync(join(small.out, name), 'utf8'));
    await write(small);
    const first = bytes();
    await write(small);
    expect(bytes()).toEqual(first);
    await write({ ...small, seed: 6 });
    expect(
      bytes()
        .slice(0, 4)
        .filter((text) => first.includes(text)),
    ).toEqual([]);
  });

  it('bring the prompt template beside a corpus, with input and without', async () => {
    const out = join(folder, 'template');
    await write({ out, instructions: 1, prompts: 0, problems: 1, coaching: 0, documents: 200 });
    const texts = read('template.jsonl', out).map((row) => `${(row as { text?: unknown }).text}`);
    expect(texts).toHaveLength(4);
    expect(texts[0]).toMatch(/^Below is an instruction.*### Instruction:.*### Input:.*### Response:\n$/s);
    expect(texts[1]).not.toContain('### Input:');
  });

  it('never take the place of anything else', async () => {
    const out = join(folder, 'model');
    mkdirSync(out);
    writeFileSync(join(out, 'manifest.json'), '{"version": 1, "files": []}');
    await expect(write({ out })).rejects.toThrow(
      /expected a new or empty folder, or one that heed kata wrote/,
    );
    expect(readdirSync(out)).toEqual(['manifest.json']);
  });

  it('are not half there when the making is stopped', async () => {
    const out = join(folder, 'stopped');
    const stop = new AbortController();
    const job = writeKata(options({ out }), { emit: () => stop.abort(), signal: stop.signal });
    await expect(job).rejects.toBe(stop.signal.reason);
    expect(readdirSync(folder).filter((name) => name.includes('stopped'))).toEqual([]);
  });
});
