// For tests: the disk, except that its n-th change fails. A write that fails leaves half of its first chunk behind and
// a removal that fails has removed a part, as a full disk or a cut of power would.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { diskFiles, type Files } from '../files.ts';

/** 'once': one operation fails and the program goes on. 'crash': nothing works from there on, not even cleaning up. */
export type FaultMode = 'once' | 'crash';

export function failingFiles(n: number, mode: FaultMode): { files: Files; hasFailed: () => boolean } {
  let count = 0;
  const mustFail = () => {
    count++;
    return count === n || (mode === 'crash' && count > n);
  };
  const attempt = async (work: () => Promise<void>, damage: () => Promise<void> = async () => {}) => {
    if (!mustFail()) return work();
    if (count === n) await damage();
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  };
  const files: Files = {
    makeFolder: (path) => attempt(() => diskFiles.makeFolder(path)),
    write: (path, chunks) =>
      attempt(
        () => diskFiles.write(path, chunks),
        () => diskFiles.write(path, firstHalf(chunks)),
      ),
    sync: (path) => attempt(() => diskFiles.sync(path)),
    rename: (from, to) => attempt(() => diskFiles.rename(from, to)),
    remove: (path) =>
      attempt(
        () => diskFiles.remove(path),
        () => removeOneFile(path),
      ),
  };
  return { files, hasFailed: () => count >= n };
}

function* firstHalf(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
  for (const chunk of chunks) {
    yield chunk.subarray(0, chunk.length >> 1);
    return;
  }
}

async function removeOneFile(folder: string): Promise<void> {
  const [name] = await readdir(folder).catch(() => []);
  if (name) await diskFiles.remove(join(folder, name));
}
