// manifest.json: the size and SHA-256 of every file of a folder, written last. A folder is complete when it has one and
// everything in it is true. A folder inside with a manifest of its own is covered by that manifest's hash.

import { createHash } from 'node:crypto';
import { open, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FormatError } from '../../engine/errors.ts';
import { Fields } from '../model/config-fields.ts';
import { readJsonFile, requireRegularFile } from '../read-file.ts';
import { diskFiles, errorCode, type Files } from './files.ts';

export interface ManifestEntry {
  /** Relative to the folder, with forward slashes. */
  path: string;
  bytes: number;
  sha256: string;
}

const manifestName = 'manifest.json';
const manifestVersion = 1;
const largestPieceBytes = 2 ** 18;
const safePath = /^(?!.*(?:^|\/)\.\.?(?:\/|$))[^/\\\0]+(?:\/[^/\\\0]+)*$/;

/** Forces every file to the disk, then writes their hashes. */
export async function writeManifest(folder: string, files: Files = diskFiles): Promise<void> {
  const entries = await describeFiles(folder);
  for (const { path } of entries) await files.sync(join(folder, path));
  const inner = new Set(entries.map(({ path }) => dirname(path)).filter((name) => name !== '.'));
  for (const name of inner) await files.sync(join(folder, name));
  const text = `${JSON.stringify({ version: manifestVersion, files: entries }, null, 2)}\n`;
  await files.write(join(folder, manifestName), [new TextEncoder().encode(text)]);
  await files.sync(folder);
}

async function describeFiles(
  folder: string,
  isWanted: (path: string) => boolean = () => true,
): Promise<ManifestEntry[]> {
  const entries: ManifestEntry[] = [];
  for (const path of (await listCovered(folder)).filter(isWanted)) {
    const { size } = await stat(join(folder, path));
    entries.push({ path, bytes: size, sha256: await hashFile(join(folder, path)) });
  }
  return entries;
}

/** The files that a manifest of this folder names, in order; itself not among them. */
async function listCovered(folder: string, prefix = ''): Promise<string[]> {
  const names = await readdir(join(folder, prefix), { withFileTypes: true });
  if (prefix && names.some(({ name }) => name === manifestName)) return [`${prefix}${manifestName}`];
  const lists = names
    .filter(({ name }) => prefix !== '' || name !== manifestName)
    .map(async (item) => {
      const path = `${prefix}${item.name}`;
      return item.isDirectory() ? listCovered(folder, `${path}/`) : [path];
    });
  return (await Promise.all(lists)).flat().sort();
}

/** SHA-256 of a file, in hexadecimal. @throws FormatError when it is a pipe or another thing without an end */
async function hashFile(path: string): Promise<string> {
  await requireRegularFile(path);
  const hash = createHash('sha256');
  const file = await open(path);
  try {
    // A stream would take new memory for every read, however short the file.
    const buffer = Buffer.allocUnsafe(Math.min((await file.stat()).size, largestPieceBytes));
    for (;;) {
      const { bytesRead } = await file.read(buffer);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

/**
 * Compares a folder with its manifest.
 * @returns 'unmanaged' for a folder without one, which may come from elsewhere
 * @throws FormatError naming the first file that is missing or different, or a manifest that is not whole
 */
export async function verifyFolder(folder: string): Promise<'complete' | 'unmanaged'> {
  const entries = await readManifest(folder);
  if (!entries) return 'unmanaged';
  for (const entry of entries) {
    await verifyFile(folder, entry);
    if (entry.path.endsWith(`/${manifestName}`)) {
      await verifyFolder(join(folder, entry.path.slice(0, -manifestName.length)));
    }
  }
  return 'complete';
}

async function verifyFile(folder: string, { path, bytes, sha256 }: ManifestEntry): Promise<void> {
  const where = join(folder, path);
  const size = await sizeOf(where);
  if (size !== bytes) {
    const found = size === undefined ? 'no file' : `${size}`;
    throw new FormatError({ where, expected: `${bytes} bytes, as the manifest says`, found });
  }
  const actual = await hashFile(where);
  if (actual !== sha256) {
    throw new FormatError({
      where,
      expected: `the SHA-256 ${sha256} of the manifest`,
      found: actual,
      advice: 'an intact copy (or delete manifest.json if you changed the file yourself)',
    });
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** @returns undefined where there is no manifest */
async function readManifest(folder: string): Promise<ManifestEntry[] | undefined> {
  const where = join(folder, manifestName);
  if ((await sizeOf(where)) === undefined) return undefined;
  const fields = new Fields(await readJsonFile(where), where);
  fields.version('version', manifestVersion);
  const list = fields.get('files');
  if (!Array.isArray(list)) throw fields.fault('files', 'a list');
  return list.map((item, i) => parseEntry(new Fields(item, `${where}: files[${i}]`)));
}

function parseEntry(fields: Fields): ManifestEntry {
  const path = fields.string('path');
  if (!safePath.test(path)) throw fields.fault('path', 'a path inside the folder');
  return {
    path,
    bytes: fields.integer('bytes', { min: 0, max: Number.MAX_SAFE_INTEGER }),
    sha256: fields.string('sha256'),
  };
}

/**
 * One hash for everything in a folder, the same for equal contents, with or without a manifest.
 * @param isWanted of the files, by their path in it, where there is no manifest; default: all
 */
export async function hashFolder(folder: string, isWanted?: (path: string) => boolean): Promise<string> {
  const entries = (await readManifest(folder)) ?? (await describeFiles(folder, isWanted));
  return createHash('sha256').update(JSON.stringify(entries)).digest('hex');
}

/** Files of the folder that its manifest does not name; undefined where it has no whole manifest. */
export async function unlistedFiles(folder: string): Promise<string[] | undefined> {
  try {
    const listed = new Set((await readManifest(folder))?.map(({ path }) => path));
    return listed.size === 0 ? undefined : (await listCovered(folder)).filter((path) => !listed.has(path));
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
