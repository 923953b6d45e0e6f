import { describe, expect, it } from 'vitest';
import { recognise } from './records.ts';

describe('recognise', () => {
  it.each([
    [
      { instruction: 'i', input: '', output: 'o', text: 't' },
      { kind: 'alpaca', instruction: 'i', input: '', output: 'o', text: 't' },
    ],
    [
      { instruction: 'i', input: null, output: 'o', id: 9 },
      { kind: 'alpaca', instruction: 'i', output: 'o' },
    ],
    [
      { prompt: 'p', completion: 'c' },
      { kind: 'completion', prompt: 'p', completion: 'c' },
    ],
    [
      { prompt_ids: [1, 2], completion_ids: [3] },
      { kind: 'tokens', promptIds: [1, 2], completionIds: [3] },
    ],
    [
      { prompt: 'p', completion: 'c', label: false },
      { kind: 'completion', prompt: 'p', completion: 'c', label: false },
    ],
    [
      { prompt_ids: [1], completion_ids: [2], label: true },
      { kind: 'tokens', promptIds: [1], completionIds: [2], label: true },
    ],
    [
      { prompt: 'p', completion: 'c', label: 'class 3' },
      { kind: 'completion', prompt: 'p', completion: 'c' },
    ],
    [
      {
        prompt: 'ignored',
        messages: [
          { role: 'developer', content: 's' },
          {
            role: 'user',
            content: [
              { type: 'text', text: 'a' },
              { type: 'text', text: 'b' },
            ],
          },
          { role: 'assistant', content: 'c', name: 'x' },
        ],
      },
      {
        kind: 'messages',
        messages: [
          { role: 'system', content: 's' },
          { role: 'user', content: 'ab' },
          { role: 'assistant', content: 'c' },
        ],
      },
    ],
    [
      {
        id: 'x',
        conversations: [
          { from: 'human', value: 'q' },
          { from: 'gpt', value: 'a' },
        ],
      },
      {
        kind: 'messages',
        messages: [
          { role: 'user', content: 'q' },
          { role: 'assistant', content: 'a' },
        ],
      },
    ],
    [
      { prompt: 'p', chosen: 'c', rejected: 'r' },
      { kind: 'preference', prompt: 'p', chosen: 'c', rejected: 'r' },
    ],
    [
      { prompt_ids: [1], chosen_ids: [2], rejected_ids: [3] },
      { kind: 'preference-tokens', promptIds: [1], chosenIds: [2], rejectedIds: [3] },
    ],
    [
      { prompt: 'p', chosen: 'c', rejected: 'r', strength: 2 },
      { kind: 'preference', prompt: 'p', chosen: 'c', rejected: 'r', strength: 2 },
    ],
    [
      { prompt_ids: [1], chosen_ids: [2], rejected_ids: [3], prompt: 'p', strength: null },
      { kind: 'preference-tokens', promptIds: [1], chosenIds: [2], rejectedIds: [3] },
    ],
    [
      { prompt: 'p', ranked: ['a', 'b', 'c'] },
      { kind: 'ranking', prompt: 'p', ranked: ['a', 'b', 'c'] },
    ],
    [
      { prompt: 'p', ranked: ['a', 'b'], prompt_ids: [1], ranked_ids: [[2], [3, 4]] },
      { kind: 'ranking-tokens', promptIds: [1], rankedIds: [[2], [3, 4]] },
    ],
    [
      { text: 't', meta: {} },
      { kind: 'text', text: 't' },
    ],
  ])('reads %j', (row, record) => {
    expect(recognise(row)).toEqual(record);
  });

  it.each([
    [[1], 'expected an object, got a list'],
    [null, 'expected an object, got null'],
    [{ question: 'q', answer: 'a' }, 'no known format has the keys question, answer'],
    [{ instruction: 'i', output: 3 }, 'output: expected a string, got 3'],
    [{ prompt_ids: [1, '2'], completion_ids: [3] }, 'prompt_ids[1]: expected a token id, got "2"'],
    [
      { prompt_ids: [2 ** 53 + 2], completion_ids: [] },
      'prompt_ids[0]: expected a token id, got 9007199254740994',
    ],
    [{ prompt_ids: [-1], completion_ids: [] }, 'prompt_ids[0]: expected a token id, got -1'],
    [
      { messages: [{ role: 'tool', content: '' }] },
      'messages[0].role: expected system, developer, user, assistant, got "tool"',
    ],
    [{ messages: [{ role: 'user', content: null }] }, 'messages[0].content: expected a string, got null'],
    [
      { messages: [{ role: 'user', content: [{ type: 'image' }] }] },
      'messages[0].content[0]: expected a part of type text',
    ],
    [
      { conversations: [{ from: '__proto__', value: '' }] },
      'conversations[0].from: expected system, human, user, gpt, chatgpt, assistant, got "__proto__"',
    ],
    [
      { prompt: 'p', chosen: 'c', rejected: 'r', strength: 'high' },
      'strength: expected a number, got "high"',
    ],
    [{ prompt: 'p', ranked: ['a', 7] }, 'ranked[1]: expected a string, got 7'],
    [{ prompt_ids: [1], ranked_ids: [[2], [-3]] }, 'ranked_ids[1][0]: expected a token id, got -3'],
    [{ messages: 'hello' }, 'messages: expected a list, got "hello"'],
  ])('says what is wrong with %j', (row, reason) => {
    expect(recognise(row)).toEqual({ kind: 'unrecognised', reason });
  });

  it('reads no field from a prototype', () => {
    const row = JSON.parse('{"__proto__":{"instruction":"i","output":"o"}}');
    expect(recognise(row)).toMatchObject({ kind: 'unrecognised' });
    expect(recognise(JSON.parse('{"instruction":"i","output":"o","__proto__":{"input":"x"}}'))).toEqual({
      kind: 'alpaca',
      instruction: 'i',
      output: 'o',
    });
  });
});
