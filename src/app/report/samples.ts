// Requests with what every model answered, side by side.

import type { Answer } from '../../align/evaluation/answers.ts';
import type { Evaluation } from './evaluations.ts';
import type { Sample, SampleAnswer } from './report-json.ts';
import { SAMPLES_SHOWN } from './world.ts';

/** Answers to one request by the models' keys, in their order. */
export type ByModel = Record<string, Answer>;

/** The first requests, where no world chooses. */
export function firstSamples(evaluations: readonly Evaluation[]): Sample[] {
  const grouped = groupByIndex(evaluations);
  const indices = [...grouped.keys()].sort((a, b) => a - b).slice(0, SAMPLES_SHOWN);
  return indices.map((index) => sampleOf(grouped, index));
}

/** Of the evaluations that answered the same requests as the first one. */
export function groupByIndex(evaluations: readonly Evaluation[]): Map<number, ByModel> {
  const grouped = new Map<number, ByModel>();
  const [first] = evaluations;
  const isAlike = ({ stage }: Evaluation) => String(stage.options.data) === String(first.stage.options.data);
  for (const { key, answers } of evaluations.filter(isAlike)) {
    for (const answer of answers) {
      if (!grouped.has(answer.index)) grouped.set(answer.index, {});
      grouped.get(answer.index)![key] = answer;
    }
  }
  return grouped;
}

export function firstAnswer(grouped: ReadonlyMap<number, ByModel>, index: number): Answer {
  return Object.values(grouped.get(index)!)[0];
}

export function sampleOf(grouped: ReadonlyMap<number, ByModel>, index: number): Sample {
  const { kind = '', problem, prompt } = firstAnswer(grouped, index);
  const answers = Object.entries(grouped.get(index)!).map(([name, answer]) => [name, shown(answer)]);
  return { index, kind, problem, prompt, answers: Object.fromEntries(answers) };
}

function shown({ text, passed, readability, gold, proxy, kl, right }: Answer): SampleAnswer {
  return { text, passed, readability, gold, proxy, kl, right };
}
