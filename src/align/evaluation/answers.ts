// What `heed eval` writes of each request, one line of answers.jsonl, and reading it back.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError, UserError } from '../../engine/errors.ts';
import { resolveFolder, verifyFolder } from '../../language/checkpoint/commit.ts';

export const answersFile = 'answers.jsonl';
export const summaryFile = 'summary.json';

export interface Answer {
  /** Place of the request among the rows of the data, from 0; the same for every model. */
  index: number;
  /** `kind` and `problem` of the request's row. */
  kind?: string;
  problem?: string;
  /** The request as it was given, without template. */
  prompt: string;
  text: string;
  finish: 'stop' | 'stop-string' | 'length';
  /** With the end-of-text token. */
  tokens: number;
  /** 1 when all hidden tests pass. */
  passed?: 0 | 1;
  /** The criterion of the text, 0 … 1. */
  readability?: number;
  /** readability × passed */
  gold?: number;
  /** The reward model's score; not of coaching requests. */
  proxy?: number;
  /** log π − log π_ref of the answer's tokens, nats; not of coaching requests. */
  kl?: number;
  /** Of coaching requests: 1 when the advice is right. */
  right?: 0 | 1;
  /** With --continuation: 1 when the text holds no answer. */
  continues?: 0 | 1;
}

/** @throws UserError when the folder is none of `heed eval`'s; FormatError when it is not whole */
export async function readAnswers(folder: string): Promise<Answer[]> {
  const path = await resolveFolder(folder);
  await verifyFolder(path);
  const where = join(folder, answersFile);
  const lines = (await readText(join(path, answersFile), folder)).split('\n').filter(Boolean);
  return lines.map((line, i) => parseAnswer(line, `${where}:${i + 1}`));
}

async function readText(path: string, folder: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new UserError(
      { where: folder, expected: 'a folder that heed eval wrote', found: `none with ${answersFile}` },
      { cause },
    );
  }
}

function parseAnswer(line: string, where: string): Answer {
  try {
    const answer = JSON.parse(line) as Partial<Answer> | null;
    if (typeof answer?.index === 'number' && typeof answer.prompt === 'string') return answer as Answer;
  } catch {
    // Told below.
  }
  throw new FormatError({ where, expected: 'an answer with index and prompt', found: line.slice(0, 80) });
}
