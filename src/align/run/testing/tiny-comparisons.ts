// Preferences and rankings of tiny runs: the better answer of a pair says more words of the prompt.

import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const words = ['red', 'blue', 'cat', 'dog', 'sun', 'moon', 'sings', 'sleeps', 'runs', 'falls'];
const word = (n: number): string => words[n % words.length];

function write(folder: string, name: string, rows: readonly object[]): string {
  const path = join(folder, name);
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return path;
}

const promptOf = (i: number): string => `${word(i)} ${word(i + 3)}?`;

/** Strength 1 … 3. @returns the file's path */
export function writePreferences(folder: string, count: number, name = 'pairs.jsonl', from = 0): string {
  const rows = Array.from({ length: count }, (_, k) => {
    const i = from + k;
    return {
      prompt: promptOf(i),
      chosen: ` ${word(i)} ${word(i + 3)}`,
      rejected: ` ${Array.from({ length: 1 + (i % 3) }, (_, n) => word(i + 5 + n)).join(' ')}`,
      strength: 1 + (i % 3),
    };
  });
  return write(folder, name, rows);
}

/** Of each pair of a file one answer with its mark, good and bad in turn. @returns the new file's path */
export function writeMarked(pairs: string): string {
  const rows = readFileSync(pairs, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line, i) => {
      const { prompt, chosen, rejected } = JSON.parse(line);
      const label = i % 2 === 0;
      return { prompt, completion: label ? chosen : rejected, label };
    });
  return write(dirname(pairs), `marked-${basename(pairs)}`, rows);
}

/** Two to four answers a prompt. @returns the file's path */
export function writeRankings(folder: string, count: number, name = 'rankings.jsonl'): string {
  const rows = Array.from({ length: count }, (_, i) => {
    const answers = [`${word(i)} ${word(i + 3)}`, word(i), word(i + 5), word(i + 6)];
    return { prompt: promptOf(i), ranked: answers.slice(0, 2 + (i % 3)).map((answer) => ` ${answer}`) };
  });
  return write(folder, name, rows);
}
