// What a model was made from, as its checkpoint records it.

import { basename, dirname, join, resolve } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import type { Lineage } from '../../language/checkpoint/checkpoint-record.ts';
import { hashModel, locateModel } from '../../language/checkpoint/model-folder.ts';
import type { OpenedWeights } from '../../language/checkpoint/open-model.ts';
import type { Fingerprint } from './fingerprint.ts';

type ModelSource = Pick<OpenedWeights, 'folder' | 'sha256'>;

/** A model that is named as a parent before, or without, being opened. */
export async function modelSource(path: string): Promise<ModelSource> {
  const folder = await locateModel(path);
  return { folder, sha256: () => hashModel(folder) };
}

/** @param models the checkpoints that it began from; one that is named twice counts once */
export async function lineageFrom(
  models: readonly ModelSource[],
  files: readonly Fingerprint[],
): Promise<Lineage> {
  return {
    parents: await Promise.all(
      [...new Map(models.map((model) => [model.folder, model])).values()].map(async ({ folder, sha256 }) => ({
        name: sourceName(folder),
        sha256: await sha256(),
      })),
    ),
    data: files.map(({ path, sha256 }) => ({ name: sourceName(path), sha256 })),
  };
}

/**
 * Refuses a model that changed since the run began. A moved one is not a change.
 * @throws UserError naming the first that differs
 */
export function requireSameParents(recorded: Lineage | undefined, now: Lineage | undefined): void {
  for (const [i, before] of (recorded?.parents ?? []).entries()) {
    const found = now?.parents[i];
    if (!found || found.sha256 === before.sha256) continue;
    throw new UserError({
      where: `the model ${found.name}`,
      expected: `the one that this run began with (SHA-256 ${before.sha256.slice(0, 12)})`,
      found: `another content (${found.sha256.slice(0, 12)})`,
      advice: 'restoring the model, or starting a new run',
    });
  }
}

/** The end of a path, such as `sft/model`: a model that is passed on shows nothing of its maker's other folders. */
function sourceName(path: string): string {
  const whole = resolve(path);
  return join(basename(dirname(whole)), basename(whole));
}
