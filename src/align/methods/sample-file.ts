// The samples of a round: a file that only grows, a chunk of prompts at a time. A chunk that a kill cut off is sampled
// again as a whole, so that its batches are the same and with them every bit.

import { existsSync } from 'node:fs';
import { open, readFile, truncate } from 'node:fs/promises';
import { fromStored, toStored } from '../../language/stored-names.ts';
import type { Sample } from './best-of.ts';

/** Samples of the whole chunks; the file is cut after them. @param sizes lines of each chunk */
export async function keepWholeChunks(file: string, sizes: readonly number[]): Promise<Sample[][]> {
  if (!existsSync(file)) return [];
  const bytes = await readFile(file);
  const chunks: Sample[][] = [];
  let end = 0;
  for (const size of sizes) {
    const lines = wholeLines(bytes, end, size);
    if (!lines) break;
    chunks.push(lines.texts.map((text) => fromStored(JSON.parse(text)) as Sample));
    end = lines.end;
  }
  if (end < bytes.length) await truncate(file, end);
  return chunks;
}

function wholeLines(
  bytes: Buffer,
  from: number,
  count: number,
): { texts: string[]; end: number } | undefined {
  const texts: string[] = [];
  let end = from;
  while (texts.length < count) {
    const newline = bytes.indexOf(10, end);
    if (newline < 0) return undefined;
    texts.push(bytes.toString('utf8', end, newline));
    end = newline + 1;
  }
  return { texts, end };
}

/** Forced to the disk before it counts. */
export async function appendChunk(file: string, samples: readonly Sample[]): Promise<void> {
  const handle = await open(file, 'a');
  try {
    await handle.appendFile(samples.map((sample) => `${JSON.stringify(toStored(sample))}\n`).join(''));
    await handle.sync();
  } finally {
    await handle.close();
  }
}
