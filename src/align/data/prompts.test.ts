import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainTokenizer } from '../../language/text/train.ts';
import { readPrompts, tokenizePlainPrompt } from './prompts.ts';
import type { PromptTemplate } from './tokenize.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-prompts-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const tokenizer = trainTokenizer(['### Instruction: say'], {
  vocabularySize: 300,
  eos: '</s>',
  pad: '<pad>',
});
async function read(row: object, template: PromptTemplate = 'none') {
  const path = join(folder, 'rows.jsonl');
  writeFileSync(path, JSON.stringify(row));
  const faults: string[] = [];
  const limits = { template, context: 1000, vocabularySize: 300, tokenizer: () => tokenizer };
  const prompts = [];
  for await (const prompt of readPrompts(path, { ...limits, onFault: ({ reason }) => faults.push(reason) })) {
    prompts.push(prompt);
  }
  return { faults, prompt: prompts[0] };
}
const turns = (...contents: string[]) =>
  contents.map((content, i) => ({ role: i % 2 ? 'assistant' : 'user', content }));

describe('the prompt of a row', () => {
  it.each([
    ['beside columns for rewards', { prompt: 'p', question: 'q', answer: '4', text: 't', solution: 's' }],
    ['beside its answers', { prompt: 'p', chosen: 'a', rejected: 'b', label: true }],
    [
      'beside columns of other forms',
      { prompt: 'p', messages: null, instruction: null, completion: null, chosen: null },
    ],
  ])('is its prompt %s', async (_, row) => {
    for (const template of ['none', 'alpaca'] as const) {
      const { faults, prompt } = await read(row, template);
      expect(faults).toEqual([]);
      expect(prompt).toMatchObject({ text: 'p', ids: tokenizePlainPrompt('p', template, tokenizer), row });
    }
  });

  it.each([
    ['a question', { question: 'q', answer: 'a' }, 'q'],
    ['an input', { input: 'q', output: 'a' }, 'q'],
    ['an instruction with its input', { instruction: 'q', input: 'x', output: 'a' }, 'q\n\nx'],
    ['turns', { prompt: turns('a', 'b', 'q') }, 'q'],
    ['a conversation up to its answer', { messages: turns('q', 'b') }, 'q'],
    ['a conversation that ends with a question', { messages: turns('a', 'b', 'q') }, 'q'],
    ['what two conversations begin with', { chosen: turns('q', 'a'), rejected: turns('q', 'b') }, 'q'],
  ])('is %s', async (_, row, text) => {
    expect(await read(row)).toMatchObject({ faults: [], prompt: { text } });
  });

  it('holds the whole conversation where that ends with a question', async () => {
    const { prompt } = await read({ messages: turns('a', 'b', 'q') });
    const text = tokenizer.decode(prompt.ids);
    expect(['a', 'b', 'q'].every((content) => text.includes(`:\n${content}`))).toBe(true);
  });

  it.each([
    [{ answer: 'a' }, /^none of the keys prompt_ids, prompt, /],
    [{ prompt: 'p', tools: [{ name: 'f' }] }, /^tools: not read/],
    [{ prompt: 'p', images: ['a.png'] }, /^images: not read/],
    [{ prompt: '' }, /^the prompt is empty/],
    [[1], /^expected an object/],
  ])('is missed in %j', async (row, reason) => {
    expect((await read(row)).faults).toEqual([expect.stringMatching(reason)]);
  });
});
