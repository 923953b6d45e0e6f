// summary.json of an evaluation: each figure over all answers that have it, with its 95% interval.

import { type Interval, meanInterval, shareInterval } from '../scoring/intervals.ts';
import type { Answer } from './answers.ts';

export interface Metrics {
  /** Of requests with tests: share whose answer passes all. */
  pass_rate?: Interval;
  /** Of requests with tests: mean criterion, 0 where a test fails. */
  gold?: Interval;
  readability?: Interval;
  proxy?: Interval;
  /** nats per completion */
  kl?: Interval;
  /** tokens an answer */
  length?: Interval;
  /** Share of answers that ended by the model's own end-of-text token. */
  eos_rate?: Interval;
  /** Share of continuations without an answer. */
  continues?: Interval;
}

export interface Summary {
  model: string;
  /** Answers, coaching included. */
  n: number;
  /** Of all answers but those to coaching requests. */
  metrics: Metrics;
  /** Right advice, and how often the commonest right advice would be right; absent without coaching requests. */
  coaching?: { right: Interval; majority: Interval };
  tokens_generated: number;
  /** Rows quarantined. */
  faults: number;
}

/** @param advice the right advice of each coaching request */
export function summarise(
  answers: readonly Answer[],
  advice: readonly string[],
): Pick<Summary, 'n' | 'metrics' | 'coaching' | 'tokens_generated'> {
  const coached = answers.flatMap(({ right }) => right ?? []);
  return {
    n: answers.length,
    metrics: metricsOf(answers.filter(({ right }) => right === undefined)),
    ...(coached.length > 0 && {
      coaching: { right: share(coached)!, majority: shareInterval(commonest(advice), advice.length)! },
    }),
    tokens_generated: answers.reduce((total, { tokens }) => total + tokens, 0),
  };
}

function metricsOf(answers: readonly Answer[]): Metrics {
  const all = (name: keyof Answer) => answers.flatMap((answer) => (answer[name] as number) ?? []);
  const metrics: Metrics = {
    pass_rate: share(all('passed')),
    gold: meanInterval(all('gold'), [0, 1]),
    readability: meanInterval(all('readability'), [0, 1]),
    proxy: meanInterval(all('proxy')),
    kl: meanInterval(all('kl')),
    length: meanInterval(all('tokens'), [0, Infinity]),
    eos_rate: share(answers.map(({ finish }) => (finish === 'stop' ? 1 : 0))),
    continues: share(all('continues')),
  };
  return Object.fromEntries(Object.entries(metrics).filter(([, interval]) => interval !== undefined));
}

/** Of ones among zeros and ones. */
function share(marks: readonly number[]): Interval | undefined {
  return shareInterval(marks.filter((mark) => mark === 1).length, marks.length);
}

/** How many are the most frequent one. */
function commonest(texts: readonly string[]): number {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return Math.max(0, ...counts.values());
}
