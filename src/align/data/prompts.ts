// Prompts as people give them (a text, a record without its answer, ids) to the ids that generation begins with.

import { UserError } from '../../engine/errors.ts';
import { type PromptTokenizer, tokenizePrompt } from '../../language/text/prompt-tokenizer.ts';
import { faultOf, type ReadOptions, readRows, setAside } from './read.ts';
import { conversationKeys, type DataRecord, type Message, partsOfQuestion, recognise } from './records.ts';
import { isNothing, withoutNulls } from './row-fields.ts';
import { renderAlpacaPrompt } from './template.ts';
import type { RowSource } from './token-row.ts';
import {
  type PromptTemplate,
  tokenizeChatPrompt,
  tokenizeRecordPrompt,
  untilLastAnswer,
} from './tokenize.ts';

export interface Prompt {
  ids: number[];
  /** As it was given; absent for ids. */
  text?: string;
  source?: RowSource;
  /** The row that it was read from, with whatever else it says. */
  row?: Record<string, unknown>;
}

export interface PromptOptions {
  template: PromptTemplate;
  /** Called at every row that could be read, before its prompt is. */
  onRow?: () => void;
  context: number;
  vocabularySize: number;
  /** @throws UserError when there is none */
  tokenizer: () => PromptTokenizer;
}

/** The ids of a plain prompt. */
export function tokenizePlainPrompt(
  text: string,
  template: PromptTemplate,
  tokenizer: PromptTokenizer,
): number[] {
  switch (template) {
    case 'none':
      return tokenizePrompt(text, tokenizer);
    case 'alpaca':
      return tokenizePrompt(renderAlpacaPrompt({ instruction: text }), tokenizer);
    case 'chat':
      return tokenizeChatPrompt([{ role: 'user', content: text }], tokenizer);
  }
}

/** Why a model cannot go on from these ids, if it cannot. */
export function problemOf(
  ids: readonly number[],
  { context, vocabularySize }: PromptOptions,
): string | undefined {
  if (ids.length === 0) return 'the prompt is empty';
  if (ids.length >= context) return `the prompt's ${ids.length} tokens fill the context of ${context}`;
  const unknown = ids.find((id) => id >= vocabularySize);
  if (unknown === undefined) return undefined;
  return `token id ${unknown} is beyond the model's vocabulary of ${vocabularySize}`;
}

/** The prompts of a file in order; a row without one is quarantined. @throws as readRows */
export async function* readPrompts(
  file: string,
  options: PromptOptions & ReadOptions,
): AsyncGenerator<Prompt> {
  for await (const row of readRows(file, options)) {
    options.onRow?.();
    const prompt = promptOf(row.value, options);
    const problem = typeof prompt === 'string' ? prompt : problemOf(prompt.ids, options);
    if (typeof prompt !== 'string' && !problem) {
      yield { ...prompt, source: { file, line: row.line }, row: row.value as Record<string, unknown> };
    } else setAside(faultOf(file, row, problem ?? ''), options);
  }
}

const instructionKeys = ['instruction', 'question', 'query'];
/** What a row asks under; of several the first. */
const promptKeys = ['prompt_ids', 'prompt', ...conversationKeys, ...instructionKeys, 'input'];
/** What makes a whole record of a row that only asks. */
const noAnswers: Readonly<Record<string, object>> = {
  prompt_ids: { completion_ids: [] },
  prompt: { completion: '' },
  instruction: { output: '' },
  question: { answer: '' },
  query: { response: '' },
  input: { output: '' },
};
function promptOf(value: unknown, options: PromptOptions): Prompt | string {
  const isRow = value !== null && typeof value === 'object' && !Array.isArray(value);
  const question = isRow ? questionIn(withoutNulls(value)) : value;
  if (isRow && Object.keys(Object(question)).length === 0) return `none of the keys ${promptKeys.join(', ')}`;
  const record = recognise(question);
  return record.kind === 'unrecognised' ? record.reason : promptOfRecord(record, options);
}

/** The row without its answers and what is for rewards, or, where it has no prompt of its own, with those that begin alike. */
function questionIn(row: Record<string, unknown>): Record<string, unknown> {
  const asked =
    promptKeys.find((key) => !isNothing(row[key])) ?? promptKeys.find((key) => Object.hasOwn(row, key));
  if (asked === undefined) return pick(row, ['chosen', 'rejected', ...partsOfQuestion]);
  const own = [asked, ...(instructionKeys.includes(asked) ? ['input', 'context'] : []), ...partsOfQuestion];
  return { ...noAnswers[asked], ...pick(row, own) };
}

function pick(row: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(row, key)).map((key) => [key, row[key]]));
}

function promptOfRecord(record: DataRecord, { template, tokenizer }: PromptOptions): Prompt | string {
  switch (record.kind) {
    case 'tokens':
      return { ids: record.promptIds };
    case 'completion':
    case 'preference':
      return { ids: tokenizePlainPrompt(record.prompt, template, tokenizer()), text: record.prompt };
    case 'alpaca': {
      if (record.instruction.trim() === '') return 'the instruction is empty';
      const text = record.input ? `${record.instruction}\n\n${record.input}` : record.instruction;
      return asked(text, () => tokenizeRecordPrompt(record, tokenizer()));
    }
    case 'messages':
      return promptOfMessages(untilLastAnswer(record.messages), tokenizer());
    case 'preference-messages':
      return promptOfMessages(record.prompt, tokenizer());
    default:
      throw new Error(`a question is read as ${record.kind}`);
  }
}

function promptOfMessages(messages: readonly Message[], tokenizer: PromptTokenizer): Prompt | string {
  const text = messages.findLast(({ role }) => role === 'user')?.content;
  if (text === undefined) return 'no message of a user';
  return asked(text, () => tokenizeChatPrompt(messages, tokenizer));
}

/** A template may refuse a conversation; that is the row's fault. */
function asked(text: string, idsOf: () => number[]): Prompt | string {
  try {
    return { ids: idsOf(), text };
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
}
