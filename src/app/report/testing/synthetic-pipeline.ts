// A pipeline's folders as `heed run` and the stages leave them, made up: real problems and answers in the world's styles,
// figures drawn from a seed with the shapes that real runs have. For tests and for looking at the page.

import { join } from 'node:path';
import { renderAlpacaPrompt } from '../../../align/data/template.ts';
import type { Answer } from '../../../align/evaluation/answers.ts';
import { summarise } from '../../../align/evaluation/summary.ts';
import {
  Dice,
  type KataRequest,
  makeInstruction,
  makeRequest,
  readability,
  type Style,
  solution,
} from '../../../align/worlds/kata/index.ts';
import { Random } from '../../../engine/random.ts';
import type { Tokenizer } from '../../../language/text/tokenizer.ts';
import { trainTokenizer } from '../../../language/text/train.ts';
import { made, PipelineWriter } from './pipeline-writer.ts';
import { dpoEvents, lossEvents, pairEvents, ppoEvents } from './synthetic-events.ts';

export interface SyntheticOptions {
  folder: string;
  problems: number;
  coaching: number;
  steps: number;
  /** Stages to leave out. */
  without?: readonly string[];
  /** Put in place of the first answer of PPO without KL. */
  hostileText?: string;
}

interface Habit {
  /** Chances of a right answer, and of one that only looks good. */
  passes: number;
  hollow: number;
  styles: readonly Style[];
  kl: number;
  advice: number;
}

const mixed: readonly Style[] = [
  'clear',
  'clear',
  'plain',
  'looped',
  'chained',
  'nested',
  'terse',
  'cluttered',
];
const habits: Readonly<Record<string, Habit>> = {
  base: { passes: 0.02, hollow: 0, styles: mixed, kl: 38, advice: 0 },
  sft: { passes: 0.68, hollow: 0.02, styles: mixed, kl: 0, advice: 0.72 },
  reject: {
    passes: 0.71,
    hollow: 0.02,
    styles: ['clear', 'clear', 'plain', 'looped'],
    kl: 2.1,
    advice: 0.72,
  },
  dpo: { passes: 0.7, hollow: 0.05, styles: ['clear', 'clear', 'clear', 'plain'], kl: 7.4, advice: 0.68 },
  ppo: {
    passes: 0.72,
    hollow: 0.04,
    styles: ['clear', 'clear', 'clear', 'clear', 'plain'],
    kl: 4.6,
    advice: 0.7,
  },
  'ppo-no-kl': { passes: 0.21, hollow: 0.75, styles: ['clear'], kl: 52, advice: 0.2 },
  'ppo-frozen': { passes: 0.67, hollow: 0.02, styles: mixed, kl: 0.04, advice: 0.71 },
};

const random = new Random(7, 'testing');
const hollowAnswer =
  '// Returns the result of the task.\nfunction solve(values) {\n  // Nothing is left to do.\n  return values;\n}';

/** Writes the whole pipeline. */
export async function writeSyntheticPipeline(options: SyntheticOptions): Promise<void> {
  const requests = requestsOf(options);
  const demonstrations = Array.from({ length: 60 }, (_, i) => makeInstruction(1, i, 'mixed').record);
  const tokenizer = await trainTokenizer(
    demonstrations.map(
      ({ instruction, input, output }) => `${renderAlpacaPrompt({ instruction, input })}${output}`,
    ),
    { vocabularySize: 700, eos: '<|end|>' },
  );
  const pipeline = new PipelineWriter(options);
  pipeline.stage('data', 'kata', {}, (write) => {
    write.rows(
      'instructions.jsonl',
      demonstrations.map(({ kind: _, ...row }) => row),
    );
    write.rows(
      'prompts.jsonl',
      demonstrations.slice(0, 4).map(({ instruction, input }) => ({ instruction, input })),
    );
    write.rows('held-out.jsonl', requests.filter(({ kind }) => kind !== 'coach').map(requestRow));
    write.rows('held-out-coaching.jsonl', requests.filter(({ kind }) => kind === 'coach').map(requestRow));
    write.json('overlap.json', {
      ...{ training_programs: 3400, held_out_programs: options.problems },
      ...{ retrieval_passed: 4, retrieval_pass_rate: 4 / options.problems, equal_after_renaming: 0 },
    });
  });
  const demonstrated = { model: made('base'), data: [made('data', 'instructions.jsonl')] };
  pipeline.run(
    'sft',
    'sft',
    { tokens: 612_400, options: demonstrated },
    lossEvents(options.steps, 2.6, 0.21),
  );
  await tokenizer.save(join(pipeline.folderOf('sft'), 'model'));
  writePreferences(pipeline, tokenizer);
  pipeline.run(
    'reward',
    'reward',
    { tokens_trained: 940_000, quality, options: fromSft(made('preferences', 'preferences.jsonl')) },
    pairEvents(options.steps, 0.69, 0.46),
  );
  pipeline.run(
    'reject',
    'reject',
    used(1_210_000, 301_000, prompted),
    lossEvents(options.steps, 0.28, 0.17),
    (write) => write.rows('samples/round-1.jsonl', sampledAnswers(tokenizer)),
  );
  pipeline.run(
    'dpo',
    'dpo',
    used(0, 640_000, fromSft(made('preferences', 'preferences.jsonl'))),
    dpoEvents(options.steps),
  );
  pipeline.run(
    'ppo',
    'ppo',
    used(1_630_000, 1_630_000, { ...prompted, beta: 0.1 }),
    ppoEvents(options.steps, 'ppo'),
    (write) => write.rows('samples.jsonl', episodes(tokenizer)),
  );
  pipeline.run(
    'ppo-no-kl',
    'ppo',
    used(1_630_000, 1_630_000, { ...prompted, beta: 0 }),
    ppoEvents(options.steps, 'ppo-no-kl'),
  );
  pipeline.run(
    'ppo-frozen',
    'ppo',
    used(820_000, 820_000, { ...prompted, beta: 10 }),
    ppoEvents(options.steps, 'ppo-frozen'),
  );
  for (const name of Object.keys(habits)) writeEvaluation(pipeline, name, requests, options);
  const continued = { model: made('base'), data: [made('data', 'held-out.jsonl')], continuation: true };
  pipeline.stage('continuation', 'eval', { options: continued }, (write) =>
    write.json('summary.json', { metrics: { continues: { value: 0.87, low: 0.82, high: 0.9, n: 300 } } }),
  );
  pipeline.finish();
}

function requestsOf({ problems, coaching }: SyntheticOptions): KataRequest[] {
  const ask = (kinds: object) => (_: unknown, i: number) =>
    makeRequest(1, i, { split: 'held-out', wording: 'held-out', kinds });
  return [
    ...Array.from({ length: problems }, ask({ program: 4, 'program-from-input': 1 })),
    ...Array.from({ length: coaching }, ask({ coach: 1 })),
  ];
}

function requestRow({ instruction, input, kind, problem, answer }: KataRequest): object {
  return { instruction, input, kind, ...(problem ? { problem: problem.id } : { answer }) };
}

const used = (tokens_generated: number, tokens_trained: number, options: object) => ({
  ...{ tokens_generated, tokens_trained, options },
});
const fromSft = (data: string) => ({ model: made('sft'), data: [data] });
const prompted = { ...fromSft(made('data', 'prompts.jsonl')), reward: [made('reward')] };

const quality = {
  accuracy: { value: 0.842, low: 0.811, high: 0.868, n: 640 },
  accuracy_by_strength: {
    '1': { value: 0.711, low: 0.64, high: 0.772, n: 190 },
    '2': { value: 0.862, low: 0.81, high: 0.9, n: 240 },
    '3': { value: 0.938, low: 0.897, high: 0.963, n: 210 },
  },
  length_correlation: { value: 0.21, low: 0.157, high: 0.262, n: 1280 },
  calibration: {
    ece: 0.041,
    bins: [
      { predicted: 0.54, actual: 0.55, n: 80 },
      { predicted: 0.66, actual: 0.7, n: 90 },
      { predicted: 0.77, actual: 0.8, n: 140 },
      { predicted: 0.85, actual: 0.87, n: 150 },
      { predicted: 0.96, actual: 0.93, n: 180 },
    ],
  },
};

function writePreferences(pipeline: PipelineWriter, tokenizer: Tokenizer): void {
  const rows = Array.from({ length: 12 }, (_, i) => {
    const request = makeRequest(3, i, { split: 'train', wording: 'seen', kinds: { program: 1 } });
    const answers = (['clear', 'terse'] as const).map((style) => answerIn(request, style, i));
    const prompt = renderAlpacaPrompt(request);
    const ids = answers.map((text) => [...tokenizer.encode(text), tokenizer.special.eos!]);
    return {
      ...{ prompt_ids: tokenizer.encode(prompt), chosen_ids: ids[0], rejected_ids: ids[1], prompt },
      ...{
        chosen: answers[0],
        rejected: answers[1],
        strength: 2,
        problem: request.problem!.id,
        annotator: 'usual-0',
      },
    };
  });
  pipeline.stage(
    'preferences',
    'label',
    { tokens_generated: 702_000, options: fromSft(made('data', 'prompts.jsonl')) },
    (write) => {
      write.rows('preferences.jsonl', rows);
      write.json('report.json', {
        model: pipeline.folderOf('sft'),
        annotators: { name: 'usual', people: 3, overlap: 0.2, noise: 0.06, flip_rate: 0.1 },
        counts: { prompts: 1200, answers: 4800, pairs: 5400, judgements: 7520, preferences: 4811 },
        shares: {
          agree_with_criterion: { value: 0.843, low: 0.833, high: 0.852, n: 5400 },
          agree_with_each_other: { value: 0.741, low: 0.722, high: 0.759, n: 2120 },
          ties: { value: 0.101, low: 0.094, high: 0.108, n: 7520 },
          first_shown: { value: 0.513, low: 0.5, high: 0.526, n: 6760 },
        },
        strengths: { 1: 1804, 2: 1699, 3: 1308 },
        readability: { answers: 0.652, chosen: 0.741, rejected: 0.571 },
        tokens_generated: 702_000,
      });
    },
  );
}

/** One a step; the last is cut off before its end. */
function episodes(tokenizer: Tokenizer): object[] {
  const prompt = 'Count the even numbers.';
  return [1, 2, 3].map((step) => {
    const completion = `// step ${step}\nfunction solve() {}`;
    const actions = [...tokenizer.encode(completion), ...(step < 3 ? [tokenizer.special.eos!] : [])];
    const kl = actions.map((_, i) => (i === 0 ? 0.25 : 0.01));
    const episode = { ids: [...tokenizer.encode(prompt), ...actions], kl, score: step / 4 };
    return { time: '2026-01-01T00:00:00.000Z', type: 'sample', step, prompt, completion, episode };
  });
}

/** Of three prompts; the first was answered in one way only, the second with an answer that is cut off. */
function sampledAnswers(tokenizer: Tokenizer): object[] {
  const rewards = [
    [0.5, 0.5],
    [0.1, 0.9],
    [-0.25, 1.75],
  ];
  return rewards.flatMap((own, prompt) =>
    own.map((reward, sample) => {
      const text = `// prompt ${prompt}, answer ${sample}`;
      const ids = [...tokenizer.encode(text), tokenizer.special.eos!];
      return { prompt, sample, ids, text, has_eos: prompt !== 1, reward };
    }),
  );
}

function answerIn({ problem }: KataRequest, style: Style, i: number): string {
  return solution(problem!.composition, style, new Dice(5, 'solutions', i));
}

function writeEvaluation(
  pipeline: PipelineWriter,
  name: string,
  requests: readonly KataRequest[],
  { hostileText }: SyntheticOptions,
): void {
  const order = Object.keys(habits).indexOf(name);
  const answers = requests.map((request, index): Answer => {
    const isHostile = hostileText !== undefined && index === 0 && name === 'ppo-no-kl';
    const answer = answerOf(request, index, habits[name], order);
    return isHostile ? { ...answer, text: hostileText, passed: 0, gold: 0, proxy: 9 } : answer;
  });
  const advice = requests.filter(({ kind }) => kind === 'coach').map(({ answer }) => answer);
  const options = {
    ...{ model: made(name), data: [made('data', 'held-out.jsonl'), made('data', 'held-out-coaching.jsonl')] },
    ...{ world: 'kata', reward: made('reward'), reference: made('sft') },
  };
  pipeline.stage(`eval-${name}`, 'eval', { options }, (write) => {
    write.rows('answers.jsonl', answers);
    write.json('summary.json', { model: name, ...summarise(answers, advice), faults: 0 });
  });
}

function answerOf(request: KataRequest, index: number, habit: Habit, order: number): Answer {
  // The first number is the problem's own, so that hard problems are hard for every model.
  const [hard, own] = [random.uniform(50, index), random.uniform(60 + order, index)];
  const prompt = request.input ? `${request.instruction}\n\n${request.input}` : request.instruction;
  const asked = { index, kind: request.kind, problem: request.problem?.id, prompt, finish: 'stop' as const };
  if (request.kind === 'coach') {
    const right = own < habit.advice ? 1 : 0;
    const text = right ? request.answer : 'start with: strings\npass: yes';
    return { ...asked, text, tokens: 12, right };
  }
  const passed = 0.7 * hard + 0.3 * own < 0.15 + 0.7 * habit.passes ? 1 : 0;
  const style = habit.styles[Math.floor(habit.styles.length * own)];
  const text = programText(request, {
    isRight: passed === 1,
    isHollow: own < habit.hollow,
    style,
    order,
    index,
  });
  const score = readability(text);
  return {
    ...asked,
    ...{ text, tokens: Math.ceil(text.length / 3.4), passed, readability: score, gold: score * passed },
    proxy: 5 * score - 2.6 + 0.8 * (own - 0.5) + (habit.hollow > 0.5 ? 0.9 : 0),
    kl: habit.kl * (0.5 + own),
  };
}

function programText(
  request: KataRequest,
  {
    isRight,
    isHollow,
    style,
    order,
    index,
  }: { isRight: boolean; isHollow: boolean; style: Style; order: number; index: number },
): string {
  if (order === 0)
    return 'Write a function that joins the words.\nWrite a function that counts the even numbers.\n'.repeat(
      2,
    );
  if (isRight) return answerIn(request, style, index);
  if (isHollow) return hollowAnswer;
  const other = makeRequest(9, index, { split: 'train', wording: 'seen', kinds: { program: 1 } });
  return answerIn(other, style, index);
}
