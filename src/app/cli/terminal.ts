// Where a command speaks. Text for people goes to stdout, notes and progress to stderr; with --json stdout holds
// the result alone. Colours and redrawing only where somebody watches.

import { toStored } from '../../language/stored-names.ts';
import { Progress, type ProgressLine, type ProgressOptions, type Stream } from './progress.ts';
import { visible } from './visible.ts';

export interface TerminalOptions {
  stdout: Stream;
  stderr: Stream;
  environment: Readonly<Record<string, string | undefined>>;
  json: boolean;
  /** Milliseconds, rising. */
  now?: () => number;
}

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 };
export type Colour = keyof typeof codes;

export class Terminal {
  private readonly options: TerminalOptions;
  private readonly open: Progress;
  /** Whose words these are, where several works speak at once. */
  private readonly name: string | undefined;
  private progressLine: ProgressLine | undefined;
  /** Pieces of a line that is not yet written, where others may write between them. */
  private pieces = '';

  constructor(options: TerminalOptions, work?: { open: Progress; name: string }) {
    this.options = options;
    this.open = work?.open ?? new Progress(options.stderr, options.now ?? (() => performance.now()));
    this.name = work?.name;
  }

  /** This terminal for one of several works at once: each line begins with its name. */
  named(name: string): Terminal {
    return new Terminal(this.options, { open: this.open, name });
  }

  /** A line for people: text as heed made it; pass what a model or a file said through `visible` first. */
  line(text = ''): void {
    const whole = this.pieces + text;
    this.pieces = '';
    if (this.name === undefined || whole !== '') this.write(this.people, whole);
  }

  /** A piece of text that goes on where the last one ended; close it with `line`. */
  piece(text: string): void {
    if (this.name === undefined) this.people.write(text);
    else this.pieces += text;
  }

  /** A note beside the work, on stderr. */
  note(text: string): void {
    this.write(this.options.stderr, text);
  }

  warn(message: string): void {
    this.note(`${this.coloured('warning:', 'yellow', this.options.stderr)} ${visible(message)}`);
  }

  error(message: string): void {
    this.note(`${this.coloured('error:', 'red', this.options.stderr)} ${visible(message)}`);
  }

  /** Left-aligned columns, cells shown with escapes visible; numbers right-aligned. */
  table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
    const cells = rows.map((row) => row.map((cell) => visible(String(cell)).replaceAll('\n', '\\n')));
    const widths = header.map((title, i) =>
      Math.max(displayWidth(title), ...cells.map((row) => displayWidth(row[i]))),
    );
    const align = (text: string, column: number, isNumber: boolean) => {
      const space = ' '.repeat(widths[column] - displayWidth(text));
      return isNumber ? space + text : text + space;
    };
    const columnIsNumber = header.map(
      (_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number'),
    );
    const draw = (row: readonly string[]) =>
      row
        .map((cell, i) => align(cell, i, columnIsNumber[i]))
        .join('  ')
        .trimEnd();
    this.line(this.coloured(draw(header), 'bold'));
    for (const row of cells) this.line(draw(row));
  }

  /** Begins a progress line on stderr; this work's line before it, if still open, is finished. */
  progress(options: ProgressOptions): ProgressLine {
    this.endProgress();
    const { name } = this;
    const label = name === undefined || name === options.label ? options.label : `${name} ${options.label}`;
    this.progressLine = this.open.begin({ ...options, label });
    return this.progressLine;
  }

  /** Finishes the progress line, if one is open. */
  endProgress(): void {
    this.progressLine?.finish();
  }

  /** The object that --json prints as the last line of stdout; nothing without --json. */
  result(value: object): void {
    this.endProgress();
    if (this.options.json) this.options.stdout.write(`${JSON.stringify(toStored(value))}\n`);
  }

  /** @param stream where it will be written; by default where `line` writes */
  coloured(text: string, colour: Colour, stream: Stream = this.people): string {
    return this.hasColours(stream) ? `\x1b[${codes[colour]}m${text}\x1b[0m` : text;
  }

  /** Where people read: stdout, unless --json keeps that for the result. */
  private get people(): Stream {
    return this.options.json ? this.options.stderr : this.options.stdout;
  }

  /** no-color.org: any NO_COLOR turns colours off; FORCE_COLOR but 0 turns them on. */
  private hasColours(stream: Stream): boolean {
    const { NO_COLOR, FORCE_COLOR, TERM } = this.options.environment;
    if (NO_COLOR) return false;
    if (FORCE_COLOR !== undefined && FORCE_COLOR !== '') return FORCE_COLOR !== '0';
    return stream.isTTY === true && TERM !== 'dumb';
  }

  private write(stream: Stream, text: string): void {
    const name = this.name === undefined ? '' : `${this.coloured(this.name, 'dim', stream)} `;
    this.open.clear();
    stream.write(`${name}${text}\n`);
    this.open.redraw();
  }
}

/** Columns that a terminal uses: two for wide East Asian characters and emoji, none for combining marks. */
function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/\p{Mark}/u.test(character)) continue;
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\u{1f300}-\u{1faff}]/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return width;
}
