// What a model was made from, as its checkpoint tells it.

import { basename, dirname, join, resolve } from 'node:path';
import type { Lineage } from '../../language/checkpoint/checkpoint-record.ts';
import { hashFolder } from '../../language/checkpoint/commit.ts';
import type { Fingerprint } from './fingerprint.ts';

/** @param models folders of the checkpoints that it began from */
export async function lineageFrom(
  models: readonly string[],
  files: readonly Fingerprint[],
): Promise<Lineage> {
  return {
    parents: await Promise.all(
      models.map(async (folder) => ({ name: sourceName(folder), sha256: await hashFolder(folder) })),
    ),
    data: files.map(({ path, sha256 }) => ({ name: sourceName(path), sha256 })),
  };
}

/** The end of a path, such as `sft/model`: a model that is passed on tells nothing of its maker's other folders. */
function sourceName(path: string): string {
  const whole = resolve(path);
  return join(basename(dirname(whole)), basename(whole));
}
