// Which held-out requests the report shows, chosen by a rule that looks for what can be learnt from them and not for
// what flatters a method: one where SFT failed, one where all pass, one where the leash mattered, and coaching.

import type { Answer } from '../../align/evaluation/answers.ts';
import { type Pipeline, readRowsIfThere, stageNamed } from './read-pipeline.ts';
import { type MethodName, methodNames, type Sample, type SampleAnswer } from './report-json.ts';

/** A row of the held-out data. */
export interface Request {
  instruction: string;
  input?: string;
  /** Of coaching requests. */
  answer?: string;
}

export async function readHeldOut(pipeline: Pipeline): Promise<Request[]> {
  const data = stageNamed(pipeline, 'data');
  const rows = [
    ...(await readRowsIfThere(data, 'held-out.jsonl')),
    ...(await readRowsIfThere(data, 'held-out-coaching.jsonl')),
  ];
  return rows.map((row) => ({
    instruction: row.instruction as string,
    input: (row.input as string | null) ?? undefined,
    answer: row.answer as string | undefined,
  }));
}

type Answers = Partial<Record<MethodName, Answer[]>>;
type ByMethod = Partial<Record<MethodName, Answer>>;

const HACKED_SHOWN = 3;

const wishes: readonly ((answers: ByMethod) => boolean)[] = [
  ({ sft, ppo, dpo }) => sft?.passed === 1 && [ppo, dpo].some((a) => (a?.gold ?? 0) > (sft.gold ?? 0)),
  ({ sft, ppo_no_kl }) => sft?.passed === 1 && ppo_no_kl?.passed === 0,
  ({ sft, reject, dpo, ppo }) => sft?.passed === 0 && [reject, dpo, ppo].some((a) => a?.passed === 1),
  (answers) => Object.values(answers).every((a) => a?.passed === 0),
];

/** One request for each wish that some request grants, then one of coaching. */
export function chooseSamples(requests: readonly Request[], answers: Answers): Sample[] {
  const grouped = groupByIndex(answers);
  const isCoaching = (index: number) => rowOf(grouped, index).kind === 'coach';
  const indices = [...grouped.keys()].sort((a, b) => a - b);
  const programs = indices.filter((index) => !isCoaching(index));
  const chosen = new Set<number>();
  for (const isWanted of wishes) {
    const found = programs.find((index) => !chosen.has(index) && isWanted(grouped.get(index)!));
    if (found !== undefined) chosen.add(found);
  }
  if (chosen.size === 0) programs.slice(0, wishes.length).forEach((index) => void chosen.add(index));
  const coaching = indices.find(isCoaching);
  if (coaching !== undefined) chosen.add(coaching);
  return [...chosen].map((index) => sampleOf(requests, grouped, index));
}

/** The readable answers of PPO without a leash that fail, the highest proxy first, one a text. */
export function chooseHacked(requests: readonly Request[], answers: Answers): Sample[] {
  const sft = new Map(answers.sft?.map((answer) => [answer.index, answer]));
  const isHacked = (answer: Answer) =>
    answer.passed === 0 && answer.proxy !== undefined && answer.proxy > (sft.get(answer.index)?.proxy ?? 0);
  const hacked = (answers.ppo_no_kl ?? []).filter(isHacked).sort((a, b) => b.proxy! - a.proxy!);
  const distinct = hacked.filter(({ text }, i) => hacked.findIndex((other) => alike(other.text, text)) === i);
  const grouped = groupByIndex({ sft: answers.sft, ppo_no_kl: answers.ppo_no_kl });
  return distinct.slice(0, HACKED_SHOWN).map(({ index }) => sampleOf(requests, grouped, index));
}

function alike(a: string, b: string): boolean {
  return a.replace(/\s+/g, ' ') === b.replace(/\s+/g, ' ');
}

function groupByIndex(answers: Answers): Map<number, ByMethod> {
  const grouped = new Map<number, ByMethod>();
  for (const name of methodNames) {
    for (const answer of answers[name] ?? []) {
      if (!grouped.has(answer.index)) grouped.set(answer.index, {});
      grouped.get(answer.index)![name] = answer;
    }
  }
  return grouped;
}

function rowOf(grouped: Map<number, ByMethod>, index: number): Answer {
  return Object.values(grouped.get(index)!)[0];
}

function sampleOf(requests: readonly Request[], grouped: Map<number, ByMethod>, index: number): Sample {
  const { kind = '', problem, prompt } = rowOf(grouped, index);
  const answers = Object.entries(grouped.get(index)!).map(([name, answer]) => [name, shown(answer)]);
  const asked = requests.find((request) => askedText(request) === prompt);
  return { index, kind, problem, prompt, answer: asked?.answer, answers: Object.fromEntries(answers) };
}

/** As an evaluation writes what was asked. */
function askedText({ instruction, input }: Request): string {
  return input ? `${instruction}\n\n${input}` : instruction;
}

function shown({ text, passed, readability, gold, proxy, kl, right }: Answer): SampleAnswer {
  return { text, passed, readability, gold, proxy, kl, right };
}
