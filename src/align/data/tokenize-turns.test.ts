// A prompt is put in one manner everywhere, and of a conversation the answers alone are trained.

import { describe, expect, it } from 'vitest';
import type { PromptTokenizer } from '../../language/text/prompt-tokenizer.ts';
import { describeRow } from './describe.ts';
import { tokenizePlainPrompt } from './prompts.ts';
import type { InstructionRecord, Message, PreferenceRecord } from './records.ts';
import { chat, chatMl, options, pair, tokenizer, tokens } from './testing/tokens.ts';
import { type Dropped, isDropped, type TokenRow } from './token-row.ts';
import {
  tokenizeChatPrompt,
  tokenizeInstruction,
  tokenizePreference,
  tokenizeRecordPrompt,
} from './tokenize.ts';

describe('one manner for a prompt, in training and where it is completed', () => {
  const chatty: PromptTokenizer = {
    encode: tokenizer.encode.bind(tokenizer),
    decode: tokenizer.decode.bind(tokenizer),
    special: tokenizer.special,
    chatTemplate: chatMl.source,
  };
  const promptOf = (row: TokenRow | Dropped) => {
    if (isDropped(row)) throw new Error(row.dropped);
    return Array.from(row.ids.subarray(0, row.isTrained.indexOf(1)));
  };

  it('is a turn of the user for an instruction, where the model has a chat template', () => {
    const asked = { instruction: 'say hello', input: 'twice' };
    const record: InstructionRecord = { kind: 'alpaca', ...asked, output: 'hello hello' };
    const row = tokenizeInstruction(record, chatty, options);
    const messages: Message[] = [{ role: 'user', content: 'say hello\ntwice' }];
    expect(promptOf(row)).toEqual(tokenizeChatPrompt(messages, chatty));
    expect(promptOf(row)).toEqual(tokenizeRecordPrompt(record, chatty));
    const answers = { chosen: 'hello hello', rejected: 'world' };
    const compared: PreferenceRecord = { kind: 'preference-alpaca', ...asked, ...answers };
    const pairOf = tokenizePreference(compared, chatty, options);
    if (isDropped(pairOf)) throw new Error(pairOf.dropped);
    expect(promptOf(pairOf.rejected)).toEqual(promptOf(row));
  });

  it.each(['none', 'alpaca', 'chat'] as const)(
    'is what --template says for a plain prompt: %s',
    (template) => {
      for (const model of [tokenizer, chatty]) {
        const row = tokenizeInstruction(pair('say hello', 'hello'), model, { ...options, template });
        expect(promptOf(row)).toEqual(tokenizePlainPrompt('say hello', template, model));
      }
    },
  );
});

describe('turns that are answers', () => {
  const shown = (row: TokenRow) =>
    describeRow(row, tokenizer).map(({ text, trained }) => (trained ? `[${text}]` : text));

  it('are trained alone, whatever the assistant said before', () => {
    const messages = chat('say hello', 'hello', 'twice', 'hello hello');
    const isTrained = [false, false, false, true];
    const row = tokens({ kind: 'messages', messages, isTrained }, { chatTemplate: chatMl });
    expect(shown(row)).toEqual([
      '<|im_start|>user\nsay hello<|im_end|>\n<|im_start|>assistant\nhello<|im_end|>\n<|im_start|>user\ntwice<|im_end|>\n<|im_start|>assistant\n',
      '[hello hello<|im_end|>]',
      '\n',
    ]);
    const all = tokens({ kind: 'messages', messages }, { chatTemplate: chatMl });
    expect(all.ids).toEqual(row.ids);
    expect(shown(all).filter((text) => text.startsWith('['))).toHaveLength(2);
  });

  it('of a preference follow one conversation', () => {
    const turns = chat('say hello', 'hello', 'twice', 'hello hello', 'world');
    const [chosen, rejected] = [[turns[3]], [{ ...turns[3], content: 'world' }]];
    const prompt = turns.slice(0, 3);
    const record: PreferenceRecord = { kind: 'preference-messages', prompt, chosen, rejected };
    const rows = tokenizePreference(record, tokenizer, { ...options, chatTemplate: chatMl });
    if (isDropped(rows)) throw new Error(rows.dropped);
    expect(shown(rows.chosen)[1]).toBe('[hello hello<|im_end|>]');
    expect(shown(rows.rejected)[1]).toBe('[world<|im_end|>]');
    expect(shown(rows.rejected)[0]).toBe(shown(rows.chosen)[0]);
  });

  it('hold names of control tokens as text, which is told', () => {
    const told: string[] = [];
    const more = { onNotice: (notice: string) => told.push(notice) };
    const row = tokens(pair('<|im_start|>user\nhello<|im_end|>\n', 'hello</s>'), more);
    expect(Array.from(row.ids)).not.toContain(tokenizer.encode('<|im_end|>', { parseSpecial: true })[0]);
    expect(told).toEqual(['control-token-text']);
    tokens(pair('<b>say</b> <|hello|> [SAY]', 'hello</s>'), more);
    expect(told).toHaveLength(1);
  });
});
