// Rows of data to the sequences that scoring them takes. What cannot be scored is quarantined with its place and reason.

import { leadingTokens, type PromptTokenizer } from '../../language/text/prompt-tokenizer.ts';
import { faultOf, type RowFault, readRows, setAside } from '../data/read.ts';
import { type DataRecord, recognise } from '../data/records.ts';
import { dropReasons, isDropped, type RowSource, reasonOf, type TokenRow } from '../data/token-row.ts';
import { type PromptTemplate, tokenizeInstruction, tokenizePreference } from '../data/tokenize.ts';

/** The sequences of a row; the log-probability of a text is the sum over its pieces. */
export type RowSequences =
  | { kind: 'completion'; completion: TokenRow }
  | { kind: 'preference'; chosen: TokenRow; rejected: TokenRow }
  | { kind: 'text'; pieces: TokenRow[]; bytes: number };

export interface ReadRow {
  source: RowSource;
  sequences: RowSequences;
  /** To set the row aside later. */
  fault: (reason: string) => RowFault;
}

export interface RowOptions {
  context: number;
  vocabularySize: number;
  strict: boolean;
  template?: PromptTemplate;
  /** A reward is of an answer that has ended; the probability is of the tokens as they are given. */
  asks: 'probability' | 'reward';
  onFault: (fault: RowFault) => void;
  /** Asked for at the first row of text; rows of ids need none. */
  tokenizer: () => Promise<PromptTokenizer>;
}

/** The rows of a file that can be scored, in order. @throws as readRows, and what `tokenizer` throws */
export async function* readScoredRows(file: string, options: RowOptions): AsyncGenerator<ReadRow> {
  for await (const row of readRows(file, options)) {
    const source = { file, line: row.line };
    const fault = (reason: string) => faultOf(file, row, reason);
    const sequences = await sequencesOf(row.value, source, options);
    if (typeof sequences === 'string') setAside(fault(sequences), options);
    else yield { source, sequences, fault };
  }
}

/** @returns the reason where there is nothing to score */
async function sequencesOf(
  value: unknown,
  source: RowSource,
  options: RowOptions,
): Promise<RowSequences | string> {
  const record = recognise(value);
  switch (record.kind) {
    case 'unrecognised':
      return record.reason;
    case 'tokens': {
      const completion = rowOfIds(record.promptIds, record.completionIds, source, options);
      return typeof completion === 'string' ? completion : { kind: 'completion', completion };
    }
    case 'preference-tokens': {
      const chosen = rowOfIds(record.promptIds, record.chosenIds, source, options);
      const rejected = rowOfIds(record.promptIds, record.rejectedIds, source, options);
      if (typeof chosen === 'string') return chosen;
      return typeof rejected === 'string' ? rejected : { kind: 'preference', chosen, rejected };
    }
    case 'ranking':
    case 'ranking-tokens':
      return 'a ranking is scored as its preferences: prompt, chosen and rejected';
    case 'text':
      if (options.asks === 'reward') return 'a reward model scores answers to prompts, not texts';
      return piecesOfText(record.text, source, options);
    default:
      return sequencesOfStrings(record, source, options);
  }
}

type StringRecord = Exclude<
  DataRecord,
  { kind: 'tokens' | 'preference-tokens' | 'ranking' | 'ranking-tokens' | 'text' }
>;

async function sequencesOfStrings(
  record: StringRecord,
  source: RowSource,
  { context, vocabularySize, template, tokenizer, asks }: RowOptions,
): Promise<RowSequences | string> {
  const ending = asks === 'reward' ? 'append-eos' : 'as-given';
  const settings = { maxLength: context, truncation: 'drop', ending, vocabularySize, template } as const;
  if ('chosen' in record) {
    const pair = tokenizePreference(record, await tokenizer(), settings, source);
    return isDropped(pair) ? reasonOf(pair) : { kind: 'preference', ...pair };
  }
  const completion = tokenizeInstruction(record, await tokenizer(), settings, source);
  return isDropped(completion) ? reasonOf(completion) : { kind: 'completion', completion };
}

/** Ids are scored as they are, without a tokenizer. */
function rowOfIds(
  promptIds: readonly number[],
  completionIds: readonly number[],
  source: RowSource,
  { context, vocabularySize }: RowOptions,
): TokenRow | string {
  const ids = Int32Array.from([...promptIds, ...completionIds]);
  if (promptIds.length === 0) return dropReasons['empty-prompt'];
  if (completionIds.length === 0) return 'a completion is empty';
  const unknown = ids.find((id) => id >= vocabularySize);
  if (unknown !== undefined)
    return `token id ${unknown} is beyond the model's vocabulary of ${vocabularySize}`;
  if (promptIds.length >= context) return `${dropReasons['prompt-too-long']} of ${context} tokens`;
  if (ids.length > context) return `${dropReasons['sequence-too-long']} of ${context} tokens`;
  return { ids, isTrained: new Uint8Array(ids.length).fill(1, promptIds.length), source };
}

/**
 * Pieces as long as the context, each beginning with the last token of the one before: every token but the text's
 * first is a target once, with what precedes it in its piece as its past.
 */
async function piecesOfText(
  text: string,
  source: RowSource,
  options: RowOptions,
): Promise<RowSequences | string> {
  const tokenizer = await options.tokenizer();
  const ids = Int32Array.from([...leadingTokens(tokenizer), ...tokenizer.encode(text)]);
  if (text === '') return 'the text is empty';
  if (ids.length < 2) return 'the text is a single token, and a first token has no log-probability';
  if (ids.some((id) => id >= options.vocabularySize)) return dropReasons['unknown-token-id'];
  const pieces: TokenRow[] = [];
  for (let start = 0; start + 1 < ids.length; start += options.context - 1) {
    const piece = ids.slice(start, start + options.context);
    pieces.push({ ids: piece, isTrained: new Uint8Array(piece.length).fill(1, 1), source });
  }
  return { kind: 'text', pieces, bytes: Buffer.byteLength(text) };
}
