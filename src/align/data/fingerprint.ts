// A data file's identity: a run remembers what it was trained on and refuses to resume on something else.

import { createHash } from 'node:crypto';
import { UserError } from '../../engine/errors.ts';
import { readBytes } from './bytes.ts';

export interface Fingerprint {
  path: string;
  bytes: number;
  /** Hexadecimal SHA-256 of the whole file. */
  sha256: string;
}

/** Takes a file's fingerprint from the chunks of one reading, so that it names exactly what was read. */
export function startFingerprint(path: string): { add: (chunk: Buffer) => void; finish: () => Fingerprint } {
  const hash = createHash('sha256');
  let bytes = 0;
  return {
    add(chunk) {
      hash.update(chunk);
      bytes += chunk.length;
    },
    finish: () => ({ path, bytes, sha256: hash.digest('hex') }),
  };
}

/** Reads a file once, in constant memory. */
export async function fingerprintFile(path: string): Promise<Fingerprint> {
  const fingerprint = startFingerprint(path);
  for await (const _ of readBytes(path, fingerprint.add));
  return fingerprint.finish();
}

/**
 * Refuses data that changed since the run began. Files are identified by order, so a moved file is not a change.
 * @throws UserError naming the first file that differs
 */
export function requireSameData(recorded: readonly Fingerprint[], now: readonly Fingerprint[]): void {
  if (recorded.length !== now.length) {
    throw new UserError({
      where: 'data files',
      expected: `the ${recorded.length} that this run began with`,
      found: `${now.length}`,
    });
  }
  for (const [i, before] of recorded.entries()) {
    if (now[i].sha256 === before.sha256) continue;
    throw new UserError({
      where: now[i].path,
      expected: `the file that this run began with (SHA-256 ${before.sha256.slice(0, 12)}, ${before.bytes} bytes)`,
      found: `another content (${now[i].sha256.slice(0, 12)}, ${now[i].bytes} bytes)`,
      advice: 'restoring the file, or starting a new run',
    });
  }
}
