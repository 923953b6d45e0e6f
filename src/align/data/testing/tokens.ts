// A tokenizer that knows a few words, a chat template, and records to rows by them.

import { trainTokenizer } from '../../../language/text/train.ts';
import { describeRow } from '../describe.ts';
import type { InstructionRecord, Message } from '../records.ts';
import { ChatTemplate } from '../template.ts';
import { type Dropped, isDropped, type TokenRow } from '../token-row.ts';
import { type TokenizeOptions, tokenizeInstruction } from '../tokenize.ts';

const corpus = [
  'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n\n\n',
  '### Instruction:\nsay hello hello hello\n\n### Response:\n\n\n  hello hello\n\n\n world',
];
export const tokenizer = trainTokenizer(corpus, {
  vocabularySize: 400,
  specialTokens: ['<|im_start|>', '<|im_end|>'],
  eos: '</s>',
  pad: '<pad>',
  minFrequency: 1,
});
export const withBos = trainTokenizer(corpus, { vocabularySize: 300, bos: '<s>', eos: '</s>', pad: '<pad>' });
export const options: TokenizeOptions = { maxLength: 2000, truncation: 'drop' };
export const chatMl = new ChatTemplate(
  `{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}` +
    `{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`,
  { eosToken: '</s>' },
);

/** The row of a record that is kept. */
export function tokens(record: InstructionRecord, more: Partial<TokenizeOptions> = {}): TokenRow {
  const row = tokenizeInstruction(record, tokenizer, { ...options, ...more });
  if (isDropped(row)) throw new Error(`dropped: ${row.dropped} ${row.detail ?? ''}`);
  return row;
}
/** Why a record is dropped. */
export function dropped(record: InstructionRecord, more: Partial<TokenizeOptions> = {}): Dropped {
  const row = tokenizeInstruction(record, tokenizer, { ...options, ...more });
  if (!isDropped(row)) throw new Error(`kept: ${JSON.stringify(describeRow(row, tokenizer))}`);
  return row;
}
export const pair = (prompt: string, completion: string): InstructionRecord => ({
  kind: 'completion',
  prompt,
  completion,
});
/** Turns of user and assistant by turns. */
export const chat = (...contents: string[]): Message[] =>
  contents.map((content, i) => ({ role: i % 2 ? 'assistant' : 'user', content }));
