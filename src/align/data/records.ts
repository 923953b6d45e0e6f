// The formats that people's data already has, as one union. The format is recognised row by row from the keys,
// so one file may mix them. A key that changes what a row means is read, or the row is not.

import { type Conversation, describe, FieldFault, type Message, RowFields } from './row-fields.ts';

export type { Message, Role } from './row-fields.ts';

export type InstructionRecord = (
  | { kind: 'alpaca'; instruction: string; input?: string; output: string; text?: string }
  | { kind: 'completion'; prompt: string; completion: string }
  /** `isTrained`: of each message; absent, every turn of the assistant is trained. */
  | { kind: 'messages'; messages: Message[]; isTrained?: boolean[] }
  | { kind: 'tokens'; promptIds: number[]; completionIds: number[] }
) &
  Label;

/** Whether people called the answer good, where the row says so: TRL's unpaired preferences. */
interface Label {
  label?: boolean;
}

/** An answer that is marked good or bad. */
export type MarkedRecord = InstructionRecord & Required<Label>;

/** `strength`: by how much the chosen answer was preferred, on whatever scale the labels have. */
export type PreferenceRecord = { strength?: number } & (
  | { kind: 'preference'; prompt: string; chosen: string; rejected: string }
  | { kind: 'preference-alpaca'; instruction: string; input?: string; chosen: string; rejected: string }
  | { kind: 'preference-messages'; prompt: Message[]; chosen: Message[]; rejected: Message[] }
  | { kind: 'preference-tokens'; promptIds: number[]; chosenIds: number[]; rejectedIds: number[] }
);

/** Answers to one prompt, the best first. */
export type RankingRecord =
  | { kind: 'ranking'; prompt: string; ranked: string[] }
  | { kind: 'ranking-tokens'; promptIds: number[]; rankedIds: number[][] };

/** A row for pretraining: nothing but text. */
export interface TextRecord {
  kind: 'text';
  text: string;
}

export type DataRecord = InstructionRecord | PreferenceRecord | RankingRecord | TextRecord;

/** A row that is JSON but no record; `reason` is for the quarantine file. */
export interface Unrecognised {
  kind: 'unrecognised';
  reason: string;
}

interface Format {
  keys: readonly string[];
  /** Keys that may say the same in text. */
  texts?: readonly string[];
  read: (row: RowFields) => DataRecord;
}

/** What a conversation is kept under. */
const conversationKeys = ['messages', 'conversations', 'conversation'];
/** What a question is asked and answered under, besides Alpaca's keys. */
const questionKeys = [
  ['instruction', 'response'],
  ['question', 'answer'],
  ['query', 'response'],
  ['input', 'output'],
] as const;

/** What a row must have to be read as a format; the first whose keys are all there decides. */
const formats: readonly Format[] = [
  {
    keys: ['prompt_ids', 'chosen_ids', 'rejected_ids'],
    texts: ['prompt', 'chosen', 'rejected'],
    read: (row) => ({
      kind: 'preference-tokens',
      promptIds: row.ids('prompt_ids'),
      chosenIds: row.ids('chosen_ids'),
      rejectedIds: row.ids('rejected_ids'),
      ...row.strength(),
    }),
  },
  {
    keys: ['prompt_ids', 'ranked_ids'],
    texts: ['prompt', 'ranked'],
    read: (row) => ({
      kind: 'ranking-tokens',
      promptIds: row.ids('prompt_ids'),
      rankedIds: row.idLists('ranked_ids'),
    }),
  },
  {
    keys: ['prompt_ids', 'completion_ids'],
    texts: ['prompt', 'completion'],
    read: (row) => ({
      kind: 'tokens',
      promptIds: row.ids('prompt_ids'),
      completionIds: row.ids('completion_ids'),
      ...row.label(),
    }),
  },
  { keys: ['chosen', 'rejected'], read: readPreference },
  {
    keys: ['prompt', 'ranked'],
    read: (row) => ({ kind: 'ranking', prompt: row.string('prompt'), ranked: row.strings('ranked') }),
  },
  ...conversationKeys.map((key) => ({ keys: [key], read: (row: RowFields) => readMessages(row, key) })),
  {
    keys: ['instruction', 'output'],
    read: (row) => {
      const instruction = row.string('instruction');
      const input = row.optionalString('input');
      const output = row.string('output');
      return readQuestion(row, {
        instruction,
        input,
        output,
        text: row.has('text') ? row.string('text') : undefined,
      });
    },
  },
  { keys: ['prompt', 'completion'], read: readCompletion },
  ...questionKeys.map(([asked, answered]) => ({
    keys: [asked, answered],
    read: (row: RowFields) => {
      const context = ['input', 'context'].find((key) => key !== asked && row.has(key));
      const input = context && row.string(context);
      return readQuestion(row, { instruction: row.string(asked), input, output: row.string(answered) });
    },
  })),
  { keys: ['text'], read: (row) => ({ kind: 'text', text: row.string('text') }) },
];

/** Keys that rows are recognised by. */
export const rowKeys: ReadonlySet<string> = new Set(formats.flatMap(({ keys }) => keys));

/** Of a row: each changes what it says, so that a format that does not read it cannot be meant. */
const meanings = [
  ...['system', 'history', 'tools', 'functions', 'tool_calls', 'documents'],
  ...['images', 'image', 'videos', 'video', 'audios', 'audio'],
  ...['chosen', 'rejected', 'ranked', 'input', 'context', 'weight', 'train', 'reasoning_content'],
];

/** What heed label writes beside an answer, for people. */
const notes = ['problem', 'annotator'];

/**
 * Recognises a row. A conversation is a list of turns under `messages` or `conversations`, each with `role` or `from` and
 * `content` or `value`; `system` and `history` beside any text belong to it.
 * - instructions: Alpaca (`instruction`, `input`, `output`), `prompt`/`completion` (texts, or turns), conversations,
 *   `question`/`answer` and the like, ids (`prompt_ids`/`completion_ids`); a `label` or `kto_tag` of true or false marks
 *   the answer good or bad
 * - preferences: `chosen` and `rejected`, as texts or turns, after a `prompt`, an instruction or a conversation, or after
 *   the beginning that both share; or `prompt_ids`, `chosen_ids`, `rejected_ids`; and maybe `strength`
 * - rankings: `prompt` and `ranked`, or `prompt_ids` and `ranked_ids`
 * - `text`
 * @param onIgnored is told of every other key that says something, those of turns as `turns.KEY`
 * @returns the record, or why there is none; keys that change what a row means are never ignored
 */
export function recognise(value: unknown, onIgnored?: (key: string) => void): DataRecord | Unrecognised {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return { kind: 'unrecognised', reason: `expected an object, got ${describe(value)}` };
  }
  const row = new RowFields(value as Record<string, unknown>);
  const format =
    formats.find(({ keys }) => keys.every((key) => row.has(key))) ??
    formats.find(({ keys }) => keys.every((key) => Object.hasOwn(value, key)));
  if (!format) return { kind: 'unrecognised', reason: `no known format has the keys ${listKeys(value)}` };
  try {
    const record = format.read(row);
    const unread = row.unread().filter((key) => !format.texts?.includes(key));
    const meant = unread.find((key) => meanings.includes(key));
    if (meant !== undefined) {
      const reason = `${meant}: not read beside ${format.keys.join(', ')}, and the row means it`;
      return { kind: 'unrecognised', reason };
    }
    for (const key of unread) if (!notes.includes(key)) onIgnored?.(key);
    for (const key of row.ignoredOfTurns) onIgnored?.(`turns.${key}`);
    return record;
  } catch (error) {
    if (error instanceof FieldFault) return { kind: 'unrecognised', reason: error.message };
    throw error;
  }
}

/** With a system message or earlier turns an instruction is a turn of a conversation. */
function readQuestion(
  row: RowFields,
  { text, ...question }: { instruction: string; input?: string; output: string; text?: string },
): InstructionRecord {
  const before = [...row.system(), ...row.history()];
  if (before.length === 0)
    return { kind: 'alpaca', ...question, ...(text !== undefined && { text }), ...row.label() };
  const { instruction, input, output } = question;
  const content = input ? `${instruction}\n${input}` : instruction;
  return answered([...before, { role: 'user', content }], output, row.label());
}

function readCompletion(row: RowFields): InstructionRecord {
  const label = row.label();
  const before = [...row.system(), ...row.history()];
  const completion = row.answer('completion');
  const prompt = row.isList('prompt') ? row.conversation('prompt').messages : row.string('prompt');
  if (typeof prompt === 'string' && typeof completion === 'string' && before.length === 0) {
    return { kind: 'completion', prompt, completion, ...label };
  }
  const asked: Message[] = typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt;
  return answered([...before, ...asked], completion, label);
}

/** An answer alone is trained, whatever the assistant said before. */
function answered(prompt: Message[], completion: string | Message[], label: Label): InstructionRecord {
  const messages = [...prompt, ...turnsOf(completion)];
  const isTrained = messages.map(({ role }, i) => i >= prompt.length && role === 'assistant');
  return { kind: 'messages', messages, isTrained, ...label };
}

function readMessages(row: RowFields, key: string): InstructionRecord {
  const conversation = withSystem(row, row.conversation(key));
  const { messages, isTrained } = conversation;
  const { label } = row.label();
  // A label is of the last answer.
  if (label !== undefined) {
    const last = messages.findLastIndex(({ role }) => role === 'assistant');
    return { kind: 'messages', messages, isTrained: isTrained.map((_, i) => i === last), label };
  }
  const isUsual = messages.every(({ role }, i) => isTrained[i] === (role === 'assistant'));
  return { kind: 'messages', messages, ...(!isUsual && { isTrained }) };
}

function withSystem(row: RowFields, { messages, isTrained }: Conversation): Conversation {
  const system = row.system();
  if (system.length > 0 && messages[0]?.role === 'system' && messages[0].content !== system[0].content) {
    throw new FieldFault('system: another system message than that of the first turn');
  }
  const isNew = messages[0]?.role !== 'system';
  const before = [...(isNew ? system : []), ...row.history()];
  return { messages: [...before, ...messages], isTrained: [...before.map(() => false), ...isTrained] };
}

function readPreference(row: RowFields): PreferenceRecord {
  const [chosen, rejected] = [row.answer('chosen'), row.answer('rejected')];
  const strength = row.strength();
  const key = [...conversationKeys, 'prompt'].find((name) => row.isList(name) && row.has(name));
  if (key !== undefined) {
    const prompt = withSystem(row, row.conversation(key)).messages;
    return { ...afterTurns(prompt, chosen, rejected), ...strength };
  }
  const asked = askedIn(row);
  const before = [...row.system(), ...row.history()];
  if (typeof chosen === 'string' && typeof rejected === 'string' && before.length === 0) {
    if (!asked) return { kind: 'preference', ...splitTexts(chosen, rejected), ...strength };
    const answers = { chosen, rejected, ...strength };
    return asked.isPlain
      ? { kind: 'preference', prompt: asked.instruction, ...answers }
      : { kind: 'preference-alpaca', instruction: asked.instruction, input: asked.input, ...answers };
  }
  const content = asked?.input ? `${asked.instruction}\n${asked.input}` : asked?.instruction;
  if (Array.isArray(chosen) && Array.isArray(rejected) && [chosen, rejected].every(beginsWithPrompt)) {
    const shared = sharedTurns(chosen, rejected);
    const prompt = chosen.slice(0, shared);
    if (content !== undefined && !prompt.some((turn) => turn.content === content)) {
      throw new FieldFault('prompt: expected a turn that chosen and rejected share');
    }
    return {
      ...afterTurns([...before, ...prompt], chosen.slice(shared), rejected.slice(shared)),
      ...strength,
    };
  }
  if (content === undefined)
    throw new FieldFault('chosen, rejected: expected a prompt, or texts or conversations that begin alike');
  return { ...afterTurns([...before, { role: 'user', content }], chosen, rejected), ...strength };
}

/** A question beside the answers: a plain prompt, or an instruction. */
function askedIn(row: RowFields): { isPlain: boolean; instruction: string; input?: string } | undefined {
  if (row.has('prompt')) return { isPlain: true, instruction: row.string('prompt') };
  const key = ['instruction', 'question', 'query'].find((name) => row.has(name));
  if (key === undefined) return undefined;
  return { isPlain: false, instruction: row.string(key), input: row.optionalString('input') };
}

function afterTurns(
  prompt: Message[],
  chosen: string | Message[],
  rejected: string | Message[],
): PreferenceRecord {
  const answers = [chosen, rejected].map(turnsOf);
  for (const [i, key] of ['chosen', 'rejected'].entries()) {
    if (answers[i].at(-1)?.role === 'assistant') continue;
    throw new FieldFault(`${key}: expected to end with a turn of the assistant`);
  }
  return { kind: 'preference-messages', prompt, chosen: answers[0], rejected: answers[1] };
}

const turnsOf = (answer: string | Message[]): Message[] =>
  typeof answer === 'string' ? [{ role: 'assistant', content: answer }] : answer;

const beginsWithPrompt = (turns: readonly Message[]): boolean => turns[0]?.role !== 'assistant';

/** Turns that both begin with, at most all but the last of each. */
function sharedTurns(chosen: readonly Message[], rejected: readonly Message[]): number {
  const most = Math.min(chosen.length, rejected.length) - 1;
  const differ = (i: number) =>
    chosen[i].role !== rejected[i].role || chosen[i].content !== rejected[i].content;
  for (let i = 0; i < most; i++) if (differ(i)) return i;
  return Math.max(0, most);
}

/** As TRL splits texts that have no prompt of their own: where they part, with the space before it in the answers. */
function splitTexts(chosen: string, rejected: string): { prompt: string; chosen: string; rejected: string } {
  let shared = 0;
  while (shared < Math.min(chosen.length, rejected.length) && chosen[shared] === rejected[shared]) shared++;
  if (chosen[shared - 1] === ' ') shared--;
  if (shared <= 0)
    throw new FieldFault('prompt: expected one, or a beginning that chosen and rejected share');
  return { prompt: chosen.slice(0, shared), chosen: chosen.slice(shared), rejected: rejected.slice(shared) };
}

function listKeys(value: object): string {
  const keys = Object.keys(value);
  if (keys.length === 0) return '(none)';
  return keys.slice(0, 8).join(', ').slice(0, 160);
}
