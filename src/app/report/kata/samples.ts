// Which held-out problems the report shows, chosen by a rule that looks for what can be learnt from them and not for
// what flatters a method: one where a method helped, one where the missing KL penalty hurt, one where the start model
// failed and another passed, one where all failed, and one of coaching.

import { join } from 'node:path';
import type { Answer } from '../../../align/evaluation/answers.ts';
import type { Pipeline } from '../../recipe/pipeline-file.ts';
import type { Evaluation } from '../evaluations.ts';
import { readRowsIfThere, stageBy } from '../read-pipeline.ts';
import type { Report, Sample } from '../report-json.ts';
import { mainStart, methodsOf } from '../roles.ts';
import { type ByModel, firstAnswer, groupByIndex, sampleOf } from '../samples.ts';

/** What a right answer says, by the request as it was put; of coaching requests. */
export type RightAdvice = ReadonlyMap<string, string>;

export async function readRightAdvice(pipeline: Pipeline): Promise<RightAdvice> {
  const data = stageBy(pipeline, 'kata');
  const rows = data ? await readRowsIfThere(join(data.folder, 'held-out-coaching.jsonl')) : [];
  return new Map(
    rows.map(({ instruction, input, answer }) => [
      input ? `${instruction}\n\n${input}` : `${instruction}`,
      answer as string,
    ]),
  );
}

const HACKED_SHOWN = 3;

type Wish = (answers: ByModel) => boolean;

function wishesOf({ stages, costs }: Report): Wish[] {
  const start = mainStart(stages) ?? '';
  const compared = Object.keys(costs.methods);
  // What rejection sampling picks, the start model could have said.
  const learners = compared.filter((name) => commandOf(stages, name) !== 'reject');
  const free = freeOf(stages);
  const passed = (answers: ByModel, names: readonly string[], mark: 0 | 1) =>
    names.some((name) => answers[name]?.passed === mark);
  return [
    (all) =>
      all[start]?.passed === 1 && learners.some((name) => (all[name]?.gold ?? 0) > (all[start].gold ?? 0)),
    (all) => all[start]?.passed === 1 && passed(all, free, 0),
    (all) => all[start]?.passed === 0 && passed(all, compared, 1),
    (all) => Object.values(all).every((answer) => answer.passed === 0),
  ];
}

function commandOf(stages: Report['stages'], wanted: string): string | undefined {
  return stages.find(({ name }) => name === wanted)?.command;
}

/** Methods without KL penalty. */
export function freeOf(stages: Report['stages']): string[] {
  return methodsOf(stages).flatMap(({ name, has_no_kl_penalty }) => (has_no_kl_penalty ? [name] : []));
}

/** One request for each wish that some request grants, then one of coaching. */
export function chooseSamples(
  report: Report,
  evaluations: readonly Evaluation[],
  advice: RightAdvice,
): Sample[] {
  const grouped = groupByIndex(evaluations);
  const isCoaching = (index: number) => firstAnswer(grouped, index).kind === 'coach';
  const indices = [...grouped.keys()].sort((a, b) => a - b);
  const programs = indices.filter((index) => !isCoaching(index));
  const wishes = wishesOf(report);
  const chosen = new Set<number>();
  for (const isWanted of wishes) {
    const found = programs.find((index) => !chosen.has(index) && isWanted(grouped.get(index)!));
    if (found !== undefined) chosen.add(found);
  }
  if (chosen.size === 0) programs.slice(0, wishes.length).forEach((index) => void chosen.add(index));
  const coaching = indices.find(isCoaching);
  if (coaching !== undefined) chosen.add(coaching);
  return [...chosen].map((index) => withAdvice(sampleOf(grouped, index), advice));
}

function withAdvice(sample: Sample, advice: RightAdvice): Sample {
  const { index, kind, problem, prompt, answers } = sample;
  return { index, kind, problem, prompt, answer: advice.get(prompt), answers };
}

/** The readable answers of a method without KL penalty that fail, the highest proxy first, one a text. */
export function chooseHacked({ stages }: Report, evaluations: readonly Evaluation[]): Sample[] {
  const hacking = evaluations.find(({ key }) => freeOf(stages).includes(key));
  if (!hacking) return [];
  const against = stages.find(({ name }) => name === hacking.key)?.against;
  const start = evaluations.find(({ key }) => key === against);
  const before = new Map(start?.answers.map((answer) => [answer.index, answer]));
  const isHacked = ({ passed, proxy, index }: Answer) =>
    passed === 0 && proxy !== undefined && proxy > (before.get(index)?.proxy ?? 0);
  const hacked = hacking.answers.filter(isHacked).sort((a, b) => b.proxy! - a.proxy!);
  const distinct = hacked.filter(({ text }, i) => hacked.findIndex((other) => alike(other.text, text)) === i);
  const grouped = groupByIndex([...(start ? [start] : []), hacking]);
  return distinct.slice(0, HACKED_SHOWN).map(({ index }) => sampleOf(grouped, index));
}

function alike(a: string, b: string): boolean {
  return a.replace(/\s+/g, ' ') === b.replace(/\s+/g, ' ');
}
