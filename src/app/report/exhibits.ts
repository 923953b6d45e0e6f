// One real row of each kind of data, cut by the run's own tokenizer, with what the loss does to each token.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadModelTokenizer, type ModelTokenizer } from '../../align/data/model-tokenizer.ts';
import { recognise } from '../../align/data/records.ts';
import { isDropped } from '../../align/data/token-row.ts';
import { tokenizeInstruction, tokenizeRecordPrompt } from '../../align/data/tokenize.ts';
import type { Sample } from '../../align/methods/best-of.ts';
import type { Tokenizer } from '../../language/text/tokenizer.ts';
import type { ShownToken, TokenRole } from './document.ts';
import { type Road, readRowsIfThere, stageNamed } from './read-road.ts';
import { askedText, readHeldOut } from './samples.ts';

export interface Exhibits {
  demonstration?: ShownToken[];
  preference?: { prompt: ShownToken[]; chosen: ShownToken[]; rejected: ShownToken[] };
  /** Answers of the first round to one prompt, the best first, which is learnt from. */
  sampled?: { prompt: ShownToken[]; answers: { tokens: ShownToken[]; reward: number }[] };
  /** Of the PPO model, from its evaluation. */
  answer?: { tokens: ShownToken[]; reward: number; kl?: number };
}

/** Rows longer than this are passed over, as long as a shorter one comes soon. */
const MOST_TOKENS = 220;
const ROWS_LOOKED_AT = 60;

/** Empty when no stage has left a tokenizer. */
export async function readExhibits(road: Road): Promise<Exhibits> {
  const tokenizer = await findTokenizer(road);
  if (!tokenizer || tokenizer.prompts.special.eos === undefined) return {};
  return {
    demonstration: await demonstrationOf(road, tokenizer),
    preference: await preferenceOf(road, tokenizer),
    sampled: await sampledOf(road, tokenizer),
    answer: await answerOf(road, tokenizer),
  };
}

async function findTokenizer(road: Road): Promise<ModelTokenizer | undefined> {
  for (const { folder } of road.stages) {
    const model = join(folder, 'model');
    if (existsSync(join(model, 'tokenizer.json'))) return loadModelTokenizer(model);
  }
  return undefined;
}

async function demonstrationOf(
  road: Road,
  { tokenizer, prompts }: ModelTokenizer,
): Promise<ShownToken[] | undefined> {
  const rows = await readRowsIfThere(stageNamed(road, 'data'), 'instructions.jsonl', ROWS_LOOKED_AT);
  const tokenized = rows.flatMap((row) => {
    const record = recognise(row);
    if (record.kind !== 'alpaca') return [];
    const tokens = tokenizeInstruction(record, prompts, {
      maxLength: Number.POSITIVE_INFINITY,
      truncation: 'drop',
    });
    return isDropped(tokens) ? [] : [tokens];
  });
  const chosen = tokenized.find(({ ids }) => ids.length <= MOST_TOKENS) ?? tokenized[0];
  return (
    chosen &&
    showTokens(tokenizer, Array.from(chosen.ids), (i) => (chosen.isTrained[i] ? 'trained' : 'context'))
  );
}

async function preferenceOf(road: Road, { tokenizer }: ModelTokenizer): Promise<Exhibits['preference']> {
  const rows = await readRowsIfThere(stageNamed(road, 'preferences'), 'preferences.jsonl', ROWS_LOOKED_AT);
  const ids = (row: Record<string, unknown>, key: string) => row[key] as number[];
  const isClear = (row: Record<string, unknown>) =>
    (row.strength as number) >= 2 &&
    ids(row, 'chosen_ids').length + ids(row, 'rejected_ids').length <= MOST_TOKENS;
  const row = rows.find(isClear) ?? rows[0];
  if (!row) return undefined;
  return {
    prompt: showTokens(tokenizer, ids(row, 'prompt_ids'), () => 'context'),
    chosen: showTokens(tokenizer, ids(row, 'chosen_ids'), () => 'chosen'),
    rejected: showTokens(tokenizer, ids(row, 'rejected_ids'), () => 'rejected'),
  };
}

async function sampledOf(road: Road, { tokenizer, prompts }: ModelTokenizer): Promise<Exhibits['sampled']> {
  const stage = stageNamed(road, 'reject');
  if (stage?.options.pick === 'random') return undefined;
  const samples = await readRowsIfThere(stage, 'samples/round-1.jsonl', 4 * ROWS_LOOKED_AT);
  const asked = await readRowsIfThere(stageNamed(road, 'data'), 'prompts.jsonl', ROWS_LOOKED_AT);
  for (const [index, row] of asked.entries()) {
    const answers = (samples as unknown as Sample[]).filter(({ prompt }) => prompt === index);
    if (!isTelling(answers)) continue;
    const record = recognise({ output: '', ...row });
    if (record.kind !== 'alpaca') return undefined;
    return {
      prompt: showTokens(tokenizer, tokenizeRecordPrompt(record, prompts), () => 'context'),
      answers: answers
        .toSorted((a, b) => b.reward - a.reward)
        .map(({ ids, reward }, rank) => ({
          tokens: showTokens(tokenizer, ids, () => (rank === 0 ? 'trained' : 'context')),
          reward,
        })),
    };
  }
  return undefined;
}

/** Short, all finished, and no two of one reward. */
function isTelling(answers: readonly Sample[]): boolean {
  const tokens = answers.reduce((sum, { ids }) => sum + ids.length, 0);
  const rewards = new Set(answers.map(({ reward }) => reward));
  return (
    answers.length > 1 &&
    tokens <= 2 * MOST_TOKENS &&
    rewards.size === answers.length &&
    answers.every(({ hasEos }) => hasEos)
  );
}

/** PPO keeps no tokens of its rollouts; what its model answered later is cut in the same way. */
async function answerOf(road: Road, { tokenizer, prompts }: ModelTokenizer): Promise<Exhibits['answer']> {
  const answers = await readRowsIfThere(stageNamed(road, 'eval-ppo'), 'answers.jsonl', ROWS_LOOKED_AT);
  const answer = answers.find(({ proxy, tokens, finish }) => {
    return typeof proxy === 'number' && finish === 'stop' && (tokens as number) <= MOST_TOKENS;
  });
  if (!answer) return undefined;
  const asked = (await readHeldOut(road)).find((request) => askedText(request) === answer.prompt);
  const { instruction, input } = asked ?? { instruction: answer.prompt as string };
  const prompt = tokenizeRecordPrompt({ kind: 'alpaca', instruction, input, output: '' }, prompts);
  const actions = [...tokenizer.encode(answer.text as string), prompts.special.eos!];
  return {
    tokens: answerTokens(prompt, actions, tokenizer),
    reward: answer.proxy as number,
    kl: typeof answer.kl === 'number' ? answer.kl : undefined,
  };
}

function answerTokens(
  prompt: readonly number[],
  actions: readonly number[],
  tokenizer: Tokenizer,
): ShownToken[] {
  const ids = [...prompt, ...actions];
  return showTokens(tokenizer, ids, (i) => {
    if (i < prompt.length) return 'context';
    return i === ids.length - 1 ? 'reward' : 'action';
  });
}

/** A character of several tokens stands with its last one. */
function showTokens(
  tokenizer: Tokenizer,
  ids: readonly number[],
  roleOf: (i: number) => TokenRole,
): ShownToken[] {
  const decoder = tokenizer.decoder();
  return ids.map((id, i) => ({ text: decoder.push(id), role: roleOf(i), hint: String(id) }));
}
