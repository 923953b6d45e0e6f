import { describe, expect, it } from 'vitest';
import { trainTokenizer } from '../../language/text/train.ts';
import {
  ChatTemplate,
  chatTemplateOf,
  defaultChatTemplate,
  renderAlpacaPrompt,
  renderMessages,
} from './template.ts';

const withoutInput = `Below is an instruction that describes a task. Write a response that appropriately completes the request.

### Instruction:
Add.

### Response:
`;
const withInput = `Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.

### Instruction:
Add.

### Input:
1 2

### Response:
`;
const tokenizer = trainTokenizer(['abc'], { vocabularySize: 259, eos: '</s>', pad: '<pad>' });
const render = (template: ChatTemplate, roles: string, addGenerationPrompt: boolean): string => {
  const names = { s: 'system', u: 'user', a: 'assistant' } as const;
  const messages = [...roles].map((role, i) => ({ role: names[role as 's'], content: `${role}${i}` }));
  return renderMessages(messages, template, { addGenerationPrompt });
};

describe('renderAlpacaPrompt', () => {
  it('has the two forms of the template', () => {
    expect(renderAlpacaPrompt({ instruction: 'Add.' })).toBe(withoutInput);
    expect(renderAlpacaPrompt({ instruction: 'Add.', input: '' })).toBe(withoutInput);
    expect(renderAlpacaPrompt({ instruction: 'Add.', input: '1 2' })).toBe(withInput);
  });

  it('copies placeholders and dollar signs in a record as they are', () => {
    expect(renderAlpacaPrompt({ instruction: "{input} $& $'", input: '{instruction}' })).toContain(
      "### Instruction:\n{input} $& $'\n\n### Input:\n{instruction}\n",
    );
  });
});

describe('the default chat template', () => {
  const template = defaultChatTemplate(tokenizer);

  it('begins with the Alpaca prompt itself', () => {
    const text = renderMessages([{ role: 'user', content: 'Add.' }], template, { addGenerationPrompt: true });
    expect(text).toBe(withoutInput);
  });

  it('ends every answer in EOS and opens the next turn after it', () => {
    expect(render(template, 'suaua', false)).toBe(
      's0\n\n### Instruction:\nu1\n\n### Response:\na2</s>\n\n### Instruction:\nu3\n\n### Response:\na4</s>',
    );
  });

  it('refuses a system message in the middle', () => {
    expect(() => render(template, 'us', false)).toThrow('a system message must come first');
  });
});

describe('chat templates', () => {
  it("are the tokenizer's own, with its tokens by name", () => {
    const chatTemplate = '{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}';
    const own = chatTemplateOf({ ...asTokenizer(), chatTemplate });
    expect(render(own, 'ua', false)).toBe('[user]u0</s>[assistant]a1</s>');
  });

  it('are refused when they are not Jinja', () => {
    expect(() => new ChatTemplate('{% for %}', {})).toThrow('chat template: expected a Jinja template');
  });
});

function asTokenizer() {
  return {
    encode: tokenizer.encode.bind(tokenizer),
    decode: tokenizer.decode.bind(tokenizer),
    special: tokenizer.special,
  };
}
