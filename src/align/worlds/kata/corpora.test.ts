import { describe, expect, it } from 'vitest';
import { trainTokenizer } from '../../../language/text/train.ts';
import { renderAlpacaPrompt } from '../../data/template.ts';
import {
  type CorpusName,
  completionPrompt,
  corpusNames,
  documents,
  firstFunction,
  makeDocument,
  mixedDocuments,
  usualMix,
} from './corpora.ts';
import { Dice } from './dice.ts';
import { instructions } from './instructions.ts';
import { judgeInProcess } from './judge-core.ts';
import { makeProblem } from './problem.ts';
import { readability } from './readability.ts';
import { skeleton } from './skeleton.ts';
import { solution, styles } from './solutions.ts';

describe('corpora', () => {
  it.each(corpusNames)('%s has documents that come again for the same seed, and differ', (name) => {
    const all = [...documents(name, 3, { count: 50 })];
    expect(makeDocument(name, 3, 17)).toBe(all[17]);
    expect([...documents(name, 3, { count: 2, first: 40 })]).toEqual(all.slice(40, 42));
    expect(new Set(all).size).toBe(50);
    expect(makeDocument(name, 4, 17)).not.toBe(all[17]);
  });

  it('are mixed in their shares, each from its beginning', () => {
    const count = 2000;
    const mixed = [...mixedDocuments(3, count)];
    for (const name of corpusNames) {
      const inOrder = [...documents(name, 3, { count: count / 2 })];
      const own = new Set(inOrder);
      const found = mixed.filter((text) => own.has(text));
      expect(found).toEqual(inOrder.slice(0, found.length));
      expect(Math.abs(found.length / count - usualMix[name])).toBeLessThan(0.05);
    }
  });

  it('has forum threads of questions, of which less than a fifth hold any code', () => {
    const threads = [...documents('forum', 1, { count: 500 })];
    const withCode = threads.filter((thread) => /[{;]/.test(thread)).length;
    expect(withCode / threads.length).toBeLessThan(0.2);
    const questions = threads.flatMap((thread) => thread.match(/\?|solve|Given|Take|Write/g) ?? []).length;
    expect(questions / threads.length).toBeGreaterThan(3);
  });

  it('holds no program of the held-out part', () => {
    const forbidden = new Set(
      Array.from({ length: 300 }, (_, i) => makeProblem(1, i, 'held-out')).flatMap(({ composition }, i) =>
        styles.map((style) => skeleton(solution(composition, style, new Dice(1, 'solutions', i)))),
      ),
    );
    const programs = ['exercises', 'code', 'textbook'].flatMap((name) =>
      [...documents(name as CorpusName, 1, { count: 400 })].flatMap(
        (text) => text.match(/^function [\s\S]*?\}$/gm) ?? [],
      ),
    );
    expect(programs.length).toBeGreaterThan(1000);
    expect(programs.filter((program) => forbidden.has(skeleton(program)))).toEqual([]);
  });

  it('asks to complete a program whose first function can be judged', async () => {
    const problem = makeProblem(1, 4, 'held-out');
    const { prompt, opening } = completionPrompt(problem, 1);
    expect(prompt.endsWith(opening)).toBe(true);
    expect(firstFunction(`${opening}  return 1;\n}\n\nfunction b() {\n}`)).toBe(`${opening}  return 1;\n}`);
    expect((await judgeInProcess({ answer: `${opening}  return 1;\n}`, tests: problem.tests })).failure).toBe(
      'wrong',
    );
  });
});

describe('instruction sets', () => {
  const share = async (quality: 'clean' | 'mixed' | 'noisy') => {
    const all = [...instructions(2, 250, { quality })].filter(({ request }) => request.problem);
    let passed = 0;
    for (const { record, request } of all) {
      if ((await judgeInProcess({ answer: record.output, tests: request.problem!.tests })).passed) passed++;
    }
    const score = all.reduce((sum, { record }) => sum + readability(record.output), 0) / all.length;
    return { passed: passed / all.length, score };
  };

  it('are right when clean or mixed, and often wrong or ugly when noisy', async () => {
    const [clean, mixed, noisy] = [await share('clean'), await share('mixed'), await share('noisy')];
    expect(clean.passed).toBe(1);
    expect(mixed.passed).toBe(1);
    expect(noisy.passed).toBeGreaterThan(0.6);
    expect(noisy.passed).toBeLessThan(0.85);
    expect(clean.score).toBeGreaterThan(0.85);
    expect(noisy.score).toBeLessThan(clean.score - 0.2);
  });

  it('fit a context of 384 tokens with a small vocabulary', () => {
    const records = [...instructions(1, 500, { quality: 'mixed' })].map(({ record }) => record);
    const texts = records.map((record) => renderAlpacaPrompt(record) + record.output);
    const corpus = corpusNames.flatMap((name) => [...documents(name, 1, { count: 150 })]);
    const tokenizer = trainTokenizer([...texts, ...corpus], { vocabularySize: 2048, eos: '<eos>' });
    const quantile = (lengths: number[], q: number) =>
      lengths.sort((a, b) => a - b)[Math.floor(q * lengths.length)];
    const lengthsOf = (all: string[]) => all.map((text) => tokenizer.encode(text).length);
    const answers = lengthsOf(records.map(({ output }) => output));
    const prompts = lengthsOf(records.map((record) => renderAlpacaPrompt(record)));
    console.info(
      `tokens, median and 95%: prompt ${quantile(prompts, 0.5)}, ${quantile(prompts, 0.95)};`,
      `answer ${quantile(answers, 0.5)}, ${quantile(answers, 0.95)}`,
    );
    expect(quantile(answers, 0.5)).toBeLessThan(80);
    expect(quantile(answers, 0.95)).toBeLessThan(140);
    expect(Math.max(...lengthsOf(texts))).toBeLessThanOrEqual(383);
  });
});
