// Generation: many completions at once, each row of the batch a completion with its own cached keys and values.
// Rows that finish are replaced by rows that wait, and when none wait the batch shrinks. A row's tokens depend on its
// own request alone; its neighbours change its numbers by rounding only.

import type { Backend } from '../../engine/runtime/backend.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Weights } from '../model/weights.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { Batch } from './batch.ts';
import { KeyValueCache } from './key-value-cache.ts';
import { Passes, PassRunner } from './passes.ts';
import { Prompts } from './prompts.ts';
import {
  type Completion,
  checkRequests,
  type GenerationListener,
  type GenerationRequest,
} from './request.ts';
import { Row } from './row.ts';
import { Schedule } from './schedule.ts';

export type { Completion, GenerationListener, GenerationRequest, TokenEvent } from './request.ts';
export type { SamplingOptions } from './sampling.ts';

export interface GeneratorOptions {
  /** Most rows a step; fewer where their caches would exceed `cacheBytes`. Default 64. */
  batchSize?: number;
  /** Memory for the caches of a batch; one row is always allowed. Default 1 GiB. */
  cacheBytes?: number;
  /** For stop strings and for the completions' texts. */
  tokenizer?: Tokenizer;
}

export class Generator {
  private readonly config: ModelConfig;
  private readonly options: Required<Omit<GeneratorOptions, 'tokenizer'>> & { tokenizer?: Tokenizer };
  private readonly backend: Backend;
  private readonly passes: Passes;
  private isHolding = false;

  /** @param model read where its arrays lie, so that training between two generations needs nothing copied */
  constructor(backend: Backend, model: Weights, options: GeneratorOptions = {}) {
    this.config = model.config;
    this.options = { batchSize: 64, cacheBytes: 2 ** 30, ...options };
    this.backend = backend;
    this.passes = new Passes(backend, model);
  }

  /**
   * @returns completions in order of request and sample
   * @throws UserError for a request that cannot be met, before anything is computed; the signal's reason when aborted
   */
  async generate(
    requests: readonly GenerationRequest[],
    listener: GenerationListener = {},
  ): Promise<Completion[]> {
    const { config, options } = this;
    checkRequests(requests, { config, hasTokenizer: options.tokenizer !== undefined });
    if (requests.length === 0) return [];
    const rows = requests.flatMap((request, requestIndex) =>
      Array.from(
        { length: request.samples ?? 1 },
        (_, sample) => new Row({ request, requestIndex, sample }, config, options.tokenizer),
      ),
    );
    await this.holdWeights();
    const runner = new PassRunner(this.passes);
    const mostTokens = this.mostTokens(requests);
    const limit = Math.min(rows.length, this.mostRows(mostTokens));
    const batch = new Batch(config, runner, limit, mostTokens);
    const prompts = new Prompts(config, runner);
    try {
      return await new Schedule(rows, batch, prompts, listener).run();
    } finally {
      batch.release();
      prompts.release();
    }
  }

  /** Gives back the memory of compiled programs, and of weights on a device. */
  async close(): Promise<void> {
    if (this.isHolding) this.backend.drop(Object.values(this.passes.feeds()));
    this.isHolding = false;
    await this.passes.release();
  }

  /** From the first completion to the end: a device is sent the weights once, or has them from whoever trains them. */
  private async holdWeights(): Promise<void> {
    if (this.isHolding) return;
    this.isHolding = true;
    await this.backend.hold(Object.values(this.passes.feeds()));
  }

  /** Of the longest row, with its prompt. */
  private mostTokens(requests: readonly GenerationRequest[]): number {
    const longest = Math.max(...requests.map((r) => r.promptIds.length + r.maxTokens));
    return Math.min(longest, this.config.maxPositions);
  }

  private mostRows(mostTokens: number): number {
    const { config, options } = this;
    const bytes = KeyValueCache.bytesPerRow(config, mostTokens);
    const affordable = options.cacheBytes / bytes;
    return Math.min(options.batchSize, 2 ** Math.max(0, Math.floor(Math.log2(affordable))));
  }
}
