// Replacing a folder as a whole. The new one is written beside the old one under a hidden name, forced to the disk with
// its manifest last, and renamed into place. A crash at any point leaves the old or the new, complete;
// between the two renames the old one stands under its hidden name, where `resolveFolder` finds it.

import { randomUUID } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import { diskFiles, errorCode, exists, type Files } from './files.ts';
import { unlistedFiles, writeManifest } from './manifest.ts';
import { isAlive } from './processes.ts';

export { hashFolder, verifyFolder } from './manifest.ts';

/** Staging folders that this process is writing. Process ids alone are not enough: in a container each run may have the same. */
const active = new Set<string>();

/**
 * Writes a folder atomically, replacing an earlier one that heed wrote.
 * @param target its parent is made where missing
 * @param write  fills the staging folder that it is given
 * @throws UserError when the disk refuses, or when the target holds files that heed did not write; the target is then
 *   as it was
 */
export async function commitFolder(
  target: string,
  write: (stagingFolder: string) => Promise<void>,
  files: Files = diskFiles,
): Promise<void> {
  const path = resolve(target);
  const staging = join(dirname(path), `${stagingPrefix(path)}${process.pid}-${randomUUID()}`);
  active.add(staging);
  try {
    await makeParents(dirname(path), files);
    await recover(path, files);
    await refuseForeignTarget(path);
    await files.makeFolder(staging);
    await write(staging);
    await writeManifest(staging, files);
    await replace(path, staging, files);
  } catch (error) {
    await files.remove(staging).catch(() => {});
    throw explained(error, path);
  } finally {
    active.delete(staging);
  }
}

function stagingPrefix(path: string): string {
  return `.${basename(path)}.staging-${hostname()}-`;
}

function previousOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.previous`);
}

async function makeParents(folder: string, files: Files): Promise<void> {
  if (await exists(folder)) return;
  await makeParents(dirname(folder), files);
  await files.makeFolder(folder);
  await files.sync(dirname(folder));
}

/** Finishes what a crash interrupted: puts an old folder back or away, and clears what dead processes of this machine left. */
async function recover(path: string, files: Files): Promise<void> {
  const parent = dirname(path);
  if (await exists(previousOf(path))) {
    if (await exists(path)) await files.remove(previousOf(path));
    else await files.rename(previousOf(path), path);
  }
  for (const name of await readdir(parent)) {
    if (name.startsWith(stagingPrefix(path)) && isAbandoned(path, name))
      await files.remove(join(parent, name));
  }
}

function isAbandoned(path: string, name: string): boolean {
  const pid = Number(name.slice(stagingPrefix(path).length).split('-')[0]);
  return pid === process.pid ? !active.has(join(dirname(path), name)) : !isAlive(pid);
}

async function refuseForeignTarget(path: string): Promise<void> {
  if (!(await exists(path)) || (await namesIn(path)).length === 0) return;
  const unlisted = await unlistedFiles(path);
  if (unlisted?.length === 0) return;
  throw new UserError({
    where: path,
    expected: 'no folder, an empty one, or one that heed wrote',
    found: unlisted ? `a file that heed did not write: ${unlisted[0]}` : 'other files',
    advice: 'another folder',
  });
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOTDIR') throw error;
    throw new UserError({ where: path, expected: 'a folder', found: 'a file', advice: 'another name' });
  }
}

async function replace(path: string, staging: string, files: Files): Promise<void> {
  const previous = previousOf(path);
  const isReplacing = await exists(path);
  if (isReplacing) await files.rename(path, previous);
  try {
    await files.rename(staging, path);
  } catch (error) {
    if (isReplacing) await files.rename(previous, path).catch(() => {});
    throw error;
  }
  await files.sync(dirname(path));
  // From here on the new folder stands; an old one that stays behind is cleared by the next commit.
  if (isReplacing) await files.remove(previous).catch(() => {});
}

/**
 * Where the committed folder is: the target itself or, after a crash between two renames, the old one's hidden name.
 * @throws UserError when there is neither
 */
export async function resolveFolder(target: string): Promise<string> {
  const path = resolve(target);
  const found = (await exists(path)) ? path : previousOf(path);
  if (!(await exists(found))) throw new UserError({ where: target, expected: 'a folder', found: 'nothing' });
  if ((await stat(found)).isDirectory()) return found;
  throw new UserError({ where: target, expected: 'a folder', found: 'a file' });
}

/** Deletes a committed folder such that no half of it is ever found under its name. */
export async function discardFolder(target: string, files: Files = diskFiles): Promise<void> {
  const path = resolve(target);
  const doomed = join(dirname(path), `.${basename(path)}.deleting`);
  await files.remove(doomed);
  await files.remove(previousOf(path));
  if (!(await exists(path))) return;
  await files.rename(path, doomed);
  await files.sync(dirname(path));
  await files.remove(doomed);
}

const diskFaults: Record<string, string> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  EACCES: 'permission is denied',
  EPERM: 'permission is denied',
  EROFS: 'the disk is read-only',
  EIO: 'the disk failed',
};

function explained(error: unknown, path: string): unknown {
  const reason = diskFaults[errorCode(error) ?? ''];
  if (!reason) return error;
  const found = `${(error as Error).message}: ${reason}`;
  return new UserError(
    { where: path, expected: 'to write it', found, advice: 'another disk or more room' },
    {
      cause: error as Error,
    },
  );
}

/** The names of committed folders in `parent`, those that a crash left under a hidden name among them. */
export async function listCommitted(parent: string): Promise<string[]> {
  const names = (await exists(parent)) ? await readdir(parent) : [];
  const previous = names
    .map((name) => /^\.(.+)\.previous$/.exec(name)?.[1])
    .filter((name) => name !== undefined);
  return [...new Set([...names.filter((name) => !name.startsWith('.')), ...previous])];
}

/** Clears what an interrupted `discardFolder` left in `parent`. */
export async function clearDiscarded(parent: string, files: Files = diskFiles): Promise<void> {
  for (const name of await readdir(parent)) {
    if (/^\..+\.deleting$/.test(name)) await files.remove(join(parent, name));
  }
}
