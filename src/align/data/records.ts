// The formats that people's data already has, as one union. The format is recognised row by row from the keys,
// so one file may mix them. Only a row's own keys count: `__proto__` and the like mean nothing.

export type Role = 'system' | 'user' | 'assistant';

export interface Message {
  role: Role;
  content: string;
}

export type InstructionRecord =
  | { kind: 'alpaca'; instruction: string; input?: string; output: string; text?: string }
  | ({ kind: 'completion'; prompt: string; completion: string } & Label)
  | { kind: 'messages'; messages: Message[] }
  | ({ kind: 'tokens'; promptIds: number[]; completionIds: number[] } & Label);

/** Whether people called the answer good, where the row says so: TRL's unpaired preferences. */
interface Label {
  label?: boolean;
}

/** An answer that is marked good or bad. */
export type MarkedRecord = Extract<InstructionRecord, { kind: 'completion' | 'tokens' }> & Required<Label>;

/** `strength`: by how much the chosen answer was preferred, on whatever scale the labels have. */
export type PreferenceRecord = { strength?: number } & (
  | { kind: 'preference'; prompt: string; chosen: string; rejected: string }
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

/** What a row must have to be read as a format; the first whose keys are all there decides. */
const formats: readonly { keys: readonly string[]; read: (row: Row) => DataRecord }[] = [
  { keys: ['messages'], read: (row) => ({ kind: 'messages', messages: row.messages('messages') }) },
  { keys: ['conversations'], read: (row) => ({ kind: 'messages', messages: row.shareGpt('conversations') }) },
  {
    keys: ['prompt_ids', 'chosen_ids', 'rejected_ids'],
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
    read: (row) => ({
      kind: 'ranking-tokens',
      promptIds: row.ids('prompt_ids'),
      rankedIds: row.idLists('ranked_ids'),
    }),
  },
  {
    keys: ['prompt_ids', 'completion_ids'],
    read: (row) => ({
      kind: 'tokens',
      promptIds: row.ids('prompt_ids'),
      completionIds: row.ids('completion_ids'),
      ...row.label(),
    }),
  },
  {
    keys: ['prompt', 'chosen', 'rejected'],
    read: (row) => ({
      kind: 'preference',
      prompt: row.string('prompt'),
      chosen: row.string('chosen'),
      rejected: row.string('rejected'),
      ...row.strength(),
    }),
  },
  {
    keys: ['prompt', 'ranked'],
    read: (row) => ({ kind: 'ranking', prompt: row.string('prompt'), ranked: row.strings('ranked') }),
  },
  {
    keys: ['instruction', 'output'],
    read: (row) => ({
      kind: 'alpaca',
      instruction: row.string('instruction'),
      input: row.optionalString('input'),
      output: row.string('output'),
      text: row.optionalString('text'),
    }),
  },
  {
    keys: ['prompt', 'completion'],
    read: (row) => ({
      kind: 'completion',
      prompt: row.string('prompt'),
      completion: row.string('completion'),
      ...row.label(),
    }),
  },
  { keys: ['text'], read: (row) => ({ kind: 'text', text: row.string('text') }) },
];

/**
 * Recognises a row: Alpaca (`instruction`, `input`, `output`), `prompt`/`completion`, `messages`, ShareGPT
 * (`conversations`), token ids (`prompt_ids`/`completion_ids`), preferences (`prompt`, `chosen`, `rejected`, or
 * their `_ids`, and maybe `strength`), rankings (`prompt`, `ranked`, or their `_ids`), `text`. A `label` of true or
 * false marks a completion. Further keys are left alone, and so are labels of any other kind.
 */
export function recognise(value: unknown): DataRecord | Unrecognised {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return { kind: 'unrecognised', reason: `expected an object, got ${describe(value)}` };
  }
  const format = formats.find(({ keys }) => keys.every((key) => Object.hasOwn(value, key)));
  if (!format) return { kind: 'unrecognised', reason: `no known format has the keys ${listKeys(value)}` };
  try {
    return format.read(new Row(value as Record<string, unknown>));
  } catch (error) {
    if (error instanceof FieldFault) return { kind: 'unrecognised', reason: error.message };
    throw error;
  }
}

class FieldFault extends Error {}

const shareGptRoles: Readonly<Record<string, Role>> = {
  system: 'system',
  human: 'user',
  user: 'user',
  gpt: 'assistant',
  chatgpt: 'assistant',
  assistant: 'assistant',
};
const messageRoles: Readonly<Record<string, Role>> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  assistant: 'assistant',
};

/** Reads fields of one JSON object; what does not fit throws a FieldFault that names the field. */
class Row {
  private readonly fields: Record<string, unknown>;

  constructor(fields: Record<string, unknown>) {
    this.fields = fields;
  }

  string(key: string): string {
    return asString(this.fields[key], key);
  }

  /** Absent and null are the same. */
  optionalString(key: string): string | undefined {
    const value = Object.hasOwn(this.fields, key) ? this.fields[key] : undefined;
    return value === undefined || value === null ? undefined : asString(value, key);
  }

  ids(key: string): number[] {
    return asIds(this.fields[key], key);
  }

  idLists(key: string): number[][] {
    return asArray(this.fields[key], key).map((ids, i) => asIds(ids, `${key}[${i}]`));
  }

  strings(key: string): string[] {
    return asArray(this.fields[key], key).map((text, i) => asString(text, `${key}[${i}]`));
  }

  /** Absent and null are the same. */
  strength(): { strength?: number } {
    const value = Object.hasOwn(this.fields, 'strength') ? this.fields.strength : undefined;
    if (value === undefined || value === null) return {};
    if (typeof value === 'number') return { strength: value };
    throw new FieldFault(`strength: expected a number, got ${describe(value)}`);
  }

  /** Many data sets call something else a label, which says nothing here. */
  label(): { label?: boolean } {
    const value = Object.hasOwn(this.fields, 'label') ? this.fields.label : undefined;
    return typeof value === 'boolean' ? { label: value } : {};
  }

  messages(key: string): Message[] {
    return asArray(this.fields[key], key).map((turn, i) =>
      readTurn(turn, `${key}[${i}]`, { role: 'role', content: 'content', roles: messageRoles }),
    );
  }

  shareGpt(key: string): Message[] {
    return asArray(this.fields[key], key).map((turn, i) =>
      readTurn(turn, `${key}[${i}]`, { role: 'from', content: 'value', roles: shareGptRoles }),
    );
  }
}

interface TurnFormat {
  role: string;
  content: string;
  roles: Readonly<Record<string, Role>>;
}

function readTurn(turn: unknown, where: string, format: TurnFormat): Message {
  if (turn === null || typeof turn !== 'object') {
    throw new FieldFault(`${where}: expected an object, got ${describe(turn)}`);
  }
  const own = (key: string): unknown =>
    Object.hasOwn(turn, key) ? (turn as Record<string, unknown>)[key] : undefined;
  const role = asString(own(format.role), `${where}.${format.role}`);
  if (!Object.hasOwn(format.roles, role)) {
    throw new FieldFault(
      `${where}.${format.role}: expected ${Object.keys(format.roles).join(', ')}, got ${describe(role)}`,
    );
  }
  return {
    role: format.roles[role],
    content: readContent(own(format.content), `${where}.${format.content}`),
  };
}

/** A string, or a list of text parts, which are joined. */
function readContent(content: unknown, where: string): string {
  if (!Array.isArray(content)) return asString(content, where);
  const texts = content.map((part: { type?: unknown; text?: unknown } | null, i) =>
    part?.type === 'text' ? asString(part.text, `${where}[${i}].text`) : undefined,
  );
  const other = texts.indexOf(undefined);
  if (other >= 0) throw new FieldFault(`${where}[${other}]: expected a part of type text`);
  return texts.join('');
}

function asString(value: unknown, where: string): string {
  if (typeof value === 'string') return value;
  throw new FieldFault(`${where}: expected a string, got ${describe(value)}`);
}

function asIds(value: unknown, where: string): number[] {
  const ids = asArray(value, where);
  const wrong = ids.findIndex(
    (id) => !Number.isInteger(id) || (id as number) < 0 || (id as number) > 2 ** 31 - 1,
  );
  if (wrong < 0) return ids as number[];
  throw new FieldFault(`${where}[${wrong}]: expected a token id, got ${describe(ids[wrong])}`);
}

function asArray(value: unknown, where: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw new FieldFault(`${where}: expected a list, got ${describe(value)}`);
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (value !== null && typeof value === 'object') return 'an object';
  return String(JSON.stringify(value)).slice(0, 60);
}

function listKeys(value: object): string {
  const keys = Object.keys(value);
  if (keys.length === 0) return '(none)';
  return keys.slice(0, 8).join(', ').slice(0, 160);
}
