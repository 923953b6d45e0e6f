// Reading one JSON object field by field: every answer is checked, and every complaint names the file and the key.

import { FormatError, UserError } from '../../engine/errors.ts';

export interface Bounds {
  min: number;
  max: number;
}

export class Fields {
  readonly where: string;
  private readonly json: Record<string, unknown>;

  /** @throws FormatError unless `json` is an object */
  constructor(json: unknown, where: string) {
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      throw new FormatError({ where, expected: 'a JSON object', found: describeJson(json) });
    }
    this.json = json as Record<string, unknown>;
    this.where = where;
  }

  keys(): string[] {
    return Object.keys(this.json);
  }

  /** The value, or undefined where the key is absent or null. */
  get(key: string): unknown {
    return Object.hasOwn(this.json, key) ? (this.json[key] ?? undefined) : undefined;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  object(key: string): Fields | undefined {
    return this.has(key) ? new Fields(this.get(key), `${this.where}: ${key}`) : undefined;
  }

  integer(key: string, { min, max }: Bounds, fallback?: number): number {
    const value = this.get(key) ?? fallback;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    throw this.fault(key, `a whole number from ${min} to ${max}`);
  }

  /** A finite number in (min, max]. */
  number(key: string, { min, max }: Bounds, fallback?: number): number {
    const value = this.get(key) ?? fallback;
    if (typeof value === 'number' && value > min && value <= max) return value;
    throw this.fault(key, `a number above ${min} and at most ${max}`);
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.get(key) ?? fallback;
    if (typeof value === 'boolean') return value;
    throw this.fault(key, 'true or false');
  }

  string(key: string, fallback?: string): string {
    const value = this.get(key) ?? fallback;
    if (typeof value === 'string') return value;
    throw this.fault(key, 'a string');
  }

  /**
   * The version of a format of heed's own.
   * @throws UserError, not FormatError, for a newer one: the file is whole, this program is too old for it
   */
  version(key: string, newest: number): number {
    const value = this.integer(key, { min: 1, max: Number.MAX_SAFE_INTEGER });
    if (value <= newest) return value;
    const where = `${this.where}: ${key}`;
    throw new UserError({ where, expected: `at most ${newest}`, found: `${value}`, advice: 'a newer heed' });
  }

  fault(key: string, expected: string, advice?: string): FormatError {
    return new FormatError({
      where: `${this.where}: ${key}`,
      expected,
      found: describeJson(this.get(key)),
      advice,
    });
  }
}

/** A JSON value in a few words, at any depth and length. */
export function describeJson(value: unknown): string {
  if (value === undefined) return 'nothing';
  const isFlat = Array.isArray(value) && value.length <= 16 && value.every((item) => !isNested(item));
  if (isNested(value) && !isFlat) return Array.isArray(value) ? 'a list' : 'an object';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function isNested(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}
