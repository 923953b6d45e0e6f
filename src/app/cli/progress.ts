// How far a piece of work is: a bar redrawn in place for people who watch, a plain line now and then otherwise.

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

export class ProgressLine {
  private readonly options: ProgressOptions;
  private readonly stream: Stream;
  private readonly now: () => number;
  private readonly start: number;
  private done: number;
  private fields: readonly string[] = [];
  private drawnAt: number;
  private isFinished = false;

  constructor(options: ProgressOptions, stream: Stream, now: () => number) {
    this.options = options;
    this.stream = stream;
    this.now = now;
    this.start = now();
    this.done = options.from ?? 0;
    this.drawnAt = stream.isTTY ? -Infinity : this.start;
  }

  /** @param fields shown beside the bar, such as `loss 2.346` */
  update(done: number, fields: readonly string[] = []): void {
    this.done = done;
    this.fields = fields;
    const interval = this.stream.isTTY ? redrawMs : plainLineMs;
    if (this.now() - this.drawnAt >= interval) this.draw();
  }

  /** Leaves a last line that says where the work ended. */
  finish(): void {
    if (this.isFinished) return;
    this.draw();
    if (this.stream.isTTY) this.stream.write('\n');
    this.isFinished = true;
  }

  /** Makes room for another line. */
  clear(): void {
    if (this.stream.isTTY && !this.isFinished) this.stream.write('\r\x1b[2K');
  }

  redraw(): void {
    if (this.stream.isTTY && !this.isFinished) this.draw();
  }

  private draw(): void {
    this.drawnAt = this.now();
    if (!this.stream.isTTY) {
      this.stream.write(`${this.text('')}\n`);
      return;
    }
    const line = this.text(`${bar(this.share())} `).slice(0, (this.stream.columns ?? 80) - 1);
    this.stream.write(`\r\x1b[2K${line}`);
  }

  private text(drawnBar: string): string {
    const { label, unit, total } = this.options;
    const parts = [`${this.done}/${total} ${unit}`, ...this.pace(), ...this.fields];
    return `${label} ${drawnBar}${parts.join(' · ')}`;
  }

  private share(): number {
    return this.options.total > 0 ? Math.min(1, this.done / this.options.total) : 1;
  }

  private pace(): string[] {
    const seconds = (this.now() - this.start) / 1000;
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
