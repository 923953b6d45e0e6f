// A value inside a JSON file that knows where it stands, so that every complaint names the file and the key.

import { FormatError } from '../../engine/errors.ts';

/** Published pipelines have up to five. */
const MOST_STEPS = 64;

export class JsonField {
  readonly value: unknown;
  private readonly file: string;
  private readonly key: string;

  constructor(value: unknown, file: string, key = '') {
    this.value = value;
    this.file = file;
    this.key = key;
  }

  /** The member `name` of an object, or the entry `name` of an array; absent members have the value undefined. */
  at(name: string | number): JsonField {
    const parent = this.value as Record<string | number, unknown>;
    const value =
      typeof parent === 'object' && parent && Object.hasOwn(parent, name) ? parent[name] : undefined;
    return new JsonField(value, this.file, joinKey(this.key, name));
  }

  /** False for null as well as for an absent member: tokenizer.json uses both for "none". */
  get present(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  record(): Record<string, unknown> {
    if (typeof this.value !== 'object' || this.value === null || Array.isArray(this.value))
      this.fail('an object');
    return this.value as Record<string, unknown>;
  }

  array(): unknown[] {
    if (!Array.isArray(this.value)) this.fail('an array');
    return this.value as unknown[];
  }

  items(): JsonField[] {
    return this.array().map((_, index) => this.at(index));
  }

  string(): string {
    if (typeof this.value !== 'string') this.fail('a string');
    return this.value as string;
  }

  /** An integer in [0, bound). */
  integerBelow(bound: number): number {
    const value = this.value as number;
    if (!Number.isInteger(value) || value < 0 || value >= bound)
      this.fail(`an integer from 0 to ${bound - 1}`);
    return value;
  }

  boolean(otherwise: boolean): boolean {
    if (!this.present) return otherwise;
    if (typeof this.value !== 'boolean') this.fail('true or false');
    return this.value as boolean;
  }

  /** The reader that belongs to this object's `type`; any other type is refused by name. */
  byType<T>(readers: Readonly<Record<string, (field: JsonField) => T>>): T {
    this.record();
    const type = this.at('type');
    const name = type.string();
    if (!Object.hasOwn(readers, name)) type.fail(Object.keys(readers).join(' or '));
    return readers[name](this);
  }

  /**
   * The members under `key` of a pipeline, those of Sequences inside it counted too.
   * @throws FormatError past MOST_STEPS: each step goes over every text
   */
  steps(key: string): JsonField[] {
    const list = this.at(key);
    if (list.array().length > MOST_STEPS || this.countSteps(key) > MOST_STEPS) {
      list.fail(`at most ${MOST_STEPS} steps, those of sequences inside included`);
    }
    return list.items();
  }

  private countSteps(key: string): number {
    const list = this.at(key);
    if (!Array.isArray(list.value)) return 0;
    return list.items().reduce((count, step) => count + 1 + step.countSteps(key), 0);
  }

  /** File and key, as errors name them. */
  get place(): string {
    return this.key ? `${this.file}: ${this.key}` : this.file;
  }

  fail(expected: string, advice?: string): never {
    throw new FormatError({ where: this.place, expected, found: describe(this.value), advice });
  }
}

function joinKey(key: string, name: string | number): string {
  if (typeof name === 'number') return `${key}[${name}]`;
  if (!/^\w+$/.test(name)) return `${key}[${quote(name)}]`;
  return key ? `${key}.${name}` : name;
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return value.length === 2 ? quote(value) : `an array of ${value.length}`;
  if (typeof value === 'string') return quote(value);
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

function quote(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
