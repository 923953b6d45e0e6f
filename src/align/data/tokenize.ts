// An instruction record to one row of tokens: template, ids, and which tokens the loss counts.
// Trained: each completion or assistant turn with the token that ends it. What cannot be trained is dropped for a
// named reason, never silently cut.

import { UserError } from '../../engine/errors.ts';
import {
  leadingTokens,
  type PromptTokenizer,
  requireEndToken,
  tokenizePrompt,
  tokenName,
} from '../../language/text/prompt-tokenizer.ts';
import { findChatSpans, findPromptSpans, type Span } from './chat-spans.ts';
import { type FitOptions, fitTokens, sharePrompt } from './fit.ts';
import {
  type InstructionRecord,
  type MarkedRecord,
  type Message,
  type PreferenceRecord,
  type RankingRecord,
  turnOf,
} from './records.ts';
import { type ChatTemplate, chatTemplateOf, renderAlpacaPrompt } from './template.ts';
import {
  type Dropped,
  type DropReason,
  isDropped,
  type Notice,
  type RowSource,
  type TokenRow,
} from './token-row.ts';
import {
  encodeParts,
  type FlaggedTokens,
  namesControlToken,
  type Part,
  parseTemplateText,
} from './token-runs.ts';

export type { TokenRow } from './token-row.ts';

/** How a plain prompt is put to the model: as a text to continue, as Alpaca's instruction, as a user's message. */
export type PromptTemplate = 'none' | 'alpaca' | 'chat';

export interface TokenizeOptions extends FitOptions {
  /** Of prompts that are plain texts; default none. */
  template?: PromptTemplate;
  /** For conversations; otherwise the tokenizer's own, or the Alpaca manner where it has none. */
  chatTemplate?: ChatTemplate;
  /** `as-given` scores a completion just as it is; training appends EOS where it is missing. */
  ending?: 'append-eos' | 'as-given';
  onNotice?: (notice: Notice) => void;
}

/**
 * One record to one row. Special tokens in a record's text are text; only templates write control tokens. A
 * completion that ends in the EOS token's name ends in that token.
 * @throws UserError when the tokenizer has no usable EOS
 */
export function tokenizeInstruction(
  record: InstructionRecord,
  tokenizer: PromptTokenizer,
  options: TokenizeOptions,
  source: RowSource = { file: '', line: 0 },
): TokenRow | Dropped {
  requireEndToken(tokenizer);
  const blank = blankPart(record);
  if (blank) return { dropped: blank };
  const tokens = flagTokens(record, tokenizer, options);
  if ('dropped' in tokens) return tokens;
  if (tokens.splitBorders > 0) options.onNotice?.('split-border');
  if (textsOf(record, tokenizer).some((text) => namesControlToken(text, tokenizer))) {
    options.onNotice?.('control-token-text');
  }
  return fitTokens(tokens, tokenizer, options, source);
}

/**
 * Both answers of a preference, each after the same prompt; dropped when either is, or when they are the same. Ids are
 * taken as they were sampled: one that was cut off has no EOS.
 */
export function tokenizePreference(
  record: PreferenceRecord,
  tokenizer: PromptTokenizer,
  options: TokenizeOptions,
  source: RowSource = { file: '', line: 0 },
): { chosen: TokenRow; rejected: TokenRow } | Dropped {
  const answers = tokenizeAnswers(answersOf(record), tokenizer, options, source);
  if (isDropped(answers)) return answers;
  const [chosen, rejected] = answers;
  return haveSameIds(chosen, rejected) ? { dropped: 'chosen-equals-rejected' } : { chosen, rejected };
}

/** A marked answer, as one of a preference. */
export function tokenizeMarked(
  record: MarkedRecord,
  tokenizer: PromptTokenizer,
  options: TokenizeOptions,
  source: RowSource = { file: '', line: 0 },
): TokenRow | Dropped {
  const answers = tokenizeAnswers([record], tokenizer, options, source);
  return isDropped(answers) ? answers : answers[0];
}

/** The answers of a ranking, best first, as those of a preference; dropped when two of them are the same. */
export function tokenizeRanking(
  record: RankingRecord,
  tokenizer: PromptTokenizer,
  options: TokenizeOptions,
  source: RowSource = { file: '', line: 0 },
): TokenRow[] | Dropped {
  const answers = tokenizeAnswers(rankedAnswersOf(record), tokenizer, options, source);
  if (isDropped(answers)) return answers;
  if (answers.length < 2) return { dropped: 'too-few-answers' };
  const isRepeated = answers.some((row, i) => answers.slice(0, i).some((other) => haveSameIds(row, other)));
  return isRepeated ? { dropped: 'chosen-equals-rejected' } : answers;
}

function tokenizeAnswers(
  records: readonly InstructionRecord[],
  tokenizer: PromptTokenizer,
  options: TokenizeOptions,
  source: RowSource,
): TokenRow[] | Dropped {
  const outcomes = records.map((record) => {
    const ending = record.kind === 'tokens' ? 'as-given' : options.ending;
    return tokenizeInstruction(record, tokenizer, { ...options, ending }, source);
  });
  const dropped = outcomes.filter(isDropped);
  // Length is a choice of the user's; a fault of another answer is not to hide behind it.
  const fault = dropped.find((outcome) => outcome.dropped !== 'sequence-too-long') ?? dropped[0];
  return fault ?? sharePrompt(outcomes as TokenRow[], tokenizer);
}

function haveSameIds(a: TokenRow, b: TokenRow): boolean {
  return a.ids.length === b.ids.length && a.ids.every((id, i) => id === b.ids[i]);
}

/** The ids that generation is given for a record's (or a conversation's next) completion. */
export function tokenizeRecordPrompt(
  record: InstructionRecord,
  tokenizer: PromptTokenizer,
  chatTemplate?: ChatTemplate,
): number[] {
  switch (record.kind) {
    case 'alpaca':
      return tokenizer.chatTemplate === undefined
        ? tokenizePrompt(renderAlpacaPrompt(record), tokenizer)
        : tokenizeChatPrompt([turnOf(record)], tokenizer, chatTemplate);
    case 'completion':
      return tokenizePrompt(record.prompt, tokenizer);
    case 'tokens':
      return record.promptIds;
    case 'messages':
      return tokenizeChatPrompt(untilLastAnswer(record.messages), tokenizer, chatTemplate);
  }
}

/** A conversation and the beginning of the next assistant turn, as ids. @throws UserError when it cannot be rendered */
export function tokenizeChatPrompt(
  messages: readonly Message[],
  tokenizer: PromptTokenizer,
  chatTemplate: ChatTemplate = chatTemplateOf(tokenizer),
): number[] {
  const found = findPromptSpans(messages, chatTemplate);
  if (found.kind === 'spans') return encodeParts(spanParts(found.spans, tokenizer), tokenizer).ids;
  throw new UserError({ where: 'chat template', expected: 'contents as they are', found: found.reason });
}

/** A conversation without the answer that it ends with, if it does. */
export function untilLastAnswer(messages: readonly Message[]): readonly Message[] {
  return messages.at(-1)?.role === 'assistant' ? messages.slice(0, -1) : messages;
}

function rankedAnswersOf(record: RankingRecord): InstructionRecord[] {
  if (record.kind === 'ranking') {
    const { prompt, ranked } = record;
    return ranked.map((completion) => ({ kind: 'completion', prompt, completion }));
  }
  const { promptIds, rankedIds } = record;
  return rankedIds.map((completionIds) => ({ kind: 'tokens', promptIds, completionIds }));
}

function answersOf(record: PreferenceRecord): [InstructionRecord, InstructionRecord] {
  if (record.kind === 'preference') {
    const { prompt, chosen, rejected } = record;
    return [
      { kind: 'completion', prompt, completion: chosen },
      { kind: 'completion', prompt, completion: rejected },
    ];
  }
  if (record.kind === 'preference-alpaca') {
    const { instruction, input, chosen, rejected } = record;
    return [
      { kind: 'alpaca', instruction, input, output: chosen },
      { kind: 'alpaca', instruction, input, output: rejected },
    ];
  }
  if (record.kind === 'preference-messages') {
    const { prompt, chosen, rejected } = record;
    return [answerAfter(prompt, chosen), answerAfter(prompt, rejected)];
  }
  const { promptIds, chosenIds, rejectedIds } = record;
  return [
    { kind: 'tokens', promptIds, completionIds: chosenIds },
    { kind: 'tokens', promptIds, completionIds: rejectedIds },
  ];
}

/** @param answer the turns that are trained, where they are the assistant's */
function answerAfter(prompt: readonly Message[], answer: readonly Message[]): InstructionRecord {
  const messages = [...prompt, ...answer];
  const isTrained = messages.map(({ role }, i) => i >= prompt.length && role === 'assistant');
  return { kind: 'messages', messages, isTrained };
}

function blankPart(record: InstructionRecord): DropReason | undefined {
  switch (record.kind) {
    case 'alpaca':
      if (isBlank(record.instruction)) return 'empty-prompt';
      return isBlank(record.output) ? 'empty-completion' : undefined;
    case 'completion':
      if (record.prompt === '') return 'empty-prompt';
      return isBlank(record.completion) ? 'empty-completion' : undefined;
    case 'tokens':
      if (record.promptIds.length === 0) return 'empty-prompt';
      return record.completionIds.length === 0 ? 'empty-completion' : undefined;
    case 'messages': {
      const { messages, isTrained } = record;
      const answers = messages.filter(({ role }, i) => isTrained?.[i] ?? role === 'assistant');
      if (answers.length === 0) return 'no-trained-token';
      return answers.some(({ content }) => isBlank(content)) ? 'empty-completion' : undefined;
    }
  }
}

/** Everything that a person wrote; a completion may end in the name of the EOS token, which is then read as that token. */
function textsOf(record: InstructionRecord, tokenizer: PromptTokenizer): string[] {
  const end = tokenName(tokenizer, requireEndToken(tokenizer));
  switch (record.kind) {
    case 'alpaca':
      return [record.instruction, record.input ?? '', withoutEnd(record.output, end)];
    case 'completion':
      return [record.prompt, withoutEnd(record.completion, end)];
    case 'messages':
      return record.messages.map(({ content }) => content);
    case 'tokens':
      return [];
  }
}

function isBlank(text: string): boolean {
  return text.trim() === '';
}

function flagTokens(
  record: InstructionRecord,
  tokenizer: PromptTokenizer,
  options: TokenizeOptions,
): FlaggedTokens | Dropped {
  switch (record.kind) {
    case 'alpaca': {
      if (tokenizer.chatTemplate !== undefined) {
        const messages: Message[] = [turnOf(record), { role: 'assistant', content: record.output }];
        return flagMessages({ kind: 'messages', messages }, tokenizer, options);
      }
      const prompt = renderAlpacaPrompt(record);
      const end = tokenName(tokenizer, requireEndToken(tokenizer));
      if (
        record.text !== undefined &&
        withoutEnd(record.text, end) !== prompt + withoutEnd(record.output, end)
      ) {
        options.onNotice?.('text-differs');
      }
      return flagPair(prompt, record.output, tokenizer, options);
    }
    case 'completion':
      return flagPlain(record, tokenizer, options);
    case 'tokens':
      return flagIds(record, tokenizer, options);
    case 'messages':
      return flagMessages(record, tokenizer, options);
  }
}

function flagPlain(
  { prompt, completion }: Extract<InstructionRecord, { kind: 'completion' }>,
  tokenizer: PromptTokenizer,
  options: TokenizeOptions,
): FlaggedTokens | Dropped {
  switch (options.template ?? 'none') {
    case 'none':
      return flagPair(prompt, completion, tokenizer, options);
    case 'alpaca':
      return flagPair(renderAlpacaPrompt({ instruction: prompt }), completion, tokenizer, options);
    case 'chat': {
      const messages = [turnOf({ instruction: prompt }), { role: 'assistant', content: completion } as const];
      return flagMessages({ kind: 'messages', messages }, tokenizer, options);
    }
  }
}

function flagPair(
  prompt: string,
  completion: string,
  tokenizer: PromptTokenizer,
  options: TokenizeOptions,
): FlaggedTokens {
  const eos = requireEndToken(tokenizer);
  const body = withoutEnd(completion, tokenName(tokenizer, eos));
  const hasEnd = options.ending !== 'as-given' || body.length < completion.length;
  const parts: Part[] = [
    ...leadingTokens(tokenizer).map((id) => ({ id, isTrained: false })),
    { text: prompt, isTrained: false },
    { text: body, isTrained: true },
    ...(hasEnd ? [{ id: eos, isTrained: true }] : []),
  ];
  return encodeParts(parts, tokenizer);
}

function withoutEnd(text: string, end: string): string {
  return end !== '' && text.endsWith(end) ? text.slice(0, -end.length) : text;
}

function flagIds(
  record: { promptIds: number[]; completionIds: number[] },
  tokenizer: PromptTokenizer,
  options: TokenizeOptions,
): FlaggedTokens {
  const eos = requireEndToken(tokenizer);
  const isComplete = options.ending === 'as-given' || record.completionIds.at(-1) === eos;
  const completion = isComplete ? record.completionIds : [...record.completionIds, eos];
  return {
    ids: [...record.promptIds, ...completion],
    isTrained: [...record.promptIds.map(() => 0), ...completion.map(() => 1)],
    splitBorders: 0,
  };
}

function flagMessages(
  { messages, isTrained }: Extract<InstructionRecord, { kind: 'messages' }>,
  tokenizer: PromptTokenizer,
  options: TokenizeOptions,
): FlaggedTokens | Dropped {
  const template = options.chatTemplate ?? ownTemplate(tokenizer);
  try {
    const found = findChatSpans(messages, template, isTrained);
    if (found.kind === 'mismatch') return { dropped: 'template-mismatch', detail: found.reason };
    return encodeParts(spanParts(found.spans, tokenizer), tokenizer);
  } catch (error) {
    if (error instanceof UserError) return { dropped: 'template-refused', detail: error.message };
    throw error;
  }
}

const ownTemplates = new WeakMap<PromptTokenizer, ChatTemplate>();

function ownTemplate(tokenizer: PromptTokenizer): ChatTemplate {
  let template = ownTemplates.get(tokenizer);
  if (!template) {
    template = chatTemplateOf(tokenizer);
    ownTemplates.set(tokenizer, template);
  }
  return template;
}

function spanParts(spans: readonly (Span | 'end')[], tokenizer: PromptTokenizer): Part[] {
  return spans.flatMap((span): Part[] => {
    if (span === 'end') return [{ id: requireEndToken(tokenizer), isTrained: true }];
    const { text, isTrained, isTemplate } = span;
    if (!isTemplate) return [{ text, isTrained }];
    return parseTemplateText(text, tokenizer).map((part) =>
      typeof part === 'string' ? { text: part, isTrained } : { id: part, isTrained },
    );
  });
}
