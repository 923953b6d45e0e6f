// The prompts that have been computed and are still needed: each once, for all samples of its request.

import type { ModelConfig } from '../model/config.ts';
import type { PassRunner } from './passes.ts';
import { type Prefilled, prefill } from './prefill.ts';
import type { Row } from './row.ts';

export class Prompts {
  private readonly config: ModelConfig;
  private readonly runner: PassRunner;
  private readonly computed = new Map<number, Prefilled>();

  constructor(config: ModelConfig, runner: PassRunner) {
    this.config = config;
    this.runner = runner;
  }

  /** The computed prompt of each row. */
  async of(rows: readonly Row[]): Promise<Prefilled[]> {
    const missing = new Map(rows.map((row) => [row.requestIndex, row.request]));
    for (const index of this.computed.keys()) missing.delete(index);
    const prefilled = await prefill([...missing.values()], this.config, this.runner);
    [...missing.keys()].forEach((index, i) => {
      this.computed.set(index, prefilled[i]);
    });
    return rows.map(({ requestIndex }) => this.computed.get(requestIndex)!);
  }

  /** Forgets all prompts but this request's. */
  keepOnly(requestIndex: number | undefined): void {
    const kept = this.computed.get(requestIndex ?? -1);
    for (const [index, { cache }] of this.computed) {
      if (index === requestIndex) continue;
      this.computed.delete(index);
      if (cache !== kept?.cache) cache.release();
    }
  }

  release(): void {
    this.keepOnly(undefined);
  }
}
