// One completion in the making: its tokens, their log-probabilities, its text, and whether it has ended.

import { UserError } from '../../engine/errors.ts';
import { Random } from '../../engine/random.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Completion, GenerationRequest, TokenEvent } from './request.ts';
import { type Draw, drawToken, type NextTokenScores } from './sampling.ts';
import { StopStringScanner } from './stop-strings.ts';

interface RowText {
  decoder: ReturnType<Tokenizer['decoder']>;
  scanner: StopStringScanner;
}

export class Row {
  readonly request: GenerationRequest;
  readonly requestIndex: number;
  readonly sample: number;
  finish: Completion['finish'] | undefined;
  private readonly ids: number[] = [];
  private readonly logProbs: number[] = [];
  private readonly rawLogProbs: number[] = [];
  private readonly seen: Set<number>;
  private readonly stopIds: readonly number[];
  private readonly mostTokens: number;
  private readonly random: Random;
  private readonly text: RowText | undefined;

  constructor(
    { request, requestIndex, sample }: { request: GenerationRequest; requestIndex: number; sample: number },
    config: ModelConfig,
    tokenizer: Tokenizer | undefined,
  ) {
    this.request = request;
    this.requestIndex = requestIndex;
    this.sample = sample;
    this.seen = new Set(request.promptIds);
    this.stopIds = request.stopIds ?? config.tokens.eos;
    this.mostTokens = Math.min(request.maxTokens, config.maxPositions - request.promptIds.length);
    this.random = new Random(request.seed, 'sampling');
    this.text = tokenizer && {
      decoder: tokenizer.decoder(),
      scanner: new StopStringScanner(request.stopStrings ?? []),
    };
  }

  get lastId(): number {
    return this.ids[this.ids.length - 1];
  }

  /** Draws the next token; `finish` says afterwards whether it was the last. */
  advance(scores: NextTokenScores): TokenEvent {
    const { request, requestIndex, sample, ids } = this;
    requireFinite(scores, requestIndex);
    const uniform = this.random.uniform(sample, request.promptIds.length + ids.length);
    const draw = drawToken(scores, request.sampling, this.seen, uniform);
    this.keep(draw);
    const isStop = this.stopIds.includes(draw.id);
    const text = this.extendText(draw.id, isStop);
    if (isStop) this.finish = 'stop';
    else if (this.text?.scanner.isStopped) this.finish = 'stop-string';
    else if (ids.length >= this.mostTokens) this.finish = 'length';
    return { request: requestIndex, sample, id: draw.id, logProb: draw.logProb, ...(this.text && { text }) };
  }

  /** What the row came to, once it has finished. */
  complete(): Completion {
    const { finish, text, requestIndex, sample, ids } = this;
    if (!finish) throw new Error('a row was completed before it had finished');
    if (text) {
      text.scanner.push(text.decoder.end());
      text.scanner.end();
    }
    return {
      request: requestIndex,
      sample,
      ids,
      logProbs: Float64Array.from(this.logProbs),
      rawLogProbs: Float64Array.from(this.rawLogProbs),
      finish,
      ...(text && { text: text.scanner.text }),
    };
  }

  private keep({ id, logProb, rawLogProb }: Draw): void {
    this.ids.push(id);
    this.logProbs.push(logProb);
    this.rawLogProbs.push(rawLogProb);
    this.seen.add(id);
  }

  private extendText(id: number, isStop: boolean): string {
    return this.text && !isStop ? this.text.scanner.push(this.text.decoder.push(id)) : '';
  }
}

function requireFinite({ logNormaliser }: NextTokenScores, requestIndex: number): void {
  if (Number.isFinite(logNormaliser)) return;
  throw new UserError({
    where: `logits of request ${requestIndex}`,
    expected: 'finite numbers',
    found: `a normaliser of ${logNormaliser}`,
    advice: 'another checkpoint: the parameters overflow or hold NaN',
  });
}
