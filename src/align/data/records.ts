// The formats that people's data already has, as one union. The format is recognised row by row from the keys,
// so one file may mix them. A key that changes what a row means is read, or the row is not.

import { describe, FieldFault, type Message, otherMedia, RowFields, thoughts } from './row-fields.ts';

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
export const conversationKeys = ['messages', 'conversations', 'conversation'];
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
      const text = row.has('text') ? row.string('text') : undefined;
      return readQuestion(row, { instruction, input, output, text });
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

/** Belongs to a question whatever it is asked under, or says that it is more than text. */
export const partsOfQuestion = [
  ...['system', 'system_prompt', 'history', 'documents', 'tools', 'functions'],
  ...otherMedia,
];
/** Of a row: each changes what it says, so that a format that does not read it cannot be meant. */
const meanings = [
  ...['prompt', 'instruction', 'input', 'context', ...partsOfQuestion],
  ...['tool_calls', ...thoughts, 'chosen', 'rejected', 'ranked', 'weight', 'train'],
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
 * @param onIgnored called with each other key that has a value; a turn's keys as `turns.KEY`
 * @returns the record, or why there is none; keys that change what a row means are never ignored
 */
export function recognise(value: unknown, onIgnored?: (key: string) => void): DataRecord | Unrecognised {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return { kind: 'unrecognised', reason: `expected an object, got ${describe(value)}` };
  }
  const row = new RowFields(value);
  const format =
    formats.find(({ keys }) => keys.every((key) => row.has(key))) ??
    formats.find(({ keys }) => keys.every((key) => row.owns(key)));
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
  const label = row.label();
  const { output, ...asked } = question;
  const messages = inConversation(row, [turnOf(asked)]);
  if (messages.length > 1) return answered(messages, output, label);
  return { kind: 'alpaca', ...question, ...(text !== undefined && { text }), ...label };
}

/** The question of an instruction, as a user asks it. */
export function turnOf({ instruction, input }: { instruction: string; input?: string }): Message {
  return { role: 'user', content: input ? `${instruction}\n${input}` : instruction };
}

function readCompletion(row: RowFields): InstructionRecord {
  const label = row.label();
  const completion = row.answer('completion');
  const prompt = row.isList('prompt') ? row.conversation('prompt').messages : row.string('prompt');
  const turns = typeof prompt === 'string' ? [turnOf({ instruction: prompt })] : prompt;
  const messages = inConversation(row, turns);
  if (typeof prompt === 'string' && typeof completion === 'string' && messages.length === 1) {
    return { kind: 'completion', prompt, completion, ...label };
  }
  return answered(messages, completion, label);
}

/** An answer alone is trained, whatever the assistant said before. */
function answered(prompt: Message[], completion: string | Message[], label: Label): InstructionRecord {
  const messages = [...prompt, ...turnsOf(completion)];
  const isTrained = messages.map(({ role }, i) => i >= prompt.length && role === 'assistant');
  return { kind: 'messages', messages, isTrained, ...label };
}

function readMessages(row: RowFields, key: string): InstructionRecord {
  const turns = row.conversation(key);
  requireOwnPrompt(row, turns.messages);
  const messages = inConversation(row, turns.messages);
  const isTrained = [
    ...Array<boolean>(messages.length - turns.messages.length).fill(false),
    ...turns.isTrained,
  ];
  const { label } = row.label();
  // A label is of the last answer.
  if (label !== undefined) {
    const last = messages.findLastIndex(({ role }) => role === 'assistant');
    return { kind: 'messages', messages, isTrained: isTrained.map((_, i) => i === last), label };
  }
  const isUsual = messages.every(({ role }, i) => isTrained[i] === (role === 'assistant'));
  return { kind: 'messages', messages, ...(!isUsual && { isTrained }) };
}

/** A prompt beside a conversation that has it says nothing new. */
function requireOwnPrompt(row: RowFields, turns: readonly Message[]): void {
  if (!row.has('prompt')) return;
  const [prompt] = row.isText('prompt')
    ? [turnOf({ instruction: row.string('prompt') })]
    : row.conversation('prompt').messages.slice(-1);
  if (turns.some((turn) => isSameTurn(turn, prompt))) return;
  throw new FieldFault('prompt: expected one of the turns of the conversation beside it');
}

/** The row's system message and its earlier turns, and after them these turns. */
function inConversation(row: RowFields, turns: readonly Message[]): Message[] {
  const system = row.system();
  const first = turns[0]?.role === 'system' ? turns.slice(0, 1) : [];
  if (system.length > 0 && first.length > 0 && system[0].content !== first[0].content) {
    throw new FieldFault('system: another system message than that of the first turn');
  }
  return [...(first.length > 0 ? first : system), ...row.history(), ...turns.slice(first.length)];
}

function readPreference(row: RowFields): PreferenceRecord {
  const strength = row.strength();
  const [chosen, rejected] = [row.answer('chosen'), row.answer('rejected')];
  if (Array.isArray(chosen) && Array.isArray(rejected) && [chosen, rejected].every(beginsWithPrompt)) {
    return { ...afterSharedTurns(row, chosen, rejected), ...strength };
  }
  const key = [...conversationKeys, 'prompt'].find((name) => row.isList(name) && row.has(name));
  if (key !== undefined) {
    const turns = row.conversation(key).messages;
    if (key !== 'prompt') requireOwnPrompt(row, turns);
    return { ...afterTurns(inConversation(row, turns), chosen, rejected), ...strength };
  }
  const asked = askedIn(row);
  if (!asked) {
    if (
      typeof chosen === 'string' &&
      typeof rejected === 'string' &&
      row.unread().every((name) => !row.isText(name))
    ) {
      return { kind: 'preference', ...splitTexts(chosen, rejected), ...strength };
    }
    throw new FieldFault('chosen, rejected: expected a prompt, or texts or conversations that begin alike');
  }
  const prompt = inConversation(row, [turnOf(asked)]);
  if (typeof chosen === 'string' && typeof rejected === 'string' && prompt.length === 1) {
    const { isPlain, ...question } = asked;
    const answers = { chosen, rejected, ...strength };
    return isPlain
      ? { kind: 'preference', prompt: question.instruction, ...answers }
      : { kind: 'preference-alpaca', ...question, ...answers };
  }
  return { ...afterTurns(prompt, chosen, rejected), ...strength };
}

/** Whole conversations: the prompt is what they begin with, whatever else repeats it. */
function afterSharedTurns(
  row: RowFields,
  chosen: readonly Message[],
  rejected: readonly Message[],
): PreferenceRecord {
  const shared = sharedTurns(chosen, rejected);
  const prompt = chosen.slice(0, shared);
  for (const key of [...conversationKeys, 'prompt']) {
    if (!row.isList(key) || !row.has(key)) continue;
    const turns = row.conversation(key).messages;
    const isSame = [prompt, chosen].some(
      (other) => other.length === turns.length && other.every((turn, i) => isSameTurn(turn, turns[i])),
    );
    if (!isSame) throw new FieldFault(`${key}: expected the turns that chosen and rejected share`);
  }
  const asked = row.isList('prompt') ? undefined : askedIn(row);
  if (asked && !prompt.some((turn) => isSameTurn(turn, turnOf(asked)))) {
    throw new FieldFault('prompt: expected a turn that chosen and rejected share');
  }
  return afterTurns(inConversation(row, prompt), chosen.slice(shared), rejected.slice(shared));
}

/** A question beside the answers: a plain prompt, or an instruction. An empty one is one too. */
function askedIn(row: RowFields): { isPlain: boolean; instruction: string; input?: string } | undefined {
  const key = ['prompt', 'instruction', 'question', 'query'].find((name) => row.owns(name));
  if (key === undefined) return undefined;
  const instruction = row.string(key);
  if (key === 'prompt') return { isPlain: true, instruction };
  const input = row.optionalString('input');
  return { isPlain: false, instruction, ...(input !== undefined && { input }) };
}

function afterTurns(
  prompt: Message[],
  chosen: string | Message[],
  rejected: string | Message[],
): PreferenceRecord {
  const answers = [chosen, rejected].map(turnsOf);
  for (const [i, key] of ['chosen', 'rejected'].entries()) {
    if (answers[i].at(-1)?.role !== 'assistant')
      throw new FieldFault(`${key}: expected to end with a turn of the assistant`);
  }
  if (prompt.at(-1)?.role === 'assistant')
    throw new FieldFault('chosen, rejected: expected a conversation before them that ends with a question');
  return { kind: 'preference-messages', prompt, chosen: answers[0], rejected: answers[1] };
}

const turnsOf = (answer: string | Message[]): Message[] =>
  typeof answer === 'string' ? [{ role: 'assistant', content: answer }] : answer;

const beginsWithPrompt = (turns: readonly Message[]): boolean => turns[0]?.role !== 'assistant';

const isSameTurn = (a: Message, b: Message | undefined): boolean =>
  a.role === b?.role && a.content === b.content;

/** Turns that both begin with, at most all but the last of each. */
function sharedTurns(chosen: readonly Message[], rejected: readonly Message[]): number {
  const most = Math.max(0, Math.min(chosen.length, rejected.length) - 1);
  for (let i = 0; i < most; i++) if (!isSameTurn(chosen[i], rejected[i])) return i;
  return most;
}

/** As TRL splits texts that have no prompt of their own: where they part, with the space before it in the answers. */
function splitTexts(chosen: string, rejected: string): { prompt: string; chosen: string; rejected: string } {
  let shared = 0;
  while (shared < Math.min(chosen.length, rejected.length) && chosen[shared] === rejected[shared]) shared++;
  if (/[\ud800-\udbff]/.test(chosen[shared - 1] ?? '')) shared--;
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
