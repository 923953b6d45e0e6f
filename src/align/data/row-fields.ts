// Reads the fields of one JSON object of people's data: what does not fit throws a FieldFault that names the field.
// Only a row's own keys count: `__proto__` and the like mean nothing.

export type Role = 'system' | 'user' | 'assistant';

export interface Message {
  role: Role;
  content: string;
}

/** A list of messages, and which of them a row wants trained: its assistants' turns, but for those that it excepts. */
export interface Conversation {
  messages: Message[];
  isTrained: boolean[];
}

export class FieldFault extends Error {}

const roles: Readonly<Record<string, Role>> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  human: 'user',
  assistant: 'assistant',
  gpt: 'assistant',
  chatgpt: 'assistant',
  model: 'assistant',
  bot: 'assistant',
};
/** Turns that a function calls or answers; heed cannot render them yet. */
const toolRoles = ['tool', 'function', 'function_call', 'observation'];

const roleKeys = ['role', 'from'];
const contentKeys = ['content', 'value'];
/** Of a row or a turn: more than text, which heed cannot show a model. */
export const otherMedia = ['images', 'image', 'videos', 'video', 'audios', 'audio'];
/** Of a row or a turn: what an assistant thinks before it speaks. */
export const thoughts = ['reasoning_content', 'reasoning', 'thinking'];
/** Of a turn: each changes what the turn says. */
const meaningsOfTurn = ['tool_calls', 'function_call', 'tool_call_id', ...thoughts, ...otherMedia];
/** Of a turn: whether it is trained, where 0 or false says no. */
const trainKeys = ['weight', 'train'];

export class RowFields {
  private readonly fields: Record<string, unknown>;
  private readonly read = new Set<string>();
  /** Keys within turns that say nothing that heed knows. */
  readonly ignoredOfTurns = new Set<string>();

  /** @param row null is the same as absent */
  constructor(row: object) {
    this.fields = withoutNulls(row);
  }

  /** Whether the row says something under the key; it counts as read only once it is asked for. */
  has(key: string): boolean {
    return !isNothing(this.peek(key));
  }

  /** Whether the key is there, though it may say nothing. */
  owns(key: string): boolean {
    return this.peek(key) !== undefined;
  }

  isText(key: string): boolean {
    return typeof this.peek(key) === 'string';
  }

  /** Keys that say something and that nobody has asked for. */
  unread(): string[] {
    return Object.keys(this.fields).filter((key) => !this.read.has(key) && this.has(key));
  }

  string(key: string): string {
    return asString(this.own(key), key);
  }

  optionalString(key: string): string | undefined {
    const value = this.own(key);
    return value === undefined ? undefined : asString(value, key);
  }

  ids(key: string): number[] {
    return asIds(this.own(key), key);
  }

  idLists(key: string): number[][] {
    return asArray(this.own(key), key).map((ids, i) => asIds(ids, `${key}[${i}]`));
  }

  strings(key: string): string[] {
    return asArray(this.own(key), key).map((text, i) => asString(text, `${key}[${i}]`));
  }

  strength(): { strength?: number } {
    const value = this.own('strength');
    if (value === undefined) return {};
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    if (typeof number === 'number' && Number.isFinite(number)) return { strength: number };
    throw new FieldFault(`strength: expected a number, got ${describe(value)}`);
  }

  /** Many data sets call something else a label, which says nothing here. */
  label(): { label?: boolean } {
    const key = ['label', 'kto_tag'].find((name) => truthOf(this.peek(name)) !== undefined);
    return key === undefined ? {} : { label: truthOf(this.own(key)) };
  }

  isList(key: string): boolean {
    return Array.isArray(this.peek(key));
  }

  conversation(key: string): Conversation {
    const turns = asArray(this.own(key), key).map((turn, i) => this.turn(turn, `${key}[${i}]`));
    return {
      messages: turns.map(({ message }) => message),
      isTrained: turns.map(({ isTrained }) => isTrained),
    };
  }

  /** An answer as a text, or as the turn or turns that it consists of. */
  answer(key: string): string | Message[] {
    const value = this.peek(key);
    if (typeof value === 'string') return this.string(key);
    if (Array.isArray(value)) return this.conversation(key).messages;
    return [this.turn(this.own(key), key).message];
  }

  /** Earlier turns as pairs of a question and an answer. */
  history(): Message[] {
    if (!this.has('history')) return [];
    return asArray(this.own('history'), 'history').flatMap((pair, i): Message[] => {
      const [user, assistant, ...rest] = asArray(pair, `history[${i}]`);
      if (rest.length > 0) throw new FieldFault(`history[${i}]: expected a question and an answer`);
      return [
        { role: 'user', content: asString(user, `history[${i}][0]`) },
        { role: 'assistant', content: asString(assistant, `history[${i}][1]`) },
      ];
    });
  }

  /** The row's own system message. */
  system(): Message[] {
    const key = ['system', 'system_prompt'].find((name) => this.has(name));
    return key === undefined ? [] : [{ role: 'system', content: this.string(key) }];
  }

  private own(key: string): unknown {
    this.read.add(key);
    return this.peek(key);
  }

  private peek(key: string): unknown {
    return Object.hasOwn(this.fields, key) ? this.fields[key] : undefined;
  }

  private turn(turn: unknown, where: string): { message: Message; isTrained: boolean } {
    if (turn === null || typeof turn !== 'object' || Array.isArray(turn)) {
      throw new FieldFault(`${where}: expected an object, got ${describe(turn)}`);
    }
    const own = (key: string): unknown =>
      Object.hasOwn(turn, key) ? (turn as Record<string, unknown>)[key] : undefined;
    const keyOf = (keys: readonly string[]) =>
      keys.find((key) => own(key) !== undefined && own(key) !== null) ?? keys[0];
    const meant = meaningsOfTurn.find((key) => !isNothing(own(key)));
    if (meant) throw new FieldFault(`${where}.${meant}: cannot be rendered yet, and the row means it`);
    const [roleKey, contentKey] = [keyOf(roleKeys), keyOf(contentKeys)];
    const name = asString(own(roleKey), `${where}.${roleKey}`);
    if (toolRoles.includes(name)) {
      throw new FieldFault(`${where}.${roleKey}: turns of a ${name} cannot be rendered yet`);
    }
    if (!Object.hasOwn(roles, name)) {
      const expected = Object.keys(roles).join(', ');
      throw new FieldFault(`${where}.${roleKey}: expected ${expected}, got ${describe(name)}`);
    }
    for (const key of Object.keys(turn)) {
      if (![...roleKeys, ...contentKeys, ...trainKeys].includes(key) && !isNothing(own(key)))
        this.ignoredOfTurns.add(key);
    }
    const role = roles[name];
    return {
      message: { role, content: readContent(own(contentKey), `${where}.${contentKey}`) },
      isTrained: role === 'assistant' && trainKeys.every((key) => isTrainedBy(own(key), `${where}.${key}`)),
    };
  }
}

/** Tables of several forms have all their columns in every row. */
export function withoutNulls(row: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null && value !== undefined));
}

/** What a key says where it says nothing: absent, null, an empty text or list or object. */
export function isNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

function isTrainedBy(value: unknown, where: string): boolean {
  if (value === undefined || value === null) return true;
  const truth = truthOf(value);
  if (truth === undefined)
    throw new FieldFault(`${where}: expected 0, 1, false or true, got ${describe(value)}`);
  return truth;
}

/** As JSON and as tables of text have it. */
function truthOf(value: unknown): boolean | undefined {
  const text = String(value).toLowerCase();
  if (text === 'true' || text === '1') return true;
  return text === 'false' || text === '0' ? false : undefined;
}

/** A string, or a list of text parts, which are joined. */
function readContent(content: unknown, where: string): string {
  if (!Array.isArray(content)) return asString(content, where);
  const texts = content.map((part: { type?: unknown; text?: unknown } | string | null, i) => {
    if (typeof part === 'string') return part;
    return part?.type === 'text' ? asString(part.text, `${where}[${i}].text`) : undefined;
  });
  const other = texts.indexOf(undefined);
  if (other >= 0) {
    const found = describe((content[other] as { type?: unknown } | null)?.type);
    throw new FieldFault(`${where}[${other}]: expected a part of type text, got ${found}`);
  }
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

export function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (value !== null && typeof value === 'object') return 'an object';
  return String(JSON.stringify(value)).slice(0, 60);
}
