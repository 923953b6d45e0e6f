// One real row of each kind of data, cut by the run's own tokenizer, with what the loss does to each token.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { recognise } from '../../align/data/records.ts';
import { isDropped } from '../../align/data/token-row.ts';
import { tokenizeInstruction, tokenizeRecordPrompt } from '../../align/data/tokenize.ts';
import type { Sample } from '../../align/methods/best-of.ts';
import type { Episode, RunEvent } from '../../align/run/events.ts';
import { loadModelTokenizer, type ModelTokenizer } from '../../language/checkpoint/model-tokenizer.ts';
import { fromStored } from '../../language/stored-names.ts';
import type { Tokenizer } from '../../language/text/tokenizer.ts';
import type { Pipeline, PipelineStage } from '../recipe/pipeline-file.ts';
import type { ShownToken, TokenRole } from './document.ts';
import { locatePath, readRowsIfThere, stageBy, stagesBy } from './read-pipeline.ts';

export interface Exhibits {
  demonstration?: { stage: string; tokens: ShownToken[] };
  preference?: { stage: string; prompt: ShownToken[]; chosen: ShownToken[]; rejected: ShownToken[] };
  /** Answers of the first round to one prompt, the best first, which is learnt from. */
  sampled?: { stage: string; prompt: ShownToken[]; answers: { tokens: ShownToken[]; reward: number }[] };
  /** An answer that a method learnt from: its reward, and the KL that it was charged, nats. */
  episode?: { stage: string; step: number; tokens: ShownToken[]; reward: number; kl: number };
}

type Row = Record<string, unknown>;
type SampleEvent = Extract<RunEvent, { type: 'sample' }>;

/** Rows longer than this are passed over, as long as a shorter one comes soon. */
const MOST_TOKENS = 220;
const ROWS_LOOKED_AT = 60;

/** Empty when no stage has left a tokenizer. */
export async function readExhibits(pipeline: Pipeline): Promise<Exhibits> {
  const tokenizer = await findTokenizer(pipeline);
  if (!tokenizer || tokenizer.prompts.special.eos === undefined) return {};
  return {
    demonstration: await demonstrationOf(pipeline, tokenizer),
    preference: await preferenceOf(pipeline, tokenizer),
    sampled: await sampledOf(pipeline, tokenizer),
    episode: await episodeOf(pipeline, tokenizer),
  };
}

async function findTokenizer(pipeline: Pipeline): Promise<ModelTokenizer | undefined> {
  for (const { folder } of pipeline.stages) {
    const model = join(folder, 'model');
    if (existsSync(join(model, 'tokenizer.json'))) return loadModelTokenizer(model);
  }
  return undefined;
}

async function demonstrationOf(
  pipeline: Pipeline,
  { tokenizer, prompts }: ModelTokenizer,
): Promise<Exhibits['demonstration']> {
  for (const stage of stagesBy(pipeline, 'sft')) {
    const rows = await readFirstData(pipeline, stage);
    const tokenized = rows.flatMap((row) => {
      const record = recognise(row);
      if (record.kind !== 'alpaca' && record.kind !== 'completion') return [];
      const limits = { maxLength: Number.POSITIVE_INFINITY, truncation: 'drop' } as const;
      const tokens = tokenizeInstruction(record, prompts, limits);
      return isDropped(tokens) ? [] : [tokens];
    });
    const chosen = tokenized.find(({ ids }) => ids.length <= MOST_TOKENS) ?? tokenized[0];
    if (!chosen) continue;
    const { ids, isTrained } = chosen;
    const roleOf = (i: number) => (isTrained[i] ? 'trained' : 'context');
    return { stage: stage.name, tokens: showTokens(tokenizer, Array.from(ids), roleOf) };
  }
  return undefined;
}

/** Of the first of its --data files that is there. */
async function readFirstData(pipeline: Pipeline, { options }: PipelineStage): Promise<Row[]> {
  const paths = [options.data].flat().map((path) => locatePath(pipeline, path));
  return readRowsIfThere(
    paths.find((path) => path?.endsWith('.jsonl')),
    ROWS_LOOKED_AT,
  );
}

async function preferenceOf(
  pipeline: Pipeline,
  { tokenizer }: ModelTokenizer,
): Promise<Exhibits['preference']> {
  const stage = stageBy(pipeline, 'label');
  const rows = stage ? await readRowsIfThere(join(stage.folder, 'preferences.jsonl'), ROWS_LOOKED_AT) : [];
  const ids = (row: Row, key: string) => row[key] as number[];
  const isClear = (row: Row) =>
    (row.strength as number) >= 2 &&
    ids(row, 'chosen_ids').length + ids(row, 'rejected_ids').length <= MOST_TOKENS;
  const row = rows.find(isClear) ?? rows[0];
  if (!stage || !row) return undefined;
  return {
    stage: stage.name,
    prompt: showTokens(tokenizer, ids(row, 'prompt_ids'), () => 'context'),
    chosen: showTokens(tokenizer, ids(row, 'chosen_ids'), () => 'chosen'),
    rejected: showTokens(tokenizer, ids(row, 'rejected_ids'), () => 'rejected'),
  };
}

async function sampledOf(
  pipeline: Pipeline,
  { tokenizer, prompts }: ModelTokenizer,
): Promise<Exhibits['sampled']> {
  const stage = stageBy(pipeline, 'reject');
  if (!stage || stage.options.pick === 'random') return undefined;
  const rows = await readRowsIfThere(join(stage.folder, 'samples/round-1.jsonl'), 4 * ROWS_LOOKED_AT);
  const samples = rows.map((row) => fromStored(row) as Sample);
  const asked = await readFirstData(pipeline, stage);
  for (const [index, row] of asked.entries()) {
    const answers = samples.filter(({ prompt }) => prompt === index);
    if (!isTelling(answers)) continue;
    const record = recognise({ output: '', ...row });
    if (record.kind !== 'alpaca') return undefined;
    return {
      stage: stage.name,
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

/** Of the first run that kept any: the last of the answers that it learnt from which is short and came to its end. */
async function episodeOf(
  pipeline: Pipeline,
  { tokenizer, prompts }: ModelTokenizer,
): Promise<Exhibits['episode']> {
  for (const { name, folder } of pipeline.stages) {
    const rows = await readRowsIfThere(join(folder, 'samples.jsonl'));
    const episodes = (rows as unknown as SampleEvent[]).flatMap(({ step, episode }) =>
      episode ? [{ step, ...episode }] : [],
    );
    const isShort = ({ ids, kl }: Episode) => kl.length <= MOST_TOKENS && ids.at(-1) === prompts.special.eos;
    const shown = episodes.findLast(isShort);
    if (!shown) continue;
    const { step, ids, kl, score } = shown;
    const promptLength = ids.length - kl.length;
    const tokens = showTokens(tokenizer, ids, (i) => {
      if (i < promptLength) return 'context';
      return i === ids.length - 1 ? 'reward' : 'action';
    });
    kl.forEach((nats, i) => {
      tokens[promptLength + i].hint += ` · KL ${nats.toFixed(3)}`;
    });
    return { stage: name, step, tokens, reward: score, kl: kl.reduce((total, nats) => total + nats, 0) };
  }
  return undefined;
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
