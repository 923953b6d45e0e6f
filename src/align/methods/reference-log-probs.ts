// What the reference says of the answers, before any training: computed once, and kept with the run, so that the
// reference need not stay in memory and a resumed run need not compute it again.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import type { Model } from '../../language/checkpoint/checkpoint.ts';
import { diskFiles } from '../../language/checkpoint/files.ts';
import { fromStored, toStored } from '../../language/stored-names.ts';
import type { TokenRow } from '../data/token-row.ts';
import { type ScoringOptions, sequenceLogProbs } from '../scoring/sequences.ts';

const fileName = 'reference-log-probs.json';

interface Kept {
  /** SHA-256 of the reference model and of all sequences. */
  sha256: string;
  logProbs: number[];
}

/**
 * Σ log π_ref of each sequence's trained tokens, nats; a sequence that comes more than once is computed once.
 * @param reference a model, and the hash of its folder
 * @param folder the run's
 * @throws UserError when one of them is not finite
 */
export async function referenceLogProbs(
  backend: Backend,
  reference: { model: Model; sha256: string },
  sequences: readonly TokenRow[],
  folder: string,
  options: ScoringOptions,
): Promise<readonly number[]> {
  const sha256 = identify(reference.sha256, sequences);
  const file = join(folder, fileName);
  const kept = await readKept(file);
  if (kept?.sha256 === sha256) return kept.logProbs;
  const { unique, places } = withoutRepeats(sequences);
  const found = await sequenceLogProbs(backend, reference.model, unique, options);
  const logProbs = places.map((place) => found[place]);
  requireFinite(logProbs, sequences);
  if (backend.workers.rank === 0) await replaceFile(file, { sha256, logProbs });
  return logProbs;
}

function identify(model: string, sequences: readonly TokenRow[]): string {
  const hash = createHash('sha256').update(model);
  for (const { ids, isTrained } of sequences) hash.update(`${ids.length} `).update(ids).update(isTrained);
  return hash.digest('hex');
}

async function readKept(file: string): Promise<Kept | undefined> {
  return existsSync(file) ? (fromStored(JSON.parse(await readFile(file, 'utf8'))) as Kept) : undefined;
}

/** The old file or the whole new one, never between. */
async function replaceFile(file: string, kept: Kept): Promise<void> {
  await diskFiles.write(`${file}.new`, [Buffer.from(`${JSON.stringify(toStored(kept))}\n`)]);
  await diskFiles.rename(`${file}.new`, file);
}

function withoutRepeats(sequences: readonly TokenRow[]): { unique: TokenRow[]; places: number[] } {
  const seen = new Map<string, number>();
  const unique: TokenRow[] = [];
  const places = sequences.map((row) => {
    const key = `${row.ids.join()} ${row.isTrained.join('')}`;
    const place = seen.get(key) ?? unique.push(row) - 1;
    seen.set(key, place);
    return place;
  });
  return { unique, places };
}

function requireFinite(logProbs: readonly number[], sequences: readonly TokenRow[]): void {
  const wrong = logProbs.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return;
  const { file, line } = sequences[wrong].source;
  throw new UserError({
    where: `${file}:${line}`,
    expected: 'a finite log-probability under the reference',
    found: `${logProbs[wrong]}`,
    advice: 'another --reference, or leaving this row out',
  });
}
