// Matches a pattern in time linear in the text, whatever the pattern: a backtracking machine that never enters the
// same (instruction, position) twice (as RE2's BitState does). Slower than JavaScript's own expressions; it serves
// the patterns on which those could take quadratic or exponential time.

import { FormatError, UserError } from '../../engine/errors.ts';
import { CodePointSet } from './character-set.ts';
import type { Pattern } from './pattern-tree.ts';

type Instruction =
  | { kind: 'set'; set: CodePointSet }
  | { kind: 'split'; first: number; second: number }
  | { kind: 'jump'; to: number }
  /** Runs the program at `entry`, `back` characters earlier, and goes on if it matches (or, negative, if not). */
  | { kind: 'look'; entry: number; back: number; negative: boolean }
  | { kind: 'match' };

const LARGEST_PROGRAM = 20_000;
const MOST_STATES = 2 ** 31;

export class PatternProgram {
  private readonly instructions: Instruction[] = [];
  private readonly start: number;
  private readonly sets = new Map<string, CodePointSet>();
  private readonly where: string;

  constructor(pattern: Pattern, where: string) {
    this.where = where;
    this.start = this.emitWhole(pattern);
  }

  /**
   * All matches, leftmost first and not overlapping, as `[start, end, start, end, …]` in UTF-16 units.
   * @throws UserError when text length × program length would need more than 2³¹ states
   */
  findAll(text: string): number[] {
    const run = new Run(this.instructions, text, this.where);
    const found: number[] = [];
    let lastEnd = -1;
    for (let at = 0; at <= text.length; ) {
      const end = run.matchAt(this.start, at);
      const isMatch = end > at || (end === at && end !== lastEnd);
      if (isMatch) found.push(at, end);
      if (isMatch) lastEnd = end;
      at = isMatch && end > at ? end : at + widthAt(text, at);
    }
    return found;
  }

  private emitWhole(pattern: Pattern): number {
    const skip = this.emit({ kind: 'jump', to: 0 });
    const entry = this.next;
    this.emitPattern(pattern);
    this.emit({ kind: 'match' });
    this.instructions[skip] = { kind: 'jump', to: this.next };
    return entry;
  }

  private emitPattern(pattern: Pattern): void {
    if (pattern.kind === 'set') this.emit({ kind: 'set', set: this.sharedSet(pattern.set) });
    else if (pattern.kind === 'sequence') for (const part of pattern.parts) this.emitPattern(part);
    else if (pattern.kind === 'choice') this.emitChoice(pattern.options);
    else if (pattern.kind === 'repeat') this.emitRepeat(pattern);
    else if (!pattern.ahead && pattern.body.kind === 'choice') this.emitPattern(lookBehindEach(pattern));
    else this.emitLook(pattern);
  }

  private emitChoice(options: readonly Pattern[]): void {
    const jumps = options.slice(0, -1).map((option) => {
      const split = this.reserve();
      this.emitPattern(option);
      const jump = this.reserve();
      this.instructions[split] = { kind: 'split', first: split + 1, second: this.next };
      return jump;
    });
    this.emitPattern(options[options.length - 1]);
    for (const jump of jumps) this.instructions[jump] = { kind: 'jump', to: this.next };
  }

  private emitRepeat({ body, min, max, mode }: Pattern & { kind: 'repeat' }): void {
    for (let i = 0; i < min; i++) this.emitPattern(body);
    const splits = max === Infinity ? [this.emitLoop(body)] : this.emitOptionals(body, max - min);
    for (const split of splits) {
      const [first, second] = mode === 'lazy' ? [this.next, split + 1] : [split + 1, this.next];
      this.instructions[split] = { kind: 'split', first, second };
    }
    if (mode === 'possessive') this.emitLook({ kind: 'look', body, ahead: true, negative: true });
  }

  private emitLoop(body: Pattern): number {
    const split = this.reserve();
    this.emitPattern(body);
    this.emit({ kind: 'jump', to: split });
    return split;
  }

  private emitOptionals(body: Pattern, count: number): number[] {
    return Array.from({ length: count }, () => {
      const split = this.reserve();
      this.emitPattern(body);
      return split;
    });
  }

  private emitLook(look: Pattern & { kind: 'look' }): void {
    const back = look.ahead ? 0 : this.fixedLength(look.body);
    const entry = this.emitWhole(look.body);
    this.emit({ kind: 'look', entry, back, negative: look.negative });
  }

  private fixedLength(pattern: Pattern): number {
    const length = fixedLength(pattern);
    if (length !== undefined) return length;
    return this.refuse('a look-behind of a fixed length', 'one of varying length');
  }

  private sharedSet(source: string): CodePointSet {
    const set = this.sets.get(source) ?? new CodePointSet(source);
    this.sets.set(source, set);
    return set;
  }

  private get next(): number {
    return this.instructions.length;
  }

  /** A place whose instruction is known only once what follows has been emitted. */
  private reserve(): number {
    return this.emit({ kind: 'jump', to: 0 });
  }

  private emit(instruction: Instruction): number {
    if (this.next >= LARGEST_PROGRAM)
      this.refuse(`a pattern of at most ${LARGEST_PROGRAM} steps`, 'a larger one');
    return this.instructions.push(instruction) - 1;
  }

  private refuse(expected: string, found: string): never {
    throw new FormatError({ where: this.where, expected, found });
  }
}

/** `(?<=a|bc)` as `(?<=a)|(?<=bc)`, and `(?<!a|bc)` as `(?<!a)(?<!bc)`: each side has its own length. */
function lookBehindEach({ body, negative }: Pattern & { kind: 'look' }): Pattern {
  const options = body.kind === 'choice' ? body.options : [body];
  const looks: Pattern[] = options.map((option) => ({ kind: 'look', body: option, ahead: false, negative }));
  return negative ? { kind: 'sequence', parts: looks } : { kind: 'choice', options: looks };
}

function fixedLength(pattern: Pattern): number | undefined {
  if (pattern.kind === 'set') return 1;
  if (pattern.kind === 'look') return 0;
  if (pattern.kind === 'repeat') {
    const once = fixedLength(pattern.body);
    return once === undefined || pattern.min !== pattern.max ? undefined : once * pattern.min;
  }
  const lengths = (pattern.kind === 'choice' ? pattern.options : pattern.parts).map(fixedLength);
  if (lengths.includes(undefined)) return undefined;
  if (pattern.kind === 'choice')
    return lengths.every((length) => length === lengths[0]) ? lengths[0] : undefined;
  return (lengths as number[]).reduce((sum, length) => sum + length, 0);
}

/** One text being matched. What failed once, or (inside look-arounds) succeeded once, is never tried again. */
class Run {
  private readonly instructions: readonly Instruction[];
  private readonly text: string;
  private readonly entered: Uint32Array;
  private readonly succeeded: Uint32Array;

  constructor(instructions: readonly Instruction[], text: string, where: string) {
    const states = (text.length + 1) * instructions.length;
    if (states > MOST_STATES) {
      const expected = `texts of at most ${Math.floor(MOST_STATES / instructions.length)} characters for this pattern`;
      throw new UserError({
        where,
        expected,
        found: `${text.length}`,
        advice: 'cutting the text into documents',
      });
    }
    this.instructions = instructions;
    this.text = text;
    this.entered = new Uint32Array(Math.ceil(states / 32));
    this.succeeded = new Uint32Array(Math.ceil(states / 32));
  }

  /** Where the preferred match that begins at `at` ends, or −1. */
  matchAt(entry: number, at: number): number {
    const path: number[] = [];
    const end = this.search(entry, at, path);
    // The states of a match did not fail, so they must stay open for the matches that follow.
    for (const state of path) clear(this.entered, state);
    return end;
  }

  private looksLike(entry: number, at: number): boolean {
    const path: number[] = [];
    if (this.search(entry, at, path) < 0) return false;
    for (const state of path) set(this.succeeded, state);
    return true;
  }

  /** Depth-first, preferred branch first; leaves in `path` the states on the way to the match. */
  private search(entry: number, at: number, path: number[]): number {
    const pending = [entry, at, 0];
    while (pending.length > 0) {
      const pathLength = pending.pop()!;
      const position = pending.pop()!;
      path.length = pathLength;
      const end = this.follow(pending.pop()!, position, path, pending);
      if (end >= 0) return end;
    }
    path.length = 0;
    return -1;
  }

  private follow(start: number, from: number, path: number[], pending: number[]): number {
    let [counter, position] = [start, from];
    while (counter >= 0) {
      const state = position * this.instructions.length + counter;
      if (has(this.succeeded, state)) return position;
      if (has(this.entered, state)) return -1;
      set(this.entered, state);
      path.push(state);
      const instruction = this.instructions[counter];
      if (instruction.kind === 'match') return position;
      if (instruction.kind === 'split') pending.push(instruction.second, position, path.length);
      const width = instruction.kind === 'set' ? this.widthIn(instruction.set, position) : 0;
      counter = this.successor(instruction, counter, position, width);
      position += width;
    }
    return -1;
  }

  private successor(instruction: Instruction, counter: number, position: number, width: number): number {
    if (instruction.kind === 'set') return width > 0 ? counter + 1 : -1;
    if (instruction.kind === 'split') return instruction.first;
    if (instruction.kind === 'jump') return instruction.to;
    if (instruction.kind === 'look') return this.holds(instruction, position) ? counter + 1 : -1;
    return -1;
  }

  private holds({ entry, back, negative }: Instruction & { kind: 'look' }, position: number): boolean {
    let at = position;
    for (let i = 0; i < back && at >= 0; i++) at = previousPosition(this.text, at);
    return (at >= 0 && this.looksLike(entry, at)) !== negative;
  }

  private widthIn(set: CodePointSet, position: number): number {
    if (position >= this.text.length) return 0;
    const code = this.text.codePointAt(position)!;
    return set.has(code) ? (code > 0xffff ? 2 : 1) : 0;
  }
}

function previousPosition(text: string, at: number): number {
  const pair = at >= 2 ? text.codePointAt(at - 2)! : 0;
  return at - (pair > 0xffff ? 2 : 1);
}

function widthAt(text: string, at: number): number {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
}

function has(bits: Uint32Array, index: number): boolean {
  return ((bits[index >>> 5] >>> (index & 31)) & 1) === 1;
}

function set(bits: Uint32Array, index: number): void {
  bits[index >>> 5] |= 1 << (index & 31);
}

function clear(bits: Uint32Array, index: number): void {
  bits[index >>> 5] &= ~(1 << (index & 31));
}
