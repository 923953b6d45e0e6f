// The few operations that change the disk, gathered so that a test can make the n-th one fail.

import { access, mkdir, open, rename, rm } from 'node:fs/promises';

export interface Files {
  /** Makes one folder; its parent must exist, it must not. */
  makeFolder(path: string): Promise<void>;
  /** Writes a new file and forces it to the disk. A chunk's memory may be reused once the next one is asked for. */
  write(path: string, chunks: Iterable<Uint8Array>): Promise<void>;
  /** Forces an existing file, or a folder's list of names, to the disk. */
  sync(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a whole folder; it need not exist. */
  remove(path: string): Promise<void>;
}

export const diskFiles: Files = {
  async makeFolder(path) {
    await mkdir(path);
  },

  async write(path, chunks) {
    const handle = await open(path, 'w');
    try {
      for (const chunk of chunks) await handle.writeFile(chunk);
      await handle.sync();
    } finally {
      await handle.close();
    }
  },

  async sync(path) {
    const handle = await openForSync(path);
    try {
      await handle?.sync();
    } finally {
      await handle?.close();
    }
  },

  rename,

  async remove(path) {
    await rm(path, { recursive: true, force: true });
  },
};

async function openForSync(path: string) {
  try {
    return await open(path, 'r');
  } catch (error) {
    // Windows cannot open a folder; there a rename is durable without it.
    if (process.platform === 'win32' && ['EISDIR', 'EPERM'].includes(errorCode(error) ?? ''))
      return undefined;
    throw error;
  }
}

/** The system's short name of a failure, such as ENOENT. */
export function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}
