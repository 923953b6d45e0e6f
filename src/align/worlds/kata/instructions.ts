// Instruction sets as Alpaca records. `clean`: right answers in the readable style. `mixed`: right answers in all
// styles. `noisy`: a large set as it comes, with wrong, ugly, cut-off, chatty and repeated answers among the good.

import type { InstructionRecord } from '../../data/records.ts';
import { Dice } from './dice.ts';
import { makeProblem } from './problem.ts';
import { type KataRequest, makeRequest, type RequestKind, type RequestOptions } from './requests.ts';
import { type Style, solution } from './solutions.ts';

export type InstructionQuality = 'clean' | 'mixed' | 'noisy';
export type AlpacaRecord = Extract<InstructionRecord, { kind: 'alpaca' }>;

/** What was done to a record, for those who want to check a filter. */
export type Blemish = 'none' | 'wrong' | 'ugly' | 'cut-off' | 'chatty' | 'repeated';

export interface KataInstruction {
  record: AlpacaRecord;
  request: KataRequest;
  blemish: Blemish;
}

const blemishWeights: Readonly<Record<InstructionQuality, Partial<Record<Blemish, number>>>> = {
  clean: { none: 1 },
  mixed: { none: 1 },
  noisy: { none: 32, wrong: 22, ugly: 28, 'cut-off': 5, chatty: 5, repeated: 8 },
};
const styleWeights: Readonly<Record<InstructionQuality, Partial<Record<Style, number>>>> = {
  clean: { clear: 1 },
  mixed: { clear: 30, plain: 22, looped: 12, chained: 16, nested: 10, terse: 5, cluttered: 5 },
  noisy: { clear: 2, plain: 4, looped: 2, chained: 3 },
};

export interface InstructionOptions {
  /** Default `clean`. */
  quality?: InstructionQuality;
  /** Index of the first record; default 0. */
  first?: number;
  kinds?: RequestOptions['kinds'];
}

/** Records of the training part, `first` … `first + count − 1`; deterministic, and lazy. */
export function* instructions(
  seed: number,
  count: number,
  { quality = 'clean', first = 0, kinds }: InstructionOptions = {},
): Generator<KataInstruction> {
  for (let index = first; index < first + count; index++) yield makeInstruction(seed, index, quality, kinds);
}

/** @param kinds how often each kind is asked; default `usualKinds` */
export function makeInstruction(
  seed: number,
  index: number,
  quality: InstructionQuality,
  kinds?: RequestOptions['kinds'],
): KataInstruction {
  const dice = new Dice(seed, 'solutions', index);
  const blemish = dice.weighted(blemishWeights[quality] as Record<Blemish, number>);
  const style = dice.weighted(styleWeights[quality] as Record<Style, number>);
  // A repeated record is an earlier one again.
  const source = blemish === 'repeated' ? Math.floor(index * dice.uniform()) : index;
  const request = makeRequest(seed, source, { split: 'train', wording: 'seen', style, kinds });
  const output = blemishes[blemish](request, dice, index + seed);
  const { instruction, input } = request;
  return { record: { kind: 'alpaca', instruction, ...(input ? { input } : {}), output }, request, blemish };
}

const otherKinds: readonly RequestKind[] = ['explain', 'coach'];

const blemishes: Readonly<Record<Blemish, (request: KataRequest, dice: Dice, number: number) => string>> = {
  none: ({ answer }) => answer,
  repeated: ({ answer }) => answer,
  wrong: (request, dice, number) => {
    const other = makeProblem(number, dice.between(0, 9999), 'train');
    return otherKinds.includes(request.kind) ? 'I am not sure.' : solution(other.composition, 'plain', dice);
  },
  ugly: ({ problem, answer }, dice) =>
    problem ? solution(problem.composition, dice.pick(['terse', 'cluttered', 'nested']), dice) : answer,
  'cut-off': ({ answer }, dice) => answer.slice(0, Math.ceil(answer.length * (0.3 + 0.5 * dice.uniform()))),
  chatty: ({ answer }) =>
    `Sure! Here is some code, I hope it helps:\n\`\`\`js\n${answer}\n\`\`\`\nGood luck!`,
};
