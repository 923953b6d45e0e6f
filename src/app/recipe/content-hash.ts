// What a model's folder or a data file holds, as one hash: a stage's key changes when its inputs do, wherever they lie.

import { stat } from 'node:fs/promises';
import { fingerprintFile } from '../../align/data/fingerprint.ts';
import { UserError } from '../../engine/errors.ts';
import { hashFolder } from '../../language/checkpoint/commit.ts';
import { hashModel, locateModel } from '../../language/checkpoint/model-folder.ts';

export interface HashedInput {
  /** Where it was found; absolute when the given path was. */
  path: string;
  sha256: string;
}

/** Hashes each path once. */
export class ContentHashes {
  private readonly known = new Map<string, Promise<HashedInput>>();

  /**
   * A model's folder, or that of the run that made it.
   * @param where  names the place in the recipe, for the message
   * @param advice what to try when there is no model
   * @throws UserError when there is no model
   */
  model(path: string, where: string, advice?: string): Promise<HashedInput> {
    return this.once(`model ${path}`, async () => {
      const folder = await locateModel(path).catch((error) => {
        if (!(error instanceof UserError)) throw error;
        throw new UserError({ advice, ...error.mistake, where: `${where}: ${path}` }, { cause: error });
      });
      return { path: folder, sha256: await hashModel(folder) };
    });
  }

  /** A file or a folder. @throws UserError when it is not there */
  input(path: string, where: string): Promise<HashedInput> {
    return this.once(path, async () => {
      const found = await stat(path).catch(() => undefined);
      if (!found) {
        throw new UserError({
          where,
          expected: 'a file or folder that is there (paths are relative to the recipe)',
          found: `${path}, which is not`,
        });
      }
      // What can be read only once, such as a pipe, would be empty for its stage.
      if (!found.isFile() && !found.isDirectory()) {
        throw new UserError({ where, expected: 'a file or folder', found: `${path}, which is neither` });
      }
      const sha256 = found.isDirectory() ? await hashFolder(path) : (await fingerprintFile(path)).sha256;
      return { path, sha256 };
    });
  }

  private once(key: string, hash: () => Promise<HashedInput>): Promise<HashedInput> {
    const known = this.known.get(key) ?? hash();
    this.known.set(key, known);
    return known;
  }
}
