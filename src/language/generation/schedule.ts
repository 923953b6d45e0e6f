// Which rows run when: waiting rows enter in order as slots become free, and every step advances all that run.

import type { Batch } from './batch.ts';
import type { Prompts } from './prompts.ts';
import type { Completion, GenerationListener, TokenEvent } from './request.ts';
import type { Row } from './row.ts';

export class Schedule {
  private readonly waiting: Row[];
  private readonly batch: Batch;
  private readonly prompts: Prompts;
  private readonly listener: GenerationListener;
  private readonly completions: Completion[] = [];

  constructor(rows: readonly Row[], batch: Batch, prompts: Prompts, listener: GenerationListener) {
    this.waiting = [...rows];
    this.batch = batch;
    this.prompts = prompts;
    this.listener = listener;
  }

  async run(): Promise<Completion[]> {
    while (this.waiting.length > 0 || this.batch.active > 0) {
      this.listener.signal?.throwIfAborted();
      if (this.isTimeToAdmit()) await this.admit();
      if (this.waiting.length === 0) this.batch.compact();
      if (this.batch.active > 0) {
        for (const { row, event } of await this.batch.step()) this.report(row, event);
      }
    }
    return this.completions.sort((a, b) => a.request - b.request || a.sample - b.sample);
  }

  /** Prompts are cheaper together, so a quarter of the slots is let become free first. */
  private isTimeToAdmit(): boolean {
    const { waiting, batch } = this;
    const free = batch.limit - batch.active;
    return waiting.length > 0 && free >= Math.min(waiting.length, Math.ceil(batch.limit / 4));
  }

  private async admit(): Promise<void> {
    const rows = this.waiting.splice(0, this.batch.limit - this.batch.active);
    const prompts = await this.prompts.of(rows);
    rows.forEach((row, i) => {
      const event = row.advance(prompts[i].scores);
      if (!row.finish) this.batch.add(row, prompts[i]);
      this.report(row, event);
    });
    await this.batch.settle();
    this.prompts.keepOnly(this.waiting[0]?.requestIndex);
  }

  private report(row: Row, event: TokenEvent): void {
    this.listener.onToken?.(event);
    if (!row.finish) return;
    const completion = row.complete();
    this.completions.push(completion);
    this.listener.onCompletion?.(completion);
  }
}
