// The files of a study of this world, made from a seed: demonstrations, prompts to sample from, held-out requests,
// text for pretraining, and how far the held-out part can be answered from memory. heed kata's job.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import { UserError } from '../../../engine/errors.ts';
import type { JobContext } from '../../../engine/runtime/job.ts';
import { commitFolder } from '../../../language/checkpoint/commit.ts';
import { diskFiles } from '../../../language/checkpoint/files.ts';
import { renderAlpacaPrompt } from '../../data/template.ts';
import { readRecipeWords, recipeText } from '../../run/recipe.ts';
import { adviceIn } from './coaching.ts';
import { mixedDocuments } from './corpora.ts';
import { type InstructionQuality, instructions, type KataInstruction } from './instructions.ts';
import { askedText, measureOverlap, type Overlap, type TrainingProgram } from './overlap.ts';
import type { Wording } from './phrasings.ts';
import type { Split } from './problem.ts';
import { type KataRequest, makeRequest, type RequestOptions, usualKinds } from './requests.ts';

export interface KataOptions {
  out: string;
  seed: number;
  /** Demonstrations. */
  instructions: number;
  quality: InstructionQuality;
  /** Share of the demonstrations that coach, in [0, 1]. */
  coachingShare: number;
  /** Program requests of the training part that no demonstration answers. */
  prompts: number;
  /** Held-out program requests. */
  problems: number;
  /** Held-out coaching requests. */
  coaching: number;
  /** Documents for pretraining. */
  documents: number;
}

export interface KataProgress {
  /** Rows made and held-out problems judged. */
  done: number;
  total: number;
}

export interface KataResult {
  out: string;
  /** Rows by file. */
  rows: Record<string, number>;
  overlap: Overlap;
}

const COMMAND = 'kata';
const ROWS_AT_ONCE = 50;
/** In the corpus, to one of template.jsonl. */
const TEXTS_A_TEMPLATE = 50;
const programKinds = { program: usualKinds.program, 'program-from-input': usualKinds['program-from-input'] };

/**
 * Writes the folder as a whole, in place of an earlier one of this command.
 * @throws UserError when the folder holds anything else
 */
export async function writeKata(
  options: KataOptions,
  context: JobContext<KataProgress>,
): Promise<KataResult> {
  refuseOtherFolder(options.out);
  const advance = progressOf(options, context);
  const sets = await makeSets(options, advance);
  const overlap = await measureOverlap(programsOf(sets.training), sets.heldOut, advance);
  const files = filesOf(options, sets, advance);
  await commitFolder(options.out, async (folder) => {
    const write = (name: string, content: Iterable<Uint8Array>) =>
      diskFiles.write(join(folder, name), content);
    for (const { name, rows } of files) await write(name, lines(rows));
    await write('overlap.json', encoded(`${JSON.stringify(overlap, null, 2)}\n`));
    await write('recipe.yaml', encoded(recipeText({ command: COMMAND, options: { ...options } })));
  });
  return {
    out: options.out,
    rows: Object.fromEntries(files.map(({ name, count }) => [name, count])),
    overlap,
  };
}

interface Sets {
  training: KataInstruction[];
  prompts: KataRequest[];
  heldOut: KataRequest[];
  coaching: KataRequest[];
}

async function makeSets(options: KataOptions, advance: () => void): Promise<Sets> {
  const { seed } = options;
  const training = await take(options.instructions, demonstrations(options), advance);
  return {
    training,
    prompts: await take(options.prompts, promptRequests(options, training), advance),
    heldOut: await take(options.problems, heldOutRequests(seed, programKinds), advance),
    coaching: await take(options.coaching, heldOutRequests(seed, { coach: 1 }), advance),
  };
}

function programsOf(training: readonly KataInstruction[]): TrainingProgram[] {
  const programs = training.filter(({ request }) => request.problem);
  return programs.map(({ request, record }) => ({ request, output: record.output }));
}

interface RowFile {
  name: string;
  count: number;
  rows: Iterable<object>;
}

function filesOf({ seed, documents }: KataOptions, sets: Sets, advance: () => void): RowFile[] {
  const file = (name: string, rows: object[]): RowFile => ({ name, count: rows.length, rows });
  const files = [
    file('instructions.jsonl', sets.training.map(instructionRow)),
    file('prompts.jsonl', sets.prompts.map(programRow)),
    file('held-out.jsonl', sets.heldOut.map(programRow)),
    file('held-out-coaching.jsonl', sets.coaching.map(coachingRow)),
  ];
  if (documents === 0) return files;
  return [
    ...files,
    { name: 'corpus.jsonl', count: documents, rows: corpusRows(seed, documents, advance) },
    file('template.jsonl', templateRows(documents)),
  ];
}

/** Before anything is made; and `commitFolder` would replace whatever heed wrote, a model too. */
function refuseOtherFolder(out: string): void {
  const recipe = join(out, 'recipe.yaml');
  const isOwn = existsSync(recipe) && readRecipeWords(recipe).command === COMMAND;
  if (isOwn || !existsSync(out) || (statSync(out).isDirectory() && readdirSync(out).length === 0)) return;
  throw new UserError({
    where: `--out ${out}`,
    expected: 'a new or empty folder, or one that heed kata wrote',
    found: 'something else',
    advice: 'another --out',
  });
}

/** Counts rows, reports progress now and then, and stops when asked to. */
function progressOf(options: KataOptions, { emit, signal }: JobContext<KataProgress>): () => void {
  const { instructions, prompts, problems, coaching, documents } = options;
  const total = instructions + prompts + 2 * problems + coaching + documents;
  let done = 0;
  return () => {
    signal.throwIfAborted();
    if (++done % ROWS_AT_ONCE === 0 || done === total) emit({ done, total });
  };
}

/** Lets the process hear and speak now and then: a generator alone would not. */
async function take<T>(count: number, source: Iterator<T>, advance: () => void): Promise<T[]> {
  const taken: T[] = [];
  while (taken.length < count) {
    taken.push(source.next().value);
    advance();
    if (taken.length % ROWS_AT_ONCE === 0) await breathe();
  }
  return taken;
}

function demonstrations({ seed, instructions: count, quality, coachingShare }: KataOptions) {
  const { coach: _, ...others } = usualKinds;
  const sum = Object.values(others).reduce((total, weight) => total + weight, 0);
  const scaled = Object.entries(others).map(([kind, weight]) => [kind, (weight / sum) * (1 - coachingShare)]);
  return instructions(seed, count, {
    quality,
    kinds: { ...Object.fromEntries(scaled), coach: coachingShare },
  });
}

/** They begin where the demonstrations end. */
function promptRequests({ seed, instructions: first }: KataOptions, training: readonly KataInstruction[]) {
  const demonstrated = new Set(training.map(({ request }) => askedText(request)));
  return distinct(
    requests(seed, first, { split: 'train', wording: 'seen', kinds: programKinds }),
    demonstrated,
  );
}

function heldOutRequests(seed: number, kinds: RequestOptions['kinds']) {
  return distinct(requests(seed, 0, { split: 'held-out', wording: 'held-out', kinds }), new Set());
}

function* requests(
  seed: number,
  first: number,
  options: { split: Split; wording: Wording; kinds: RequestOptions['kinds'] },
): Generator<KataRequest, never> {
  for (let index = first; ; index++) yield makeRequest(seed, index, options);
}

/** Passes over what was asked before; remembers in `asked`. */
function* distinct(source: Iterable<KataRequest>, asked: Set<string>): Generator<KataRequest> {
  for (const request of source) {
    const text = askedText(request);
    if (!asked.has(text)) yield request;
    asked.add(text);
  }
}

function* corpusRows(seed: number, count: number, advance: () => void): Generator<{ text: string }> {
  for (const text of mixedDocuments(seed, count)) {
    yield { text };
    advance();
  }
}

/** The prompt template alone, often enough that a tokenizer learnt from the corpus and this has its words as tokens. */
function templateRows(documents: number): { text: string }[] {
  const template = (i: number) => renderAlpacaPrompt({ instruction: '', ...(i % 4 === 0 && { input: ' ' }) });
  return Array.from({ length: Math.ceil(documents / TEXTS_A_TEMPLATE) }, (_, i) => ({ text: template(i) }));
}

function instructionRow({ record: { instruction, input, output } }: KataInstruction): object {
  return { instruction, input, output };
}

function programRow({ instruction, input, kind, problem }: KataRequest): object {
  return { instruction, input, kind, problem: problem!.id };
}

function coachingRow({ instruction, input, kind, answer }: KataRequest): object {
  return { instruction, input, kind, answer: adviceIn(answer) };
}

function* lines(rows: Iterable<object>): Generator<Uint8Array> {
  let batch: string[] = [];
  for (const row of rows) {
    batch.push(`${JSON.stringify(row)}\n`);
    if (batch.length < ROWS_AT_ONCE) continue;
    yield* encoded(batch.join(''));
    batch = [];
  }
  yield* encoded(batch.join(''));
}

function encoded(content: string): Uint8Array[] {
  return [new TextEncoder().encode(content)];
}
