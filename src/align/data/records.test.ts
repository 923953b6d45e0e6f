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
        prompt: 'ab',
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
    [{ riddle: 'q', solution: 'a' }, 'no known format has the keys riddle, solution'],
    [{ instruction: 'i', output: 3 }, 'output: expected a string, got 3'],
    [{ prompt_ids: [1, '2'], completion_ids: [3] }, 'prompt_ids[1]: expected a token id, got "2"'],
    [
      { prompt_ids: [2 ** 53 + 2], completion_ids: [] },
      'prompt_ids[0]: expected a token id, got 9007199254740994',
    ],
    [{ prompt_ids: [-1], completion_ids: [] }, 'prompt_ids[0]: expected a token id, got -1'],
    [
      { messages: [{ role: 'tool', content: '' }] },
      'messages[0].role: turns of a tool cannot be rendered yet',
    ],
    [{ messages: [{ role: 'user', content: null }] }, 'messages[0].content: expected a string, got null'],
    [
      { messages: [{ role: 'user', content: [{ type: 'image' }] }] },
      'messages[0].content[0]: expected a part of type text, got "image"',
    ],
    [
      { conversations: [{ from: '__proto__', value: '' }] },
      'conversations[0].from: expected system, developer, user, human, assistant, gpt, chatgpt, model, bot, got "__proto__"',
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

  const user = (content: string) => ({ role: 'user', content });
  const assistant = (content: string) => ({ role: 'assistant', content });
  const system = (content: string) => ({ role: 'system', content });

  it.each([
    [
      'a system message and earlier turns beside an instruction',
      { instruction: 'i', input: 'x', output: 'o', system: 's', history: [['a', 'b']] },
      {
        kind: 'messages',
        messages: [system('s'), user('a'), assistant('b'), user('i\nx'), assistant('o')],
        isTrained: [false, false, false, false, true],
      },
    ],
    [
      'a system message beside a conversation',
      {
        conversations: [
          { from: 'human', value: 'q' },
          { from: 'gpt', value: 'a' },
        ],
        system: 's',
      },
      { kind: 'messages', messages: [system('s'), user('q'), assistant('a')] },
    ],
    [
      'turns that are not to be trained',
      {
        messages: [user('q'), { ...assistant('a'), weight: 0 }, user('r'), { ...assistant('b'), weight: 1 }],
      },
      {
        kind: 'messages',
        messages: [user('q'), assistant('a'), user('r'), assistant('b')],
        isTrained: [false, false, false, true],
      },
    ],
    [
      'a label of the last turn',
      { messages: [user('q'), assistant('a'), user('r'), assistant('b')], kto_tag: false },
      {
        kind: 'messages',
        messages: [user('q'), assistant('a'), user('r'), assistant('b')],
        isTrained: [false, false, false, true],
        label: false,
      },
    ],
    [
      'turns as prompt and completion',
      { prompt: [user('q')], completion: [assistant('a')], label: 1 },
      { kind: 'messages', messages: [user('q'), assistant('a')], isTrained: [false, true], label: true },
    ],
    [
      'answers after a conversation',
      {
        conversations: [{ from: 'human', value: 'q' }],
        chosen: { from: 'gpt', value: 'a' },
        rejected: { from: 'gpt', value: 'b' },
      },
      {
        kind: 'preference-messages',
        prompt: [user('q')],
        chosen: [assistant('a')],
        rejected: [assistant('b')],
      },
    ],
    [
      'whole conversations that begin alike',
      { prompt: 'q', chosen: [user('q'), assistant('a')], rejected: [user('q'), assistant('b')] },
      {
        kind: 'preference-messages',
        prompt: [user('q')],
        chosen: [assistant('a')],
        rejected: [assistant('b')],
      },
    ],
    [
      'turns after a prompt of text',
      { prompt: 'q', chosen: [assistant('a')], rejected: [assistant('b')] },
      {
        kind: 'preference-messages',
        prompt: [user('q')],
        chosen: [assistant('a')],
        rejected: [assistant('b')],
      },
    ],
    [
      'texts that begin alike',
      { chosen: 'Q: sea? A: Yellow', rejected: 'Q: sea? A: None' },
      { kind: 'preference', prompt: 'Q: sea? A:', chosen: ' Yellow', rejected: ' None' },
    ],
    [
      'answers to an instruction',
      { instruction: 'i', input: 'x', chosen: 'a', rejected: 'b' },
      { kind: 'preference-alpaca', instruction: 'i', input: 'x', chosen: 'a', rejected: 'b' },
    ],
    [
      'whole conversations beside what they begin with',
      {
        prompt: 'q',
        chosen: [user('q'), assistant('a')],
        rejected: [user('q'), assistant('b')],
        messages: [user('q'), assistant('a')],
        system: 's',
      },
      {
        kind: 'preference-messages',
        prompt: [system('s'), user('q')],
        chosen: [assistant('a')],
        rejected: [assistant('b')],
      },
    ],
    [
      'earlier turns after the system message',
      { messages: [system('s'), user('q'), assistant('a')], history: [['x', 'y']], system_prompt: 's' },
      {
        kind: 'messages',
        messages: [system('s'), user('x'), assistant('y'), user('q'), assistant('a')],
        isTrained: [false, false, false, false, true],
      },
    ],
    [
      'an empty prompt, which it does not make up',
      { prompt: '', chosen: 'The cat', rejected: 'The dog', strength: '2' },
      { kind: 'preference', prompt: '', chosen: 'The cat', rejected: 'The dog', strength: 2 },
    ],
    [
      'texts that part within a character',
      { chosen: 'a 😀', rejected: 'a 😁' },
      { kind: 'preference', prompt: 'a', chosen: ' 😀', rejected: ' 😁' },
    ],
    [
      'turns with columns of another form',
      {
        conversations: [
          { from: 'human', value: 'q', role: null, content: null },
          { from: 'gpt', value: 'a', role: null },
        ],
      },
      { kind: 'messages', messages: [user('q'), assistant('a')] },
    ],
    [
      'Dolly',
      { instruction: 'i', context: 'c', response: 'r' },
      { kind: 'alpaca', instruction: 'i', input: 'c', output: 'r' },
    ],
    ['questions', { question: 'q', answer: 'a' }, { kind: 'alpaca', instruction: 'q', output: 'a' }],
    [
      'columns that say nothing',
      { messages: null, text: '', instruction: 'i', output: 'o', tools: [] },
      { kind: 'alpaca', instruction: 'i', output: 'o' },
    ],
  ])('reads %s', (_, row, record) => {
    const read = recognise(row);
    expect(JSON.parse(JSON.stringify(read))).toEqual(record);
  });

  it.each([
    [{ messages: [user('q'), assistant('a')], tools: [{ name: 'f' }] }, /^tools: not read beside messages/],
    [
      { messages: [user('q'), { ...assistant(''), tool_calls: [{ id: '1' }] }] },
      /^messages\[1\]\.tool_calls: cannot/,
    ],
    [{ messages: [user('q'), { ...assistant('a'), reasoning_content: 'hm' }] }, /reasoning_content: cannot/],
    [
      { messages: [user('q'), { ...assistant('a'), weight: 0.5 }] },
      /weight: expected 0, 1, false or true, got 0\.5/,
    ],
    [{ instruction: 'i', output: 'o', images: ['a.png'] }, /^images: not read/],
    [{ text: 't', system: 's' }, /^system: not read beside text/],
    [{ messages: [system('s'), user('q'), assistant('a')], system: 'other' }, /^system: another/],
    [{ chosen: 'a', rejected: 'b' }, /^prompt: expected one, or a beginning/],
    [{ post: 'Q?', chosen: 'The cat', rejected: 'The dog' }, /^chosen, rejected: expected a prompt/],
    [{ prompt: 'p', completion: 'c', chosen: 'd' }, /^chosen: not read/],
    [{ prompt: 'p', completion: 'c', instruction: 'd' }, /^instruction: not read/],
    [{ prompt: 'Translate', input: 'Hello', output: 'Bonjour' }, /^prompt: not read/],
    [{ messages: [user('q'), assistant('a')], prompt: 'other' }, /^prompt: expected one of the turns/],
    [
      { prompt: [user('x')], chosen: [user('q'), assistant('a')], rejected: [user('q'), assistant('b')] },
      /^prompt: expected the turns that/,
    ],
    [
      { messages: [user('q'), assistant('a')], chosen: 'b', rejected: 'c' },
      /^chosen, rejected: expected a conversation before/,
    ],
    [
      { prompt: 'p', chosen: [user('q'), assistant('a')], rejected: [user('q'), assistant('b')] },
      /^prompt: expected a turn/,
    ],
    [
      { prompt: 'p', chosen: [assistant('a'), user('b')], rejected: [assistant('c')] },
      /^chosen: expected to end/,
    ],
  ])('never drops what changes the meaning of %j', (row, reason) => {
    expect(recognise(row)).toEqual({ kind: 'unrecognised', reason: expect.stringMatching(reason) });
  });

  it('names the keys that it does not read', () => {
    const keys: string[] = [];
    const row = {
      id: 7,
      source: '',
      category: 'x',
      annotator: 'a',
      messages: [user('q'), { ...assistant('a'), at: 3 }],
    };
    recognise(row, (key) => keys.push(key));
    expect(keys).toEqual(['id', 'category', 'turns.at']);
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
