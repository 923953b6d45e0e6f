// How far works are: bars redrawn in place for people who watch, a plain line now and then otherwise.

/** The part of a Node stream that is used. */
export interface Stream {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

export interface ProgressOptions {
  /** What is being done: `sft`, `merging`. */
  label: string;
  /** What is counted, in the plural: `steps`, `MB`. */
  unit: string;
  total: number;
  /** Where a resumed work begins; the rate counts from here. */
  from?: number;
}

const redrawMs = 100;
const plainLineMs = 5_000;
const barWidth = 24;

/** The progress lines that are open: for people who watch, below what is written, redrawn in place. */
export class Progress {
  private readonly stream: Stream;
  readonly now: () => number;
  private readonly open = new Set<ProgressLine>();
  /** Rows on the screen. */
  private rows = 0;

  constructor(stream: Stream, now: () => number) {
    this.stream = stream;
    this.now = now;
  }

  begin(options: ProgressOptions): ProgressLine {
    const line = new ProgressLine(options, this);
    this.open.add(line);
    return line;
  }

  get isWatched(): boolean {
    return this.stream.isTTY === true;
  }

  /** Shows where a line is now. */
  show(line: ProgressLine): void {
    if (!this.isWatched) this.stream.write(`${line.text('')}\n`);
    else if (this.open.has(line)) this.redraw();
  }

  /** Leaves the line as it is, above the others. */
  end(line: ProgressLine): void {
    if (this.isWatched) {
      this.clear();
      this.stream.write(`${this.drawn(line)}\n`);
      this.open.delete(line);
      this.redraw();
    } else this.show(line);
  }

  /** Makes room for other text; to be followed by `redraw`. */
  clear(): void {
    if (!this.isWatched || this.open.size === 0) return;
    const up = this.rows > 1 ? `\x1b[${this.rows - 1}A` : '';
    this.stream.write(`\r${up}\x1b[0J`);
    this.rows = 0;
  }

  redraw(): void {
    if (!this.isWatched || this.open.size === 0) return;
    this.clear();
    this.stream.write(Array.from(this.open, (line) => this.drawn(line)).join('\n'));
    this.rows = this.open.size;
  }

  private drawn(line: ProgressLine): string {
    return line.text(`${bar(line.share())} `).slice(0, (this.stream.columns ?? 80) - 1);
  }
}

export class ProgressLine {
  private readonly options: ProgressOptions;
  private readonly progress: Progress;
  private readonly start: number;
  private done: number;
  private fields: readonly string[] = [];
  private drawnAt: number;
  private isFinished = false;

  constructor(options: ProgressOptions, progress: Progress) {
    this.options = options;
    this.progress = progress;
    this.start = progress.now();
    this.done = options.from ?? 0;
    this.drawnAt = progress.isWatched ? -Infinity : this.start;
  }

  /** @param fields shown beside the bar, such as `loss 2.346` */
  update(done: number, fields: readonly string[] = []): void {
    this.done = done;
    this.fields = fields;
    const now = this.progress.now();
    if (now - this.drawnAt < (this.progress.isWatched ? redrawMs : plainLineMs)) return;
    this.drawnAt = now;
    this.progress.show(this);
  }

  /** Leaves a last line that says where the work ended. */
  finish(): void {
    if (this.isFinished) return;
    this.isFinished = true;
    this.progress.end(this);
  }

  text(drawnBar: string): string {
    const { label, unit, total } = this.options;
    const parts = [`${this.done}/${total} ${unit}`, ...this.pace(), ...this.fields];
    return `${label} ${drawnBar}${parts.join(' · ')}`;
  }

  share(): number {
    return this.options.total > 0 ? Math.min(1, this.done / this.options.total) : 1;
  }

  private pace(): string[] {
    const seconds = (this.progress.now() - this.start) / 1000;
    const worked = this.done - (this.options.from ?? 0);
    if (worked <= 0 || seconds <= 0) return [];
    const rate = worked / seconds;
    const left = Math.max(0, this.options.total - this.done) / rate;
    return [
      `${shortNumber(rate)} ${this.options.unit}/s`,
      left > 0 ? `${duration(left)} left` : `in ${duration(seconds)}`,
    ];
  }
}

function bar(share: number): string {
  const filled = Math.floor(share * barWidth);
  return '█'.repeat(filled) + '░'.repeat(barWidth - filled);
}

/** Four significant digits. */
export function shortNumber(value: number): string {
  if (value === 0 || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e6))
    return String(Number(value.toPrecision(4)));
  return value.toExponential(2);
}

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const pad = (value: number) => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  if (hours > 0) return `${hours}:${pad(minutes)}:${pad(whole % 60)}`;
  return whole >= 60 ? `${minutes}:${pad(whole % 60)}` : `${seconds < 10 ? seconds.toFixed(1) : whole} s`;
}
